"""Connectors on files as departments leave them: what is read, what is rejected, what refused."""

from __future__ import annotations

import datetime
import gzip
import json
import sqlite3
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catalog.models import Column, Reader, Source
from extract.connectors import connector
from extract.errors import ExtractError


def read(folder: Path, name: str, pattern: str | None = None, cursor=None, **options):
    """Return (rows as dicts with `#` their number, rejected rows, batches)."""
    reader = Reader(connector=name, files=(pattern,) if pattern else (), options=options)
    source = Source(
        source="s", department="d", title="t", grain="g", owner="o", licence="l", tier="open",
        cadence="@daily", primary_key=("a",), cursor="changed_at", read=reader,
        columns={"a": Column(), "changed_at": Column(type="timestamp", aliases=("Changed At",))},
        path=Path("s.yml"),
    )  # fmt: skip
    batches = list(connector(name)(reader, source, folder, cursor))
    rows = [
        {"#": int(number), **row}
        for batch in batches
        for number, row in zip(batch.rows, batch.table.to_pylist(), strict=True)
    ]
    return rows, [row for batch in batches for row in batch.rejected], batches


def csv(folder: Path, data: bytes | str, **options):
    (folder / "f.csv").write_bytes(data.encode() if isinstance(data, str) else data)
    return read(folder, "csv", "f.csv", **options)


# csv

_GZIP = gzip.compress(b"".join(b"%d,%d\n" % (n, n * n) for n in range(5000)), mtime=0)
DAMAGED = _GZIP[:3000] + b"\xff" * 8 + _GZIP[3008:]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_csv_newlines(tmp_path, newline):
    rows, rejected, _ = csv(tmp_path, newline.join(["a,b", "1,2", '3,"4"', ""]))
    assert rows == [{"#": 1, "a": "1", "b": "2"}, {"#": 2, "a": "3", "b": "4"}] and not rejected


@pytest.mark.parametrize(
    ("encoding", "given"),
    [("utf-8", {}), ("utf-8-sig", {}), ("utf-16", {}), ("latin-1", {"encoding": "latin-1"}),
     ("utf-16-le", {"encoding": "utf-16-le"}), ("cp1252", {"encoding": "cp1252"})],
)  # fmt: skip
@pytest.mark.parametrize("packed", [False, True])
def test_csv_encodings_plain_and_gzip(tmp_path, encoding, given, packed):
    data = "é,b\nñ,\nü,ß\n".encode(encoding)
    rows, _, batches = csv(tmp_path, gzip.compress(data, mtime=0) if packed else data, **given)
    assert rows == [{"#": 1, "é": "ñ", "b": None}, {"#": 2, "é": "ü", "b": "ß"}]
    assert batches[0].file.columns == ["é", "b"] and len(batches[0].file.sha256) == 64


def test_csv_quotes_delimiter_skipped_rows_and_nulls(tmp_path):
    rows, _, _ = csv(
        tmp_path,
        'A title\n\n"a;\n1";b\n"x;\n""y""";N/A\n"";5" pipe\n',
        delimiter=";",
        skip_rows=1,
        nulls=["N/A"],
    )
    assert rows == [
        {"#": 1, "a;\n1": 'x;\n"y"', "b": None},
        {"#": 2, "a;\n1": None, "b": '5" pipe'},
    ]


def test_csv_without_header_and_without_quoting(tmp_path):
    rows, _, _ = csv(tmp_path, '1,"x\n2,y\n', header=["a", "b"], quote="")
    assert rows == [{"#": 1, "a": "1", "b": '"x'}, {"#": 2, "a": "2", "b": "y"}]


def test_csv_rows_keep_their_numbers_around_ragged_ones(tmp_path, monkeypatch):
    monkeypatch.setattr("extract.connectors.delimited.BLOCK", 256)
    monkeypatch.setattr("extract.connectors.delimited.BATCH", 600)
    lines = [f"{n},x" if n % 7 else f"{n}" if n % 2 else f"{n},x,y" for n in range(1, 501)]
    rows, rejected, batches = csv(tmp_path, "a,b\n" + "\n".join(lines) + "\n")
    assert len(batches) > 5
    assert [row["#"] for row in rows] == [int(row["a"]) for row in rows]
    assert [item.row for item in rejected] == [n for n in range(1, 501) if n % 7 == 0]
    assert rejected[0].reason == "has 1 field where the header has 2" and rejected[0].text == "7"
    assert rejected[1].reason == "has 3 fields where the header has 2"


