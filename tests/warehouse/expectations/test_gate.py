"""The gate on a real PostgreSQL: what blocks, what is quarantined, what is only recorded."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.models import Column, Gate, Reader, Source
from expectations import gate, rules, suite
from extract import load as loader
from extract.load import ledger
from extract.manifests import load_city
from tests.builders import a_source

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "nyc"
COLUMNS = {
    "request_id": Column(required=True, pattern=r"^\d+$"),
    "opened_at": Column(type="timestamp", min="2020-01-01", max="2026-12-31"),
    "status": Column(required=True, values=("open", "closed")),
    "tons": Column(type="double", min=0, max=100),
    "agency": Column(required=True, severity="critical"),
    "borough": Column(values=("NORTH", "SOUTH"), severity="info"),
    "note": Column(pattern=r"^[^<]*$", severity="critical"),
}
HEADER = ",".join(COLUMNS)
GOOD = "2024-05-01 10:00:00,open,3.5,DOT,NORTH,fine"


def source(**given) -> Source:
    defaults = dict(
        read=Reader(connector="csv", files=("requests.csv",)),
        columns=COLUMNS,
        gate=Gate(min_rows=1, max_drop=0.5, max_quarantined=0.5),
    )
    return a_source(**{**defaults, **given})


class Town:
    """A folder of a department's file, and the path of a load through stage and gate."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder, self.docs = url, folder, folder / "docs"

    def gate(self, rows: list[str], of: Source | None = None) -> gate.GateReport:
        of = of or source()
        (self.folder / "requests.csv").write_text("\n".join([HEADER, *rows]) + "\n")
        load = loader.stage(of, self.url, self.folder)
        report = gate.run(of, load.load_id, self.url, self.docs)
        assert (
            report.rows_read
            == report.rows_accepted + report.rows_unchanged + report.rows_quarantined
        )
        return report

    def query(self, statement: str) -> list[tuple]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(statement).fetchall()

    def raw(self) -> list[str]:
        return [
            r[0] for r in self.query("select request_id from raw.testville__requests order by 1")
        ]


@pytest.fixture
def town(warehouse, tmp_path) -> Town:
    warehouse.reset()
    return Town(warehouse.url, tmp_path)


def rows(*numbers: int) -> list[str]:
    return [f"{number},{GOOD}" for number in numbers]


def test_good_rows_pass_and_every_outcome_is_kept(town):
    report = town.gate(rows(1, 2, 3))
    assert (report.state, report.rows_accepted, report.message) == ("accepted", 3, None)
    assert town.raw() == ["1", "2", "3"]
    kept = town.query(
        "select expectation, column_name, severity, success, unexpected_rows, "
        "observed from quality.expectation_results"
    )
    assert ("expect_column_values_to_be_between", "tons", "row", True, 0, "0 of 3 rows") in kept
    assert (
        "expect_column_values_to_not_be_null",
        "agency",
        "critical",
        True,
        0,
        "0 of 3 rows",
    ) in kept
    assert ("gate.max_quarantined", "", "critical", True, None, "0 of 3 rows") in kept
    assert len(kept) == len(suite.suite(source()).expectations) + 2


def test_a_row_goes_to_quarantine_with_all_its_reasons(town):
    report = town.gate(
        [*rows(1, 2), "3,1999-01-01 00:00:00,lost,-4,DOT,NORTH,fine", "x4,,open,,DOT,NORTH,"]
    )
    assert (report.state, report.rows_accepted, report.rows_quarantined) == ("accepted", 2, 2)
    assert town.raw() == ["1", "2"]
    kept = town.query(
        "select source_file, source_row, reasons, record->>'status', "
        "record->>'tons' from quality.quarantine order by source_row"
    )
    assert kept == [
        (
            "requests.csv",
            3,
            [
                "opened_at: is below 2020-01-01 or above 2026-12-31",
                "status: is not one of open, closed",
                "tons: is below 0 or above 100",
            ],
            "lost",
            "-4",
        ),
        ("requests.csv", 4, [r"request_id: does not match ^\d+$"], "open", None),
    ]
    (outcome,) = [o for o in report.outcomes if o.column == "tons"]
    assert (outcome.unexpected_rows, outcome.values) == (1, ("-4.0",))
    assert outcome.rows == (("requests.csv", 3),)


