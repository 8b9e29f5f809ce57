"""A source with personal columns: what identifies a person leaves its own table nowhere.

A stray address, number or name in a column that no manifest marks is followed from the file to
everything that is written or shown besides `raw`: quarantine, reasons, messages, outcomes,
exceptions, reports, logs.
"""

from __future__ import annotations

import json
import logging
import stat
import traceback
from pathlib import Path

import psycopg
import pytest

from catalog.models import Column, Gate, Reader, Source
from expectations import gate
from extract import load as loader
from extract.dry_run import dry_run
from extract.errors import ExtractError, WithheldError
from tests.builders import a_source

#: What must be found nowhere: of the writer in the dropped column, and of others.
PERSONAL = (
    "dolores", "fuente", "ann@lee.org", "ann.lee", "ann_lee_org", "555-123-4567", "5551234567",
    "jane",
)  # fmt: skip
QUOTED = "near 'ann@lee.org, Jane'"
COLUMNS = {
    "request_id": Column(required=True),
    "opened_at": Column(type="timestamp"),
    "tons": Column(type="double", min=0, max=100),
    "status": Column(values=("open", "closed")),
    "street": Column(pattern=r"^[^@]*$"),
    "writer": Column(personal="drop"),
    "comment": Column(personal="redact"),
}
HEADER = ",".join([*COLUMNS, "extra"])


def source(**given) -> Source:
    defaults = dict(
        source="letters",
        tier="restricted",
        read=Reader(connector="csv", files=("letters*.csv",)),
        columns=COLUMNS,
        gate=Gate(min_rows=1, max_drop=1, max_quarantined=1),
    )
    return a_source(**{**defaults, **given})


class Town:
    """A department's folder and everything that a load of it writes."""

    def __init__(self, url: str, folder: Path, caplog, capsys) -> None:
        self.url, self.folder, self.docs = url, folder, folder / "reports"
        self.caplog, self.capsys = caplog, capsys
        #: What the tasks in Airflow log as their last lines, or fail with.
        self.summaries: list[str] = []
        caplog.set_level(logging.DEBUG)

    def load(self, rows: list[str], of: Source | None = None, name: str = "letters.csv"):
        (self.folder / name).write_text("\n".join([HEADER, *rows]) + "\n")
        staged = loader.stage(of or source(), self.url, self.folder, salt=b"salt")
        report = gate.run(of or source(), staged.load_id, self.url, self.docs)
        self.summaries += [staged.summary, report.summary]
        return report

    def written(self) -> str:
        """Return all that was written or shown outside `raw`, in lower case."""
        parts = [json.dumps(self.query("select to_jsonb(t) from quality.loads t"), default=str)]
        for table in ("quarantine", "expectation_results"):
            found = self.query(f"select to_jsonb(t) from quality.{table} t")
            parts.append(json.dumps(found, default=str))
        parts += self.summaries
        parts += [page.read_text() for page in self.docs.rglob("*.html")]
        shown = self.capsys.readouterr()
        parts += [self.caplog.text, shown.out, shown.err]
        return "\n".join(parts).lower()

    def query(self, statement: str) -> list[tuple]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(statement).fetchall()


@pytest.fixture
def town(warehouse, tmp_path, caplog, capsys) -> Town:
    warehouse.reset()
    return Town(warehouse.url, tmp_path, caplog, capsys)


def assert_clean(text: str) -> None:
    for part in PERSONAL:
        assert part not in text.lower(), part