def test_csv_of_many_files_in_order_of_names(tmp_path):
    for name, data in (("b.csv", "x\n2\n"), ("a.csv", "y,x\n1,1\n")):
        (tmp_path / name).write_text(data)
    rows, _, batches = read(tmp_path, "csv", "*.csv")
    assert rows == [{"#": 1, "y": "1", "x": "1"}, {"#": 1, "x": "2"}]
    assert [batch.file.path for batch in batches if len(batch.rows)] == ["a.csv", "b.csv"]


def test_csv_header_only_is_a_file_without_rows(tmp_path):
    rows, rejected, batches = csv(tmp_path, "a,b\n")
    assert rows == [] and rejected == [] and batches[0].file.columns == ["a", "b"]


@pytest.mark.parametrize("end", ['3,"whole"', '3,"a""b"', '3,"two\nlines"', "3,", "3,x"])
@pytest.mark.parametrize("newline", ["", "\n"])
def test_csv_that_is_whole_is_not_called_truncated(tmp_path, end, newline):
    rows, _, _ = csv(tmp_path, f"a,b\n1,2\n{end}{newline}")
    assert [row["a"] for row in rows] == ["1", "3"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "no header"),
        (b"a,b\n1,2\n3", "record 2: the last, is cut off"),
        (b'a,b\n1,2\n3,"x', "opens a quote that nothing closes"),
        (b'a,b\n1,2\n3,"x\n4,5\n6,7\n', "opens a quote that nothing closes"),
        (b'a,b\n1,2\n"3,x\n4,5\n', "record 2"),
        (b"<!DOCTYPE html><html><title>Sorry</title></html>", "HTML page titled 'Sorry'"),
        (b"\n <html><body>", "HTML page"),
        (b'{"error": true}', "is JSON in place of delimited text"),
        (b"PK\x03\x04\x14\0", "ZIP archive .* in place of text"),
        (gzip.compress(b"%PDF-1.7\n", mtime=0), "PDF document in place of text"),
        (b'<?xml version="1.0"?>\n<response><row/></response>', "XML document in place of text"),
        (b"<Error>\n  <Code>AccessDenied</Code></Error>", "XML document in place of text"),
        (b"a,b\n1,2\n2,\xe9\n", r"line 3: byte 0xe9 is not utf-8.*encoding"),
        (b"a;b\n1;2,3\n4;5,6\n", "none of its 2 records"),
        (gzip.compress(b"a,b\n" + b"1,2\n" * 9999, mtime=0)[:-9], "gzip file ends too early"),
        (gzip.compress(b"<html></html>", mtime=0), "HTML page"),
        (DAMAGED, "gzip data are damaged"),
    ],
)
def test_csv_that_is_no_data_is_refused_with_the_place(tmp_path, data, message):
    with pytest.raises(ExtractError, match=message) as caught:
        csv(tmp_path, data)
    assert caught.value.place.startswith(str(tmp_path / "f.csv")) and caught.value.remedy


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<html><title>Sorry</title></html>", "HTML page titled 'Sorry'"),
        (b"a,b\n1,2\n", "is not utf-16.*byte-order mark"),
        ("a,b\n1,2\n".encode("utf-16") + b"3", r"line 3: ends in half a character.*truncated"),
    ],
)
def test_utf_16_that_is_none_or_is_cut_is_reported(tmp_path, data, message):
    with pytest.raises(ExtractError, match=message):
        csv(tmp_path, data, encoding="utf-16")


def test_json_in_place_of_a_table_is_not_quoted_for_it_may_name_people(tmp_path):
    with pytest.raises(ExtractError, match="is JSON") as caught:
        csv(tmp_path, b'[{"name": "Jane Doe"}]')
    assert "Jane" not in str(caught.value)


def test_a_quote_that_swallows_megabytes_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr("extract.connectors.delimited.BLOCK", 1000)
    with pytest.raises(ExtractError, match="opens a quote that nothing closes"):
        csv(tmp_path, 'a,b\n1,2\n3,"x\n' + "4,5\n" * 2000)


