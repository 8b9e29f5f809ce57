"""Real files of cities, read as their manifests say; skipped where ../shared/data is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.models import Column, Reader, Source
from extract.connectors import connector
from extract.dry_run import dry_run
from extract.errors import ExtractError
from extract.manifests import load_city

DATA = Path(__file__).resolve().parents[4] / "shared/data"
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the checkout"),
]


@pytest.mark.parametrize(
    ("source", "rows"),
    [
        ("service_requests", 11_691),
        ("waste_tonnage", 20_871),
        ("collisions", 9_534),
        ("rodent_inspections", 10_402),
        ("capital_projects", 12_587),
        ("taxi_trips", 240_000),
        ("community_districts", 71),
    ],
)
def test_new_yorks_files_are_read_to_the_last_row(source, rows):
    result = dry_run(load_city("nyc").source(source), DATA / "nyc", "snapshot")
    assert (result.rows, result.quarantined) == (rows, 0)


def read(name: str, file: str, **options) -> tuple[list[dict], int]:
    reader = Reader(connector=name, files=(file,), options=options)
    source = Source(
        source="s", department="d", title="t", grain="g", owner="o", licence="l", tier="open",
        cadence="@daily", primary_key=("a",), read=reader, columns={"a": Column()},
    )  # fmt: skip
    batches = list(connector(name)(reader, source, DATA / "messy", None))
    rows = [row for batch in batches for row in batch.table.to_pylist()]
    return rows, sum(len(batch.rejected) for batch in batches)


@pytest.mark.parametrize(
    ("file", "options", "rows", "rejected", "first"),
    [
        ("csvkit/examples/test_utf16_little.csv", {}, 2, 0, {"a": "1", "b": "2", "c": "3"}),
        ("csvkit/examples/test_utf8_bom.csv", {}, 2, 0, {"foo": "1", "bar": "2", "baz": "3"}),
        ("csvkit/examples/mac_newlines.csv", {}, 2, 0, None),
        ("csvkit/examples/bad.csv", {}, 1, 2, {"column_a": "0"}),
        ("csvkit/examples/optional_quote_characters.csv", {}, 1, 0, None),
        ("csvkit/examples/dummy.csv.gz", {}, 1, 0, {"a": "1", "b": "2", "c": "3"}),
        ("medellin_homicides.csv", {"delimiter": ";"}, 9360, 0, {"sexo": "Mujer"}),
        ("messytables/horror/spanish_chars.csv", {"encoding": "latin-1"}, 116, 0, None),
        ("messytables/horror/utf-16le_encoded.csv", {}, 327, 0, None),
        ("qsv/boston311-100-with-nonascii.csv", {}, 100, 0, None),
        ("qsv/utf8-japanesedata.csv", {}, 62, 0, None),
        ("messytables/horror/skip_initials.csv", {}, 2, 0, None),
    ],
)  # fmt: skip
def test_ugly_text_files(file, options, rows, rejected, first):
    found, dropped = read("csv", file, **options)
    assert (len(found), dropped) == (rows, rejected)
    assert first is None or first.items() <= found[0].items()


def test_latin1_of_montreal_with_its_short_rows_rejected():
    found, rejected = read(
        "csv", "latin1/montreal_bikes_2012.csv", delimiter=";", encoding="latin-1"
    )
    assert len(found) + rejected == 310 and "Brébeuf (données non disponibles)" in found[0]


def test_rows_that_all_lack_fields_are_refused():
    with pytest.raises(ExtractError, match="none of its 3000 records"):
        read("csv", "ragged_csv/nyc311_2014_ragged_3000.csv")


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("messytables/horror/encrypted_no_password.xls", "protected by a password"),
        ("messytables/horror/simple.zip", "no readable workbook"),
        ("messytables/horror/html.html", "HTML page"),
    ],
)
def test_what_is_no_open_workbook_is_refused(file, message):
    with pytest.raises(ExtractError, match=message):
        read("excel", file)


@pytest.mark.parametrize(
    ("file", "options", "rows"),
    [
        ("excel/nyc_schools_demographic_snapshot.xlsx", {"sheet": "Borough"}, 25),
        ("csvkit/examples/test.xls", {}, 5),
        ("messytables/horror/simple.ods", {}, 3),
        ("messytables/horror/span_rich.xls", {}, 5),
    ],
)
def test_workbooks_of_all_kinds(file, options, rows):
    found, _ = read("excel", file, **options)
    assert len(found) == rows


def test_fixed_width_of_the_census():
    layout = [
        {"name": "fileid", "start": 1, "length": 6},
        {"name": "stusab", "start": 7, "length": 2},
        {"name": "sumlev", "start": 9, "length": 3},
    ]
    file = "csvkit/examples/realdata/census_2010/ilgeo2010_excerpt.pl"
    found, rejected = read("fixed_width", file, layout=layout, encoding="latin-1")
    assert len(found) == 1000 and rejected == 0
    assert found[0] == {"fileid": "PLST", "stusab": "IL", "sumlev": "040"}
