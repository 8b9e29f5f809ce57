"""The loader against a real PostgreSQL: what reaches raw, quarantine, or neither."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import psycopg
import psycopg.rows
import pytest

from catalog.models import City, Column, Reader, Source
from extract import load as loader
from extract.dry_run import dry_run
from extract.errors import ExtractError
from extract.load import promote
from extract.load.ledger import LoadError, source_lock
from extract.load.tables import OWN_COLUMNS
from tests.builders import a_source


def source(**given) -> Source:
    defaults = dict(
        columns={
            "request_id": Column(type="integer", aliases=("Unique Key",)),
            "opened_at": Column(type="timestamp"),
            "tons": Column(type="numeric", optional=True),
            "street": Column(),
        },
        cursor="opened_at",
    )
    return a_source(**{**defaults, **given})


@pytest.fixture
def url(warehouse):
    warehouse.reset()
    return warehouse.url


def write(folder: Path, text: str, name: str = "requests.csv") -> None:
    (folder / name).write_text(text, encoding="utf-8")


def load(url: str, folder: Path, of: Source | None = None, **given):
    """Stage and, where something is staged, commit; counts must add up either way."""
    of = of or source()
    report = loader.stage(of, url, folder, **given)
    if report.state == "staged":
        report = loader.commit(report.load_id, url, of)
    report.check_counts()
    assert report.rows_accepted == report.rows_staged
    return report


def rows(url: str, query: str, *values):
    with psycopg.connect(url) as connection:
        return connection.execute(query, values).fetchall()


HEADER = "Unique Key,Opened At,Tons,Street\n"
THREE = HEADER + (
    "1,01/02/2024 03:04:05 PM,1.50,Élm Street\n"
    "2,2024-01-03T00:00:00.000,,\n"
    '3,2024-01-04 10:00:00,12345678901234567890.123456,"two\nlines"\n'
)


def test_first_load_types_values_and_keeps_their_place(url, tmp_path):
    write(tmp_path, THREE)
    report = load(url, tmp_path, run_id="cli")
    assert (report.state, report.rows_read, report.rows_new) == ("accepted", 3, 3)
    assert report.cursor_after == "2024-01-04T10:00:00"
    (file,) = report.files
    assert file["rows"] == 3 and file["bytes"] == len(THREE.encode())
    assert file["columns"] == ["Unique Key", "Opened At", "Tons", "Street"]
    found = rows(
        url,
        """select request_id, opened_at::text, tons::text, street, _load_id, _source_file,
             _source_row from raw.testville__requests order by 1""",
    )
    assert found == [
        (1, "2024-01-02 15:04:05", "1.5", "Élm Street", report.load_id, "requests.csv", 1),
        (2, "2024-01-03 00:00:00", None, None, report.load_id, "requests.csv", 2),
        (3, "2024-01-04 10:00:00", "12345678901234567890.123456", "two\nlines", report.load_id,
         "requests.csv", 3),
    ]  # fmt: skip
    assert rows(url, "select to_regclass('stage.testville__requests')") == [(None,)]


def test_loading_the_same_thing_again_adds_nothing(url, tmp_path):
    write(tmp_path, THREE)
    load(url, tmp_path)
    again = load(url, tmp_path)
    assert (again.state, again.rows_unchanged, again.rows_accepted) == ("unchanged", 3, 0)
    assert again.cursor_after == "2024-01-04T10:00:00"
    assert rows(url, "select count(*) from raw.testville__requests") == [(3,)]


def test_a_correction_is_a_version_and_back_again_is_a_third(url, tmp_path):
    first, second = HEADER + "1,2024-01-01,1,A\n", HEADER + "1,2024-01-01,1,B\n"
    for text in (first, second, first):
        write(tmp_path, text)
        report = load(url, tmp_path)
    assert report.rows_changed == 1
    found = rows(url, "select street from raw.testville__requests order by _load_id")
    assert found == [("A",), ("B",), ("A",)]


def test_order_of_columns_and_notation_do_not_change_a_row(url, tmp_path):
    write(tmp_path, HEADER + "1,2024-01-01 00:00:00,1.5,A\n")
    load(url, tmp_path)
    write(tmp_path, "street,TONS,unique key,opened_at\nA,1.50,01,01/01/2024 12:00:00 AM\n")
    assert load(url, tmp_path).rows_unchanged == 1


def test_a_new_column_changes_only_the_rows_that_have_it(url, tmp_path):
    write(tmp_path, HEADER + "1,2024-01-01,1,A\n2,2024-01-01,1,B\n")
    load(url, tmp_path)
    write(
        tmp_path,
        "Unique Key,Opened At,Tons,Street,Road Ramp\n1,2024-01-01,1,A,\n2,2024-01-01,1,B,N/A\n",
    )
    report = load(url, tmp_path)
    assert (report.rows_changed, report.rows_unchanged) == (1, 1)
    assert rows(url, "select road_ramp from raw.testville__requests order by _load_id, 1") == [
        (None,), (None,), ("N/A",),
    ]  # fmt: skip


def test_headers_of_every_script_are_declared_by_alias_or_kept(url, tmp_path):
    headers = ["Αριθμός", "Дата", "Größe", "GRÖSSE", "größe", "受付日", "xmin", "ж" * 40]
    write(tmp_path, ",".join(headers) + "\n7,2024-01-02,a,b,c,d,e,f\n")
    columns = {
        "request_id": Column(type="integer", aliases=("Αριθμός",)),
        "opened_at": Column(type="timestamp", aliases=("дата",)),
    }
    of = source(columns=columns)
    found = dry_run(of, tmp_path)
    assert load(url, tmp_path, of).rows_accepted == load(url, tmp_path, of).rows_unchanged == 1
    with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as connection:
        row = connection.execute("select * from raw.testville__requests").fetchone()
    assert row is not None
    kept = {name: value for name, value in row.items() if name not in OWN_COLUMNS}
    long = next(name for name in kept if name.startswith("ж"))
    assert len(long.encode()) <= 63
    assert kept == {
        "request_id": 7,
        "opened_at": datetime(2024, 1, 2),
        "größe": "a",
        "grösse": "b",
        "größe_2": "c",
        "受付日": "d",
        "xmin_2": "e",
        long: "f",
    }
    assert found.undeclared[2] == "größe_2 ('größe', as 'Größe' is größe)"


def test_files_of_other_shapes_are_joined_by_name(url, tmp_path):
    write(tmp_path, HEADER + "1,2024-01-01,1,A\n", "requests_1.csv")
    write(tmp_path, "x,street,opened_at,Unique Key\n9,B,2024-01-02,2\n", "requests_2.csv")
    write(tmp_path, "street,opened_at,unique_key\nC,2024-01-03,3\n", "requests_3.csv")
    assert load(url, tmp_path).rows_new == 3
    found = rows(url, "select request_id, tons::int, street, x from raw.testville__requests")
    assert sorted(found) == [(1, 1, "A", None), (2, None, "B", "9"), (3, None, "C", None)]


def test_bad_rows_are_quarantined_with_reasons_and_the_rest_is_kept(url, tmp_path):
    write(
        tmp_path,
        HEADER
        + "1,2024-01-01,1,A\n"
        + "x2,not a day,1,B\n"
        + "3,2024-02-30,1,C\n"
        + "too,few\n"
        + ",2024-01-01,1,no key\n"
        + "6,2024-01-01,1,nul\0here\n"
        + "7,2024-01-01,1,G\n",
    )
    report = load(url, tmp_path)
    assert (report.rows_read, report.rows_new, report.rows_quarantined) == (7, 2, 5)
    found = rows(
        url, "select source_row, reasons, record from quality.quarantine order by source_row"
    )
    assert [(row, reasons) for row, reasons, _ in found] == [
        (2, ["request_id: cannot read 'x2' as integer",
             "opened_at: cannot read 'not a day' as timestamp"]),
        (3, ["opened_at: cannot read '2024-02-30' as timestamp"]),
        (4, ["has 2 fields where the header has 4"]),
        (5, ["request_id: the key is empty"]),
        (6, ["street: holds a NUL character"]),
    ]  # fmt: skip
    assert found[0][2] == {
        "request_id": "x2", "opened_at": "not a day", "tons": "1", "street": "B",
    }  # fmt: skip
    assert found[2][2] == {"text": "too,few"}
    kept = rows(url, "select request_id, _source_row from raw.testville__requests order by 1")
    assert kept == [(1, 1), (7, 7)]


def test_a_time_with_an_offset_is_told_which_option_reads_it(url, tmp_path):
    moments = ("2024-01-02T10:00:00Z", "2024-01-02 10:00:00+02:00", "10:00 on Monday")
    lines = [f"{number},{moment},1,A\n" for number, moment in enumerate(moments)]
    write(tmp_path, HEADER + "".join(lines))
    load(url, tmp_path)
    found = rows(url, "select unnest(reasons) from quality.quarantine order by source_row")
    remedy = "; it has an offset: set options.time_zone to the zone in whose local time it shall be"
    assert [remedy in reason for (reason,) in found] == [True, True, False]
    assert found[0][0].startswith("opened_at: cannot read '2024-01-02T10:00:00Z' as timestamp; it")
    zoned = Reader(connector="csv", files=("requests*.csv",), options={"time_zone": "Asia/Tokyo"})
    assert load(url, tmp_path, source(read=zoned)).rows_new == 2


def test_a_bad_row_that_comes_again_stays_one_entry(url, tmp_path):
    write(tmp_path, HEADER + "1,2024-01-01,1,A\nx,2024-01-01,1,B\n")
    first, second = load(url, tmp_path), load(url, tmp_path)
    assert second.state == "unchanged" and second.rows_quarantined == 1
    found = rows(url, "select load_id, last_load_id from quality.quarantine")
    assert found == [(first.load_id, second.load_id)]


def test_of_rows_with_one_key_the_last_counts(url, tmp_path):
    write(
        tmp_path,
        HEADER + "1,2024-01-01,1,old\n2,2024-01-01,1,same\n2,2024-01-01,1,same\n"
        "1,2024-01-01,1,new\n1,2024-01-01,1,newest\n1,2024-01-01,1,newest\n",
    )
    first = load(url, tmp_path)
    counts = (first.rows_read, first.rows_new, first.rows_unchanged, first.rows_quarantined)
    assert counts == (6, 2, 2, 2)
    assert rows(url, "select request_id, street from raw.testville__requests order by 1") == [
        (1, "newest"), (2, "same"),
    ]  # fmt: skip
    quarantined = rows(url, "select record->>'street', reasons from quality.quarantine order by 1")
    assert quarantined == [("new", [loader.SUPERSEDED]), ("old", [loader.SUPERSEDED])]
    again = load(url, tmp_path)
    assert (again.state, again.rows_unchanged, again.rows_quarantined) == ("unchanged", 4, 2)
    assert rows(url, "select count(*) from quality.quarantine") == [(2,)]


def test_a_value_overridden_within_a_load_by_the_one_in_raw_is_no_change(url, tmp_path):
    write(tmp_path, HEADER + "1,2024-01-01,1,A\n")
    load(url, tmp_path)
    write(tmp_path, HEADER + "1,2024-01-01,1,B\n1,2024-01-01,1,A\n")
    report = load(url, tmp_path)
    assert (report.rows_changed, report.rows_unchanged, report.rows_quarantined) == (0, 1, 1)
    assert rows(url, "select street from raw.testville__requests") == [("A",)]


def test_a_large_load_is_attached_and_small_ones_are_copied(url, tmp_path, monkeypatch):
    monkeypatch.setattr(promote, "ATTACH_ROWS", 3)
    write(tmp_path, THREE)
    load(url, tmp_path)
    write(tmp_path, THREE.replace("Élm", "Oak"))
    load(url, tmp_path)
    write(tmp_path, HEADER + "".join(f"{n},2024-01-01,1,S\n" for n in range(10, 20)))
    load(url, tmp_path)
    parts = rows(url, "select count(*) from pg_inherits where inhparent = %s::regclass",
                 "raw.testville__requests")  # fmt: skip
    assert parts == [(2,)]
    assert rows(url, "select count(*), count(distinct _load_id) from raw.testville__requests") == [
        (14, 3)
    ]
    write(tmp_path, THREE.replace("Street\n", "Street,More\n").replace("Élm Street\n", "A,x\n")
          .replace(",,\n", ",,,\n").replace('lines"\n', 'lines",\n'))  # fmt: skip
    report = load(url, tmp_path)
    assert (report.rows_changed, report.rows_unchanged) == (1, 2)
    assert load(url, tmp_path).state == "unchanged"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<html><title>Sign in</title></html>", "HTML page titled 'Sign in'"),
        ("", "the file is empty"),
        (THREE + "4,2024-01-01,1", "truncated"),
        ("Unique Key,Opened On,Tons,Street\n1,2024-01-01,1,A\n", "closest is 'Opened On'"),
        ("Unique Key,request_id,Opened At,Street\n1,1,2024-01-01,A\n", "both mean request_id"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_leaves_only_a_record(url, tmp_path, text, message):
    write(tmp_path, THREE, "requests_1.csv")
    load(url, tmp_path)
    write(tmp_path, HEADER + "8,2024-01-01,1,A\nbad,2024-01-01,1,A\n", "requests_0.csv")
    write(tmp_path, text, "requests_2.csv")
    with pytest.raises(ExtractError, match=message) as caught:
        loader.stage(source(), url, tmp_path)
    assert "requests_2.csv" in str(caught.value)
    last = rows(url, "select state, message, rows_read from quality.loads order by 1 desc limit 1")
    assert last == [("failed", str(caught.value), 0)]
    assert rows(url, "select count(*) from raw.testville__requests") == [(3,)]
    assert rows(url, "select count(*) from quality.quarantine") == [(0,)]
    assert rows(url, "select to_regclass('stage.testville__requests')") == [(None,)]


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("other.csv", THREE, "file_missing"),
        ("requests.csv", "<html></html>", "malformed_file"),
        ("requests.csv", "Unique Key,Street\n1,A\n", "schema_changed"),
    ],
)
def test_a_failed_load_has_its_reason_code(url, tmp_path, name, text, code):
    write(tmp_path, text, name)
    with pytest.raises(ExtractError) as caught:
        loader.stage(source(), url, tmp_path)
    assert caught.value.reason == code
    assert rows(url, "select state, reason_code from quality.loads") == [("failed", code)]


@pytest.mark.parametrize(
    ("error", "code"), [(ValueError("odd"), "internal_error"), (KeyboardInterrupt(), "interrupted")]
)
def test_a_load_that_ends_otherwise_has_its_reason_code(url, tmp_path, monkeypatch, error, code):
    def ends(*_):
        raise error
        yield

    monkeypatch.setattr("extract.load.staging.connector", lambda _: ends)
    with pytest.raises(type(error)):
        loader.stage(source(), url, tmp_path)
    assert rows(url, "select state, reason_code from quality.loads") == [("failed", code)]


def test_a_column_that_was_there_last_time_is_missed_even_if_optional(url, tmp_path):
    write(tmp_path, THREE)
    load(url, tmp_path)
    write(tmp_path, THREE.replace("Tons", "Tonnage"))
    with pytest.raises(ExtractError, match=r"'Tons' was there in the last load.*'Tonnage'"):
        loader.stage(source(), url, tmp_path)


def test_block_keeps_a_load_out_and_the_cursor_where_it_was(url, tmp_path):
    write(tmp_path, THREE)
    load(url, tmp_path)
    write(tmp_path, THREE.replace("2024-01-04", "2025-01-04"))
    staged = loader.stage(source(), url, tmp_path)
    loader.block(staged.load_id, url, "too odd; look at it")
    assert rows(url, "select state, message, rows_accepted from quality.loads order by 1")[1] == (
        "blocked", "too odd; look at it", 0,
    )  # fmt: skip
    with pytest.raises(LoadError, match="is blocked"):
        loader.commit(staged.load_id, url, source())
    assert rows(
        url,
        "select rows_read - rows_accepted - rows_unchanged - rows_quarantined from quality.loads",
    ) == [(0,), (0,)]
    assert load(url, tmp_path).cursor_before == "2024-01-04T10:00:00"
    assert rows(url, "select count(*) from raw.testville__requests") == [(4,)]


def test_a_load_that_was_killed_before_its_commit_counts_nothing(url, tmp_path):
    write(tmp_path, THREE)
    loader.stage(source(), url, tmp_path)
    load(url, tmp_path)
    assert rows(
        url,
        "select state, rows_read, rows_accepted, rows_quarantined, reason_code "
        "from quality.loads order by load_id",
    ) == [("failed", 0, 0, 0, "interrupted"), ("accepted", 3, 3, 0, None)]


def test_an_unchanged_load_can_be_blocked_an_accepted_one_cannot(url, tmp_path):
    write(tmp_path, THREE)
    accepted = load(url, tmp_path)
    unchanged = load(url, tmp_path)
    loader.block(unchanged.load_id, url, "volume dropped")
    with pytest.raises(LoadError, match="accepted"):
        loader.block(accepted.load_id, url, "too late")


def test_committing_twice_is_once(url, tmp_path):
    write(tmp_path, THREE)
    staged = loader.stage(source(), url, tmp_path)
    first = loader.commit(staged.load_id, url, source())
    assert loader.commit(staged.load_id, url, source()) == first
    assert rows(url, "select count(*) from raw.testville__requests") == [(3,)]


def test_counts_that_do_not_add_up_are_not_committed(url, tmp_path):
    write(tmp_path, THREE)
    staged = loader.stage(source(), url, tmp_path)
    rows(url, "delete from stage.testville__requests where request_id = 1 returning 1")
    with pytest.raises(LoadError, match="staged 3 rows, but"):
        loader.commit(staged.load_id, url, source())
    rows(url, "update quality.loads set rows_read = 5 returning 1")
    with pytest.raises(LoadError, match="row counts do not reconcile"):
        loader.commit(staged.load_id, url, source())
    assert rows(url, "select count(*) from raw.testville__requests") == [(0,)]


def test_what_a_dead_process_left_is_cleaned_up(url, tmp_path):
    write(tmp_path, THREE)
    left = loader.stage(source(), url, tmp_path)
    report = load(url, tmp_path)
    assert report.rows_new == 3
    states = rows(url, "select state from quality.loads where load_id = %s", left.load_id)
    assert states == [("failed",)]
    with pytest.raises(LoadError, match="is failed"):
        loader.commit(left.load_id, url, source())


def test_quarantine_rows_moves_rows_and_counts(url, tmp_path):
    write(tmp_path, THREE)
    load(url, tmp_path)
    write(tmp_path, THREE.replace("Élm", "Oak") + "4,2024-01-01,1,D\n5,2024-01-01,1,E\n")
    staged = loader.stage(source(), url, tmp_path)
    assert (staged.rows_new, staged.rows_changed) == (2, 1)
    with psycopg.connect(url) as connection:
        failing = [("requests.csv", 1, ["street: is odd"]), ("requests.csv", 5, ["a", "b"])]
        assert loader.quarantine_rows(connection, source(), staged.load_id, failing) == 2
    report = loader.commit(staged.load_id, url, source())
    counts = (report.rows_new, report.rows_changed, report.rows_unchanged, report.rows_quarantined)
    assert counts == (1, 0, 2, 2)
    quarantined = rows(url, "select reasons, record from quality.quarantine order by source_row")
    assert quarantined[0][0] == ["street: is odd"] and quarantined[0][1]["street"] == "Oak Street"
    assert not any(key.startswith("_") for key in quarantined[0][1])


def test_quarantining_everything_leaves_an_unchanged_load(url, tmp_path):
    write(tmp_path, HEADER + "1,2024-01-01,1,A\n")
    staged = loader.stage(source(), url, tmp_path)
    with psycopg.connect(url) as connection:
        loader.quarantine_rows(connection, source(), staged.load_id, [("requests.csv", 1, ["no"])])
    assert loader.commit(staged.load_id, url, source()).state == "unchanged"


def test_two_loads_of_one_source_do_not_meet(url, tmp_path, monkeypatch):
    write(tmp_path, THREE)
    monkeypatch.setattr(source_lock.__wrapped__, "__defaults__", (0.2,))
    with (
        psycopg.connect(url, autocommit=True) as other,
        source_lock(other, source()),
        pytest.raises(LoadError, match="being loaded by another process"),
    ):
        loader.stage(source(), url, tmp_path)
    assert load(url, tmp_path).rows_new == 3


def personal_source() -> Source:
    return source(
        columns={
            "request_id": Column(type="integer", aliases=("Unique Key",)),
            "opened_at": Column(type="timestamp"),
            "name": Column(personal="drop"),
            "address": Column(personal="hash"),
            "comment": Column(personal="redact"),
        }
    )


def test_nothing_personal_is_stored_anywhere(url, tmp_path):
    write(
        tmp_path,
        "Unique Key,Opened At,Name,Address,Comment,Clerk\n"
        "1,2024-01-01,Ann Lee,Ann@Lee.org,call 555-123-4567 or ann@lee.org,ann@lee.org\n"
        "2,2024-01-02,Ann Lee,ann@lee.org ,It leaks. LEE,heard of Ms. Lee\n"
        "x,2024-01-02,Ann Lee,ann@lee.org,see ann@lee.org (lee),ann@lee.org\n"
        "3,2024-01-02,Ann Lee,ann@lee.org,1,2,3,4\n"
        "1,2024-01-01,Ann Lee,Ann@Lee.org,later ann@lee.org,\n",
    )
    report = load(url, tmp_path, personal_source(), salt=b"salt")
    assert (report.rows_new, report.rows_quarantined) == (2, 3)
    found = rows(url, "select row_to_json(r) from raw.testville__requests r")
    quarantined = rows(url, "select record from quality.quarantine")
    stored = json.dumps(
        [found, quarantined, rows(url, "select row_to_json(l) from quality.loads l")]
    )
    assert "lee" not in stored.lower() and "555" not in stored
    assert "later [email]" in json.dumps(found) and "name" not in found[0][0]
    # Quarantine keeps no text of a personal source: an unreadable key, and an older version of 1.
    comments = [row["comment"] for (row,) in quarantined if "comment" in row]
    assert comments == ["[withheld]", "[withheld]"]
    assert len({row["address"] for (row,) in found}) == 1


def test_hashing_without_a_salt_is_refused(url, tmp_path):
    write(tmp_path, "Unique Key,Opened At,Name,Address,Comment\n1,2024-01-01,a,b,c\n")
    with pytest.raises(ExtractError, match="no salt"):
        loader.stage(personal_source(), url, tmp_path)


def test_the_manifest_adds_columns_and_widens_types(url, tmp_path):
    write(tmp_path, HEADER + "1,2024-01-01,1,7\n")
    narrow = source(columns={**source().columns, "street": Column(type="integer")})
    load(url, tmp_path, narrow)
    with psycopg.connect(url) as connection:
        connection.execute("create view staging.v as select * from raw.testville__requests")
    wide = source(columns={**source().columns, "ward": Column(optional=True)})
    assert load(url, tmp_path, wide).state == "unchanged"
    kinds = dict(
        rows(
            url,
            """select column_name, data_type from information_schema.columns
                     where table_name = 'testville__requests'""",
        )
    )
    assert (kinds["street"], kinds["ward"]) == ("text", "text")
    assert load(url, tmp_path, wide).state == "unchanged"
    with pytest.raises(ExtractError, match=r"columns.street.*is bigint here but text in raw"):
        loader.stage(narrow, url, tmp_path)


def test_raw_tables_follow_their_manifests_before_a_build(url, tmp_path):
    """A staging model may read a column that was declared since the source's last load."""
    write(tmp_path, THREE)
    load(url, tmp_path)
    declared = source().columns
    narrowed = {**declared, "street": Column(type="integer")}
    grown = {**declared, "ward": Column(type="integer", optional=True)}
    city = City.model_construct(
        sources=(
            source(columns=narrowed),
            source(columns=grown),
            source(source="letters", cursor=None),
        )
    )
    (problem,) = loader.ensure_raw_tables(url, [city])
    assert "columns.street: is bigint here but text in raw.testville__requests" in str(problem)
    assert rows(url, "select ward, count(*) from raw.testville__requests group by 1") == [(None, 3)]
    assert rows(url, "select count(*) from raw.testville__letters") == [(0,)]
    assert loader.ensure_raw_tables(url, [City.model_construct(sources=(source(),))]) == []


def test_snapshot_needs_to_be_in_the_manifest(url, tmp_path):
    with pytest.raises(ExtractError, match="snapshot"):
        loader.stage(source(), url, tmp_path, mode="snapshot")


def test_raw_tables_exist_before_the_first_load(url):
    with psycopg.connect(url) as connection:
        loader.ensure_raw_table(connection, personal_source())
    names = [name for (name,) in rows(
        url, """select column_name from information_schema.columns
                where table_name = 'testville__requests' order by ordinal_position""")]  # fmt: skip
    assert names == [
        "request_id", "opened_at", "address", "comment",
        "_load_id", "_row_hash", "_source_file", "_source_row",
    ]  # fmt: skip