def test_a_missing_file_and_an_unknown_option_are_reported(tmp_path):
    with pytest.raises(ExtractError, match="no file matches"):
        read(tmp_path, "csv", "nothing*.csv")
    with pytest.raises(ExtractError, match=r"no file matches.*\(Manifest: .*s\.yml, read\)"):
        read(tmp_path, "csv", "nothing*.csv")
    with pytest.raises(ExtractError, match=r"s\.yml: read\.options\.delimeter: .*'delimiter'\?"):
        csv(tmp_path, "a\n1\n", delimeter=";")
    with pytest.raises(ExtractError, match=r"s\.yml: read\.files: is missing\. Name the files"):
        read(tmp_path, "csv")
    with pytest.raises(ExtractError, match=r"'cvs': is not a connector\. Did you mean 'csv'\?"):
        connector("cvs")


# json


def test_jsonl_values_of_every_kind(tmp_path):
    lines = ['{"a": 1, "b": 1.50, "c": true, "d": "", "e": null}', "",
             '{"a": 2.0, "f": {"x": [1, 2.5]}, "g": "é"}']  # fmt: skip
    (tmp_path / "f.jsonl").write_text("\n".join(lines))
    rows, _, batches = read(tmp_path, "jsonl", "f.jsonl")
    kept = [{k: v for k, v in row.items() if v is not None} for row in rows]
    assert kept == [
        {"#": 1, "a": "1", "b": "1.5", "c": "true"},
        {"#": 2, "a": "2", "f": '{"x":[1,2.5]}', "g": "é"},
    ]
    assert batches[0].file.sparse


def test_jsonl_lines_that_are_no_object_are_rejected(tmp_path):
    (tmp_path / "f.jsonl").write_text('{"a": 1}\n{"a": 2,}\n[3]\n{}\n{"a": 5}\n')
    rows, rejected, _ = read(tmp_path, "jsonl", "f.jsonl")
    assert [(row["#"], row["a"]) for row in rows] == [(1, "1"), (5, "5")]
    assert [(item.row, item.reason[:13]) for item in rejected] == [
        (2, "is not JSON ("), (3, "is not a JSON"), (4, "is an empty o"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("jsonl", '{"a": 1}\n{"a": ', "record 2: the last, is cut off"),
        ("jsonl", "no\njson\n", "none of its 2 lines"),
        ("jsonl", "<html></html>", "HTML page"),
        ("json", '[{"a": 1}, {"a"', "line 1, column .* ends too early"),
        ("json", '[{"a": 1},, {"a": 2}]', "is not JSON"),
        ("json", "[" * 100_000, "nested too deep"),
        ("jsonl", "[" * 100_000 + "\n", "none of its 1 lines"),
        ("json", '{"error": "no"}', "a dict with the keys error where a list"),
        ("geojson", '{"features": 3}', "no GeoJSON feature collection"),
    ],
)
def test_json_that_is_no_data_is_refused(tmp_path, name, data, message):
    (tmp_path / "f").write_text(data)
    with pytest.raises(ExtractError, match=message):
        read(tmp_path, name, "f")


def test_json_document_with_its_list_inside(tmp_path):
    (tmp_path / "f.json").write_text(json.dumps({"response": {"items": [{"a": 1}, 7, {"a": 3}]}}))
    rows, rejected, _ = read(tmp_path, "json", "f.json", records="response.items")
    assert [row["a"] for row in rows] == ["1", "3"] and rejected[0].row == 2
    with pytest.raises(ExtractError, match="there is no 'item'; found: items"):
        read(tmp_path, "json", "f.json", records="response.item")


# fixed width

LAYOUT = [
    {"name": "number", "start": 1, "length": 4},
    {"name": "name", "start": 5, "length": 6},
    {"name": "day", "start": 11, "length": 8},
]


def test_fixed_width_cuts_by_characters(tmp_path):
    lines = ["0001José  20240102", "0002      00000000", "000", "0004Ann   20240105 more"]
    (tmp_path / "f.txt").write_bytes(("\r\n".join(lines) + "\r\n\x1a").encode("latin-1"))
    rows, rejected, _ = read(
        tmp_path, "fixed_width", "f.txt", layout=LAYOUT, encoding="latin-1", nulls=["00000000"]
    )
    assert rows == [
        {"#": 1, "number": "0001", "name": "José", "day": "20240102"},
        {"#": 2, "number": "0002", "name": None, "day": None},
        {"#": 4, "number": "0004", "name": "Ann", "day": "20240105"},
    ]
    assert rejected[0].row == 3 and "3 characters where the layout needs 18" in rejected[0].reason