GOOD = "1,2024-01-01,1,open,Elm Street,Ann Lee,fine,"
WRITER = "Dolores Fuente"
STRAY = {
    "unreadable number": f"2,2024-01-01,ann@lee.org,open,Elm,{WRITER},fine,",
    "unreadable date, shifted by a column": f"2,Jane,{WRITER},2024-01-01,5,open,Elm,",
    "a value that is not listed": f"2,2024-01-01,1,{WRITER},Elm,{WRITER},fine,",
    "a text that does not match": f"2,2024-01-01,1,open,ann@lee.org or 555-123-4567,{WRITER},x,",
    "a number out of range, stray name": f"2,2024-01-01,555,open,at {WRITER}'s,{WRITER},x,",
    "an undeclared column": f"2,2024-01-01,-1,open,Elm,{WRITER},x,ask Fuente: ann@lee.org",
    "the key": f"ann@lee.org,2024-01-01,-1,open,Elm,{WRITER},x,",
    "a name as the key": f"Jane 7,2024-01-01,-1,open,Elm,{WRITER},x,",
    "a phone number as the key": f"5551234567,2024-01-01,-1,open,Elm,{WRITER},x,",
    "a phone number as a number": f"2,2024-01-01,5551234567,open,Elm,{WRITER},x,",
    "a phone number of digits in a text": f"2,2024-01-01,-1,open,Elm,{WRITER},at 5551234567,",
    "an undeclared column, of a row shifted by one": f"2,2024-01-01,-1,open,Elm,5,x,{WRITER}",
    "redacted text, of a row shifted by one": f"2,2024-01-01,many,open,Elm,5,{WRITER},",
    "a name without its space": f"2,2024-01-01,-1,open,Elm,{WRITER},DoloresFuente,",
    "too many fields": f"2,2024-01-01,1,open,Elm,{WRITER},x,,ann@lee.org,555-123-4567",
    "an older version in the load": f"1,2024-01-01,1,open,ann@lee.org Dolores,{WRITER},fine,",
}


@pytest.mark.parametrize("row", STRAY.values(), ids=list(STRAY))
@pytest.mark.parametrize("allowed", [1.0, 0.0], ids=["quarantined", "blocked"])
def test_a_stray_value_reaches_no_exit(town, row, allowed):
    of = source(gate=Gate(min_rows=1, max_drop=1, max_quarantined=allowed))
    report = town.load([row, GOOD], of)
    assert report.state == ("accepted" if allowed else "blocked")
    assert report.rows_quarantined == (1 if allowed else 2)
    assert_clean(town.written())
    if allowed:
        record, reasons = town.query("select record, reasons from quality.quarantine")[0]
        assert record and reasons


@pytest.mark.parametrize("row", list(STRAY.values())[3:6], ids=list(STRAY)[3:6])
def test_a_critical_failure_quotes_no_value(town, row):
    critical = {
        name: column.model_copy(update={"severity": "critical"}) for name, column in COLUMNS.items()
    }
    report = town.load([GOOD, row], source(columns=critical))
    assert report.state == "blocked" and "letters.csv row 2" in report.message
    assert "in 1 of 2 new or changed rows" in report.message
    assert_clean(town.written())


def test_what_quarantine_keeps_is_enough_to_find_the_row(town):
    town.load([GOOD, f"2,2024-01-02,555,open,at {WRITER}'s,{WRITER},call 555-123-4567,x"])
    ((record, reasons, file, row),) = town.query(
        "select record, reasons, source_file, source_row from quality.quarantine"
    )
    assert (file, row, reasons) == ("letters.csv", 2, ["tons: is below 0 or above 100"])
    assert record == {
        "request_id": "2",
        "opened_at": "2024-01-02T00:00:00",
        "tons": 555,
        "status": "open",
        "street": "[withheld]",
        "comment": "[withheld]",
        "extra": "[withheld]",
    }


def test_names_of_files_are_masked_and_known_again(town):
    name = "letters ann@lee.org.csv"
    first = town.load([GOOD, f"2,,x,open,Elm,{WRITER},,"], name=name)
    again = town.load([GOOD, f"2,,x,open,Elm,{WRITER},,"], name=name)
    assert (again.state, again.rows_unchanged, again.rows_quarantined) == ("unchanged", 1, 1)
    assert [file["path"] for file in first.load.files] == ["letters [email]"]
    assert town.query("select source_file, last_load_id from quality.quarantine") == [
        ("letters [email]", again.load_id)
    ]
    gone = town.load([GOOD], source(gate=Gate(min_rows=5)), name=name)
    assert gone.state == "blocked"
    assert_clean(town.written())