def test_a_quarantined_row_is_kept_once_when_it_is_read_again(town):
    bad = "9,2024-05-01 10:00:00,lost,1,DOT,NORTH,fine"
    first = town.gate([*rows(1, 2), bad])
    again = town.gate([*rows(1, 2, 3), bad])
    same = town.gate([*rows(1, 2, 3), bad])
    assert (again.rows_accepted, again.rows_unchanged, again.rows_quarantined) == (1, 2, 1)
    # Line 4 now holds it, in place of line 3: another entry, as for the loader's own.
    assert (same.state, same.rows_unchanged, same.rows_quarantined) == ("unchanged", 3, 1)
    found = town.query(
        "select load_id, last_load_id, source_row from quality.quarantine order by source_row"
    )
    assert found == [(first.load_id, first.load_id, 3), (again.load_id, same.load_id, 4)]


def test_a_changed_row_that_fails_counts_as_quarantined_and_raw_keeps_the_old_one(town):
    town.gate(rows(1, 2))
    report = town.gate([*rows(1), f"2,{GOOD.replace('open', 'lost')}"])
    assert (report.rows_unchanged, report.rows_quarantined) == (1, 1)
    assert town.query("select rows_new, rows_changed from quality.loads order by 1") == [
        (0, 0),
        (2, 0),
    ]
    assert town.query("select status from raw.testville__requests where request_id = '2'") == [
        ("open",)
    ]


def test_a_critical_failure_keeps_the_load_out_and_says_why(town):
    of = source(cursor="opened_at")
    town.gate(rows(1), of)
    before = town.query("select * from raw.testville__requests")
    report = town.gate(
        [
            *rows(1, 2),
            "3,2025-01-01 00:00:00,open,1,DOT,NORTH,<b>x</b>",
            "4,2024-01-01 00:00:00,lost,1,,NORTH,",
        ],
        of,
    )
    assert report.state == "blocked"
    for part in (
        "testville/requests",
        "expect_column_values_to_match_regex",
        "note: does not match",
        "in 1 of 3 new or changed rows",
        "'<b>x</b>'",
        "requests.csv row 3",
        "agency: is empty",
        "columns.agency",
        "load it again",
    ):
        assert part in report.message
    assert town.query("select * from raw.testville__requests") == before
    assert town.query("select count(*) from quality.quarantine") == [(0,)]
    assert town.query("select to_regclass('stage.testville__requests')::text") == [(None,)]
    with psycopg.connect(town.url) as connection:
        assert ledger.last_cursor(connection, of, "read") == "2024-05-01T10:00:00"
    failed = town.query(
        "select column_name, unexpected_rows from quality.expectation_results "
        "where not success and severity = 'critical' order by 1"
    )
    assert failed == [("agency", 1), ("note", 1)]
    mended = town.gate(
        [
            *rows(1, 2),
            "3,2025-01-01 00:00:00,open,1,DOT,NORTH,x",
            "4,2024-01-01 00:00:00,closed,1,DOT,NORTH,",
        ],
        of,
    )
    assert (mended.state, mended.rows_accepted) == ("accepted", 3)


def test_a_rule_between_columns_quarantines_only_its_own_rows(town, monkeypatch):
    monkeypatch.setattr(
        suite,
        "own_expectations",
        lambda _: [rules.at_least("tons", "weight", "row", "tons: is less than weight")],
    )
    of = source(
        columns={
            "request_id": Column(type="integer"),
            "tons": Column(type="double"),
            "weight": Column(type="numeric"),
        }
    )
    (town.folder / "requests.csv").write_text("request_id,tons,weight\n1,2,1\n2,1,2\n3,,2\n4,1,\n")
    load = loader.stage(of, town.url, town.folder)
    report = gate.run(of, load.load_id, town.url, town.docs)
    assert (report.rows_accepted, report.rows_quarantined) == (3, 1)
    assert [o.values for o in report.outcomes if not o.success] == [("1.0, 2",)]
    assert town.query("select source_row, reasons from quality.quarantine") == [
        (2, ["tons: is less than weight"])
    ]
    assert town.query(
        "select column_name, unexpected_rows from quality.expectation_results "
        "where expectation = 'expect_column_pair_values_a_to_be_greater_than_b'"
    ) == [("tons, weight", 1)]


def test_a_rule_that_postgresql_cannot_run_names_itself(town):
    of = source()
    (town.folder / "requests.csv").write_text("\n".join([HEADER, *rows(1)]) + "\n")
    load = loader.stage(of, town.url, town.folder)
    broken = source(columns={**COLUMNS, "note": Column(pattern="x{999}")})
    with pytest.raises(suite.SuiteError, match=r"match_regex on note could not be evaluated"):
        gate.run(broken, load.load_id, town.url, town.docs)
    assert town.query("select state from quality.loads") == [("staged",)]