def test_fixed_width_of_a_mainframe_without_newlines(tmp_path):
    data = "0001ANN   202401020002BOB   20240103".encode("cp037")
    (tmp_path / "f.dat").write_bytes(data)
    options = {"layout": LAYOUT, "encoding": "cp037", "record_length": 18}
    rows, _, _ = read(tmp_path, "fixed_width", "f.dat", **options)
    assert [row["name"] for row in rows] == ["ANN", "BOB"]
    (tmp_path / "f.dat").write_bytes(data[:-3])
    with pytest.raises(ExtractError, match="record 2: has 15 of 18 characters"):
        read(tmp_path, "fixed_width", "f.dat", **options)


def test_fixed_width_that_is_cut_or_has_another_layout_is_refused(tmp_path):
    (tmp_path / "f.txt").write_text("0001Ann   20240102\n0002Bo")
    with pytest.raises(ExtractError, match="record 2: the last, is cut off"):
        read(tmp_path, "fixed_width", "f.txt", layout=LAYOUT)
    (tmp_path / "f.txt").write_text("1\n2\n")
    with pytest.raises(ExtractError, match="all of its 2 records are shorter"):
        read(tmp_path, "fixed_width", "f.txt", layout=LAYOUT)
    with pytest.raises(ExtractError, match=r"layout\[0\]"):
        read(tmp_path, "fixed_width", "f.txt", layout=[{"name": "a", "start": 0, "length": 1}])


# excel


def workbook(path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.title = "Notes"
    sheet = book.create_sheet("Tonnage")
    for row in (
        ["Department of Sanitation"],
        ["District", "Month", "Disposed", None, "Recycled", None],
        [None, None, "Refuse", "Other", "Paper", "Metal"],
        ["D01", datetime.date(2024, 1, 1), 10, 1.5, 3, None],
        ["D02", datetime.datetime(2024, 1, 1, 6, 30), "n/a", 2, 4, True],
        [],
        ["Total 2024-01", None, 10, 3.5, 7, None],
        ["D03", None, 5, None, None, None],
    ):
        sheet.append(row)
    for merged in ("A2:A3", "B2:B3", "C2:D2", "E2:F2"):
        sheet.merge_cells(merged)
    book.save(path)


def test_excel_merged_headers_are_joined_and_totals_left_out(tmp_path):
    workbook(tmp_path / "f.xlsx")
    rows, _, batches = read(
        tmp_path,
        "excel",
        "f.xlsx",
        sheet="Tonnage",
        skip_rows=1,
        header_rows=2,
        total_rows="^Total",
    )
    assert batches[0].file.columns == [
        "District", "Month", "Disposed Refuse", "Disposed Other", "Recycled Paper",
        "Recycled Metal",
    ]  # fmt: skip
    assert [list(row.values()) for row in rows] == [
        [4, "D01", "2024-01-01", "10", "1.5", "3", None],
        [5, "D02", "2024-01-01T06:30:00", "n/a", "2", "4", "true"],
        [8, "D03", None, "5", None, None, None],
    ]


def test_excel_that_is_none_or_lacks_the_sheet_is_refused(tmp_path):
    workbook(tmp_path / "f.xlsx")
    with pytest.raises(ExtractError, match=r"no sheet 'Tonage'; it has Notes, Tonnage.*'Tonnage'"):
        read(tmp_path, "excel", "f.xlsx", sheet="Tonage")
    whole = (tmp_path / "f.xlsx").read_bytes()
    for data, message in (
        (b"", "is empty"),
        (b"<html>", "HTML page"),
        (b"\n<!-- 502 -->\n<!DOCTYPE html>\n<html>", "HTML page"),
        (b'{"error": "no such report"}', "is no workbook"),
        (whole[:-200], "no readable workbook"),
    ):
        (tmp_path / "g.xlsx").write_bytes(data)
        with pytest.raises(ExtractError, match=message):
            read(tmp_path, "excel", "g.xlsx")


# sql


@pytest.fixture
def database(tmp_path):
    with sqlite3.connect(tmp_path / "line.db") as connection:
        connection.execute('create table requests (a integer, "Changed At" text, note text)')
        connection.executemany(
            "insert into requests values (?, ?, ?)",
            [(n, f"2024-01-{n:02} 10:00:00", "two" if n == 2 else None) for n in range(1, 6)],
        )
    return tmp_path


def test_sql_table_and_query(database):
    url = "sqlite:///line.db"
    rows, _, batches = read(database, "sql", url=url, table="requests")
    assert rows[1] == {"#": 2, "a": "2", "Changed At": "2024-01-02 10:00:00", "note": "two"}
    assert len(rows) == 5 and batches[0].file.path == "line.db:requests"
    rows, _, _ = read(database, "sql", url=url, query="select a from requests where a > 3;")
    assert [row["a"] for row in rows] == ["4", "5"]


@pytest.mark.parametrize("origin", [{"table": "requests"}, {"query": "select * from requests"}])
def test_sql_goes_on_from_the_cursor_with_its_ties(database, origin):
    rows, _, _ = read(
        database, "sql", cursor="2024-01-04T10:00:00", url="sqlite:///line.db", **origin
    )
    assert [row["a"] for row in rows] == ["4", "5"]


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        (lambda data: data[:-1], "8191 of 8192 bytes: the database is truncated"),
        (lambda data: data[:4096], "the database is truncated"),
        (lambda data: b"", "the file is empty"),
        (lambda data: b"<!DOCTYPE html><html>", "no SQLite database"),
    ],
)
def test_a_database_file_that_is_not_whole_is_refused(database, cut, message):
    path = database / "line.db"
    path.write_bytes(cut(path.read_bytes()))
    with pytest.raises(ExtractError, match=message):
        read(database, "sql", url="sqlite:///line.db", table="requests")