def test_ten_digits_of_a_file_are_masked_unless_they_are_an_hour(town):
    town.load([GOOD, f"2,,x,open,Elm,{WRITER},,"], name="letters 5551234567.csv")
    town.load([GOOD, f"2,,x,open,Elm,{WRITER},,"], name="letters_2024123123.csv")
    found = town.query("select distinct source_file from quality.quarantine order by 1")
    assert found == [("letters [phone].csv",), ("letters_2024123123.csv",)]
    assert_clean(town.written())


def test_headers_that_are_a_persons_or_name_one_are_not_loaded(town, monkeypatch):
    header = f"{HEADER},Teléfono,ann@lee.org,5551234567"
    monkeypatch.setitem(globals(), "HEADER", header)
    report = town.load([f"{GOOD},1,2,3", f"2,2024-01-01,-1,open,Elm,{WRITER},x,y,1,2,3"])
    assert (report.rows_accepted, report.rows_quarantined) == (1, 1)
    columns = town.query(
        "select column_name from information_schema.columns where table_schema = 'raw'"
    )
    assert {"extra"} == {name for (name,) in columns if not name.startswith("_")} - set(COLUMNS)
    assert report.load.files[0]["columns"][-3:] == ["Teléfono", "[email]", "[phone]"]
    assert_clean(town.written())


def test_a_file_without_its_header_is_refused_without_its_values(town):
    (town.folder / "letters.csv").write_text(f"1,ann@lee.org,1,open,Elm,{WRITER},fine,\n")
    with pytest.raises(ExtractError, match="the column 'request_id' is missing") as caught:
        loader.stage(source(), town.url, town.folder, salt=b"salt")
    assert_clean("".join(traceback.format_exception(caught.value)))
    assert_clean(town.written())


def test_errors_that_quote_the_source_lose_what_they_quote(town, monkeypatch):
    def fails(*_):
        raise ExtractError("letters.csv", "is odd", "mend it", quoted=QUOTED)
        yield

    monkeypatch.setattr("extract.load.staging.connector", lambda _: fails)
    with pytest.raises(ExtractError, match=r"is odd: details withheld.*Mend it") as caught:
        loader.stage(source(), town.url, town.folder, salt=b"salt")
    assert_clean("".join(traceback.format_exception(caught.value)))
    assert_clean(town.written())


def test_an_unexpected_error_keeps_its_type_and_place_only(town, monkeypatch):
    def breaks(*_):
        raise ValueError(QUOTED)
        yield

    monkeypatch.setattr("extract.load.staging.connector", lambda _: breaks)
    monkeypatch.setattr("extract.dry_run.connector", lambda _: breaks)
    with pytest.raises(WithheldError, match="testville/letters: ValueError") as caught:
        loader.stage(source(), town.url, town.folder, salt=b"salt")
    shown = "".join(traceback.format_exception(caught.value))
    assert "in breaks" in shown
    assert_clean(shown)
    assert town.query("select state, reason_code from quality.loads") == [
        ("failed", "internal_error")
    ]
    with pytest.raises(WithheldError):
        dry_run(source(), town.folder)
    assert_clean(town.written())


def test_reports_are_their_owners_only(town):
    report = town.load([GOOD])
    for path in (town.docs, *town.docs.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
    assert Path(report.data_docs).is_file()


def test_a_source_without_personal_columns_quotes_what_it_finds(town):
    plain = {name: column.model_copy(update={"personal": None}) for name, column in COLUMNS.items()}
    of = source(columns=plain, read=Reader(connector="csv", files=("letters.csv",)))
    town.load([GOOD, f"2,2024-01-01,many,open,Elm,{WRITER},x,"], of)
    ((record, reasons),) = town.query("select record, reasons from quality.quarantine")
    assert reasons == ["tons: cannot read 'many' as double"] and record["writer"] == WRITER