def test_info_is_recorded_and_keeps_nothing_out(town):
    report = town.gate([*rows(1), "2,2024-05-01 10:00:00,open,1,DOT,EAST,fine"])
    assert (report.state, report.rows_accepted, report.rows_quarantined) == ("accepted", 2, 0)
    assert town.query(
        "select expectation, column_name, severity, unexpected_rows "
        "from quality.expectation_results where not success"
    ) == [("expect_column_values_to_be_in_set", "borough", "info", 1)]


@pytest.mark.parametrize("share, state", [(0.04, "blocked"), (0.05, "accepted")])
def test_five_percent_bad_rows(town, share, state):
    of = source(gate=Gate(max_quarantined=share))
    bad = [f"{n},2024-05-01 10:00:00,lost,1,DOT,NORTH,fine" for n in range(96, 99)]
    unreadable = ["99,yesterday,open,1,DOT,NORTH,fine", "100,2024-05-01 10:00:00,open,x,DOT,NORTH,"]
    report = town.gate([*rows(*range(1, 96)), *bad, *unreadable], of)
    assert report.state == state
    if state == "accepted":
        assert (report.rows_accepted, report.rows_quarantined) == (95, 5)
    else:
        assert "5 of 100 rows read (5.0 %)" in report.message
        assert "gate.max_quarantined allows 4.0 %" in report.message
        assert "status: is not one of open, closed (3)" in report.message
        assert town.raw() == []
        # Rows that could not be read at all are kept, for those who mend the file; the rest is not.
        assert town.query("select source_row from quality.quarantine order by 1") == [(99,), (100,)]


def test_too_few_rows_are_refused_without_great_expectations(town):
    report = town.gate(rows(1), source(gate=Gate(min_rows=2)))
    assert report.state == "blocked"
    assert "read 1 rows, fewer than the 2 of gate.min_rows" in report.message
    assert Path(report.data_docs).read_text().count("gate.min_rows") >= 1


def test_a_drop_is_refused_even_when_nothing_is_new(town):
    of = source(gate=Gate(max_drop=0.2))
    town.gate(rows(*range(10)), of)
    assert town.gate(rows(*range(8)), of).state == "unchanged"
    report = town.gate(rows(*range(6)), of)
    assert report.state == "blocked"
    assert "25.0 % fewer than the 8 of load 2" in report.message
    assert len(town.raw()) == 10
    # The blocked load is not what the next one is measured by.
    assert town.gate(rows(*range(7)), of).state == "unchanged"


def test_rows_that_came_twice_and_come_once_again_are_no_drop(town):
    of = source(gate=Gate(max_drop=0.0))
    numbers = range(100, 140)
    town.gate(rows(*numbers), of)
    assert town.gate(rows(*numbers, *range(100, 120)), of).rows_unchanged == 60
    assert town.gate(rows(*numbers), of).state == "unchanged"
    town.gate(rows(*numbers, *range(100, 120)), of)
    report = town.gate(rows(*range(100, 120)), of)
    assert report.state == "blocked"
    assert (
        "50.0 % fewer than the 40 that raw holds (requests.csv has 20 rows after 40)"
        in report.message
    )


def test_a_file_of_many_that_is_cut_between_two_lines_is_refused_by_name(town):
    of = source(
        read=Reader(connector="csv", files=("*.csv",)),
        primary_key=("_source_file", "_source_row"),
        gate=Gate(max_drop=0.05),
    )
    small = town.folder / "small.csv"
    small.write_text("\n".join([HEADER, *rows(*range(900, 950))]) + "\n")
    town.gate(rows(*range(800)), of)
    small.write_text("\n".join([HEADER, *rows(*range(900, 930))]) + "\n")
    report = town.gate(rows(*range(800)), of)
    assert (report.state, report.rows_unchanged) == ("blocked", 830)
    assert "small.csv has 30 rows after 50" in report.message
    small.unlink()
    assert "small.csv is gone" in town.gate(rows(*range(800)), of).message
    assert len(town.raw()) == 850


def test_an_unchanged_load_needs_no_great_expectations(town):
    town.gate(rows(1, 2))
    load = loader.stage(source(), town.url, town.folder)
    program = """
import sys
from catalog.models import Source
from expectations import gate
load_id, url, docs = sys.argv[1:]
report = gate.run(Source.model_validate_json(sys.stdin.read()), int(load_id), url, docs)
assert report.state == "unchanged", report
assert not any(name.startswith("great_expectations") for name in sys.modules), "imported"
"""
    subprocess.run(
        [sys.executable, "-c", program, str(load.load_id), town.url, str(town.docs)],
        input=source().model_dump_json(),
        text=True,
        check=True,
    )