@pytest.mark.parametrize("place", ["../line.db", "/{outside}/line.db", "link.db"])
def test_a_database_outside_the_drop_folder_is_not_opened(database, monkeypatch, place):
    drop = database / "drop"
    drop.mkdir()
    (drop / "link.db").symlink_to(database / "line.db")
    monkeypatch.setenv("PLACE", place.format(outside=database))
    with pytest.raises(ExtractError, match=r"file outside .*/drop, the only folder"):
        read(drop, "sql", url="sqlite:///${PLACE}", table="requests")
    inside = database / "link to the drop"
    inside.symlink_to(database)
    assert len(read(inside, "sql", url="sqlite:///line.db", table="requests")[0]) == 5


def test_files_outside_the_drop_folder_are_not_read(tmp_path):
    drop = tmp_path / "drop"
    (drop / "inside").mkdir(parents=True)
    (tmp_path / "secret.csv").write_text("a\n1\n")
    (drop / "f.csv").write_text("a\n1\n")
    (drop / "inside" / "f.csv").symlink_to(drop / "f.csv")
    assert len(read(drop, "csv", "inside/f.csv")[0]) == 1
    (drop / "g.csv").symlink_to(tmp_path / "secret.csv")
    (drop / "folder").symlink_to(tmp_path)
    for pattern in ("*.csv", "folder/secret.csv", "folder/*.csv"):
        with pytest.raises(ExtractError, match=r"is a link to a file outside .*/drop, the only"):
            read(drop, "csv", pattern)


def test_sql_errors_name_the_database_and_no_password(database, monkeypatch):
    with pytest.raises(ExtractError, match="no such table: nothing"):
        read(database, "sql", url="sqlite:///line.db", table="nothing")
    with pytest.raises(ExtractError, match="no such database"):
        read(database, "sql", url="sqlite:///gone.db", table="requests")
    assert not (database / "gone.db").exists()
    for password in ("hunter2", "p@hunter2", "p%40hunter2"):
        monkeypatch.setenv("LINE_PASSWORD", password)
        with pytest.raises(ExtractError) as caught:
            url = "postgresql+psycopg://reader:${LINE_PASSWORD}@127.0.0.1:9/line"
            read(database, "sql", url=url, table="requests")
        assert "hunter2" not in str(caught.value) and "127.0.0.1:9/line" in str(caught.value)


# geojson, parquet


def features(crs: str | None, *points: tuple[float, float]) -> str:
    collection = {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "properties": {"a": n, "b": None},
             "geometry": {"type": "Point", "coordinates": point}}
            for n, point in enumerate(points)
        ],
    }  # fmt: skip
    if crs:
        collection["crs"] = {"type": "name", "properties": {"name": crs}}
    return json.dumps(collection)


def test_geojson_in_feet_comes_out_in_degrees(tmp_path):
    # City Hall of New York in State Plane feet.
    text = features("urn:ogc:def:crs:EPSG::2263", (982000, 198900))
    (tmp_path / "f.geojson.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    (row,), _, _ = read(tmp_path, "geojson", "f.geojson.gz")
    longitude, latitude = json.loads(row["geometry"])["coordinates"]
    assert abs(longitude + 74.006) < 0.01 and abs(latitude - 40.7127) < 0.01
    assert row["a"] == "0"


@pytest.mark.parametrize(
    ("feature", "reason"),
    [
        ("x", "is not a GeoJSON feature"),
        (None, "is not a GeoJSON feature"),
        ({"properties": [1]}, "properties: are not an object"),
        ({"geometry": "POINT (1 2)"}, "geometry: is not a GeoJSON geometry"),
        ({"geometry": {"coordinates": [1, 2]}}, "geometry: is not a GeoJSON geometry"),
        ({"geometry": {"type": "Point"}}, "geometry: has no coordinates"),
        ({"geometry": {"type": "Point", "coordinates": "1 2"}}, "geometry: has no coordinates"),
        ({"geometry": {"type": "Point", "coordinates": [1]}}, "geometry: has no coordinates"),
        ({"geometry": {"type": "Polygon", "coordinates": [[["a", "b"]]]}}, "has no coordinates"),
    ],
)
def test_a_malformed_feature_is_rejected_and_the_others_are_read(tmp_path, feature, reason):
    collection = json.loads(features(None, (-74, 40.5), (-74, 40.6)))
    collection["features"].insert(1, feature)
    collection["crs"] = "EPSG:4326"  # as some write it
    (tmp_path / "f.geojson").write_text(json.dumps(collection))
    rows, rejected, _ = read(tmp_path, "geojson", "f.geojson")
    assert [row["#"] for row in rows] == [1, 3]
    assert rejected[0].row == 2 and reason in rejected[0].reason


def test_a_feature_without_coordinates_has_no_geometry(tmp_path):
    collection = json.loads(features(None, (-74, 40.5)))
    collection["features"][0]["geometry"] = {"type": "Polygon", "coordinates": []}
    (tmp_path / "f.geojson").write_text(json.dumps(collection))
    (row,), _, _ = read(tmp_path, "geojson", "f.geojson")
    assert row["geometry"] is None


def test_geojson_without_a_system_is_in_degrees_or_needs_one(tmp_path):
    (tmp_path / "f.geojson").write_text(features(None, (-74, 40.5)))
    (row,), _, _ = read(tmp_path, "geojson", "f.geojson")
    assert json.loads(row["geometry"]) == {"type": "Point", "coordinates": [-74, 40.5]}
    (tmp_path / "f.geojson").write_text(features(None, (982000, 198900)))
    with pytest.raises(ExtractError, match=r"feature 1: .* no longitude and latitude.*options.crs"):
        read(tmp_path, "geojson", "f.geojson")
    (row,), _, _ = read(tmp_path, "geojson", "f.geojson", crs="EPSG:2263")
    assert -75 < json.loads(row["geometry"])["coordinates"][0] < -73


def test_parquet_keeps_types_and_a_cut_one_is_refused(tmp_path):
    table = pa.table({"a": [1, 2], "b": ["x", ""], "c": [datetime.date(2024, 1, 1), None]})
    pq.write_table(table, tmp_path / "f.parquet")
    rows, _, batches = read(tmp_path, "parquet", "f.parquet")
    assert rows == [
        {"#": 1, "a": 1, "b": "x", "c": datetime.date(2024, 1, 1)},
        {"#": 2, "a": 2, "b": None, "c": None},
    ]
    (tmp_path / "f.parquet").write_bytes((tmp_path / "f.parquet").read_bytes()[:-10])
    with pytest.raises(ExtractError, match="no whole Parquet file"):
        read(tmp_path, "parquet", "f.parquet")
    assert batches[0].file.columns == ["a", "b", "c"]