def test_the_gate_may_be_asked_again(town):
    first = town.gate(rows(1))
    again = gate.run(source(), first.load_id, town.url, town.docs)
    assert again.load == first.load
    blocked = town.gate(rows(1, 2), source(gate=Gate(min_rows=5)))
    assert gate.run(source(), blocked.load_id, town.url, town.docs).message == blocked.message


def test_a_gate_killed_before_the_commit_goes_on(town, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(loader, "commit", killed)
    bad = "2,2024-05-01 10:00:00,lost,1,DOT,NORTH,fine"
    with pytest.raises(KeyboardInterrupt):
        town.gate([*rows(1), bad])
    monkeypatch.undo()
    report = gate.run(source(), 1, town.url, town.docs)
    assert (report.state, report.rows_accepted, report.rows_quarantined) == ("accepted", 1, 1)


def test_a_failed_load_and_another_source_are_refused(town):
    report = town.gate(rows(1))
    with pytest.raises(gate.GateError, match="is of testville/requests, not of testville/other"):
        gate.run(source(source="other"), report.load_id, town.url, town.docs)
    with psycopg.connect(town.url) as connection:
        connection.execute("update quality.loads set state = 'failed'")
    with pytest.raises(gate.GateError, match=r"is failed.*run the source again"):
        gate.run(source(), report.load_id, town.url, town.docs)


def test_patterns_and_values_reach_postgresql_as_written(town):
    columns = {
        **COLUMNS,
        "note": Column(pattern=r"^(100 ?%%?|a\\b|it's|x:y|\$\{HOME\}|.*\?)$"),
        "status": Column(values=("it's 5 %", "%(x)s")),
    }
    of = source(columns=columns)
    good = ["100%", "100 %%", "a\\b", "it's", "x:y", "${HOME}", "why?"]
    given = [f"{n},,it's 5 %,,DOT,,{note}" for n, note in enumerate(good)]
    given += ["8,,%(x)s,,DOT,,100%%%", "9,,it's 6 %,,DOT,,why"]
    report = town.gate(given, of)
    assert (report.state, report.rows_accepted, report.rows_quarantined) == ("accepted", 7, 2)
    assert town.query(
        "select source_row, cardinality(reasons) from quality.quarantine order by 1"
    ) == [(8, 1), (9, 2)]


class Text(HTMLParser):
    """Elements of a page that fetch something or run, and its visible text."""

    def __init__(self) -> None:
        super().__init__()
        self.active: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        outside = [v for v in (given.get("src"), given.get("href")) if v and "//" in v]
        if tag in ("script", "iframe", "object", "b", "img") or outside:
            self.active.append(self.get_starttag_text())
        self.active += [f"{tag} {name}" for name in given if name.startswith("on")]

    def handle_data(self, data):
        self.text.append(data)


def test_reports_are_legible_offline_and_escape_what_departments_write(town):
    nasty = "<b onclick=alert(1)>$column {{ 1234*4321 }}</b><script>alert(2)</script>"
    of = source(title="Requests <script>", owner="<img src=x>")
    report = town.gate(
        [
            *rows(1, 2, 3),
            f'4,2024-05-01 10:00:00,"{nasty}",1,DOT,"{nasty}",x',
            f'5,2024-05-01 10:00:00,open,1,DOT,NORTH,"{nasty}"',
        ],
        of,
    )
    assert report.state == "blocked"
    for page in (Path(report.data_docs), town.docs / "index.html"):
        parsed = Text()
        parsed.feed(page.read_text())
        assert parsed.active == []
        assert nasty in "".join(parsed.text)
    page = Path(report.data_docs).read_text()
    assert Path(report.data_docs) == town.docs / "testville" / "requests" / "1.html"
    assert "expect_column_values_to_be_in_set" in page and "5332114" not in page
    index = (town.docs / "index.html").read_text()
    assert 'href="testville/requests/1.html"' in index and "blocked" in index


def test_names_of_files_and_columns_are_text_in_reports_too(town):
    name = "<img src=x onerror=alert(1)>\x1b[2J.csv"
    of = source(
        title="{{ 1234*4321 }} <b>",
        grain="<i onload=alert(1)>",
        read=Reader(connector="csv", files=("*.csv",)),
    )
    (town.folder / name).write_text(
        "\n".join([f"{HEADER},<script>", *(f"{row},<b>" for row in rows(1, 2)), "3,,,,,,<,"]) + "\n"
    )
    load = loader.stage(of, town.url, town.folder)
    report = gate.run(of, load.load_id, town.url, town.docs)
    assert report.state == "blocked"
    for page in (Path(report.data_docs), town.docs / "index.html"):
        parsed = Text()
        parsed.feed(page.read_text())
        assert parsed.active == [] and "5332114" not in page.read_text()
        assert "\x1b" not in page.read_text()
    parsed = Text()
    parsed.feed(Path(report.data_docs).read_text())
    assert "<img src=x onerror=alert(1)>\\x1b[2J.csv" in "".join(parsed.text)


REASONS = {
    "too_few_rows": (Gate(min_rows=5), []),
    "volume_drop": (Gate(max_drop=0.1), []),
    "too_many_quarantined": (Gate(max_quarantined=0.1), ["8,,lost,,DOT,,"]),
    "expectation_failed": (Gate(), ["8,,open,,,,"]),
}


@pytest.mark.parametrize("code", REASONS)
def test_a_blocked_load_has_its_reason_code(town, code):
    thresholds, more = REASONS[code]
    town.gate(rows(1, 2, 3))
    report = town.gate([*rows(1, 2), *more], source(gate=thresholds))
    assert (report.state, report.load.reason_code) == ("blocked", code)
    assert town.query("select reason_code from quality.loads order by load_id")[0] == (None,)


def test_only_the_newest_reports_are_kept(town, monkeypatch):
    monkeypatch.setattr("expectations.docs.KEPT", 2)
    for last in range(1, 5):
        town.gate(rows(*range(last)))
    pages = sorted(p.name for p in (town.docs / "testville" / "requests").iterdir())
    assert pages == ["3.html", "4.html"]
    town.gate(rows(*range(4)))
    assert 'href="testville/requests/4.html">load 4<' in (town.docs / "index.html").read_text()


CELLS = {
    "opened_at": ["2024-05-01 10:00:00", "", "1999-01-01 00:00:00", "soon"],
    "status": ["open", "closed", "lost", ""],
    "tons": ["1", "", "-1", "many"],
    "agency": ["DOT"],
    "borough": ["NORTH", "", "EAST"],
    "note": ["", "x"],
}
LINES = st.tuples(
    st.sampled_from(["1", "2", "3", "4", "x", ""]), *(st.sampled_from(c) for c in CELLS.values())
).map(",".join)


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(first=st.lists(LINES, min_size=1, max_size=12), then=st.lists(LINES, max_size=12))
def test_rows_always_add_up(warehouse, tmp_path, first, then):
    warehouse.reset()
    of = source(gate=Gate(min_rows=0, max_drop=1, max_quarantined=1))
    town = Town(warehouse.url, tmp_path)
    for lines in (first, then, then):
        report = town.gate(lines, of)
        assert report.rows_read == len(lines)
        accepted = town.query("select coalesce(sum(rows_accepted), 0) from quality.loads")
        assert town.query("select count(*) from raw.testville__requests") == accepted
        assert town.query(
            "select count(*) from raw.testville__requests where status is null or "
            "status = 'lost' or tons < 0 or opened_at < '2020-01-01'"
        ) == [(0,)]
    # The third load is the second again: nothing new, and the same rows are quarantined.
    quarantined = town.query(
        f"select count(*) from quality.quarantine where last_load_id = {report.load_id}"
    )
    assert quarantined == [(report.rows_quarantined,)]
    assert report.rows_accepted == 0


@pytest.mark.real_data
@pytest.mark.skipif(not REAL.is_dir(), reason="the public data is not beside the checkout")
@pytest.mark.parametrize(
    "name, accepted",
    [
        ("service_requests", 11_691),
        ("waste_tonnage", 20_871),
        ("collisions", 9_534),
        ("rodent_inspections", 10_402),
        ("capital_projects", 12_587),
        ("taxi_trips", 240_000),
    ],
)
def test_new_york_passes_whole(town, name, accepted):
    of = load_city("nyc").source(name)
    load = loader.stage(of, town.url, REAL, mode="snapshot")
    report = gate.run(of, load.load_id, town.url, town.docs)
    assert (report.state, report.rows_accepted, report.rows_quarantined) == (
        "accepted",
        accepted,
        0,
    )
