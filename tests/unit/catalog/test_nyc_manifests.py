from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pytest

from catalog.models import Source, normalise
from extract.manifests import load_city

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "nyc"
CITY = load_city("nyc")


def _files(source: Source) -> list[Path]:
    reader = source.snapshot or source.read
    return [path for pattern in reader.files for path in sorted(DATA.glob(pattern))]


def _headers(path: Path) -> set[str]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
        return {normalise(header) for header in next(csv.reader(file))}


def test_every_source_can_be_read_live_and_from_a_snapshot():
    for source in CITY.sources:
        assert source.snapshot is not None, source.source
        if source.read.connector == "socrata":
            assert source.read.options["domain"] == "data.cityofnewyork.us"
            assert len(source.read.options["dataset"]) == 9


@pytest.mark.real_data
@pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the checkout")
@pytest.mark.parametrize("source", CITY.sources, ids=lambda source: source.source)
def test_columns_that_all_files_have_are_not_optional_and_no_others(source: Source):
    files = _files(source)
    assert files, source.snapshot
    if source.snapshot.connector != "csv":
        return
    headers = [_headers(path) for path in files]
    for name, column in source.columns.items():
        names = {name, *map(normalise, column.aliases)}
        in_all = all(names & header for header in headers)
        assert column.optional is not in_all, name
    if source.other_columns == "keep":
        declared = {n for c, k in source.columns.items() for n in (c, *map(normalise, k.aliases))}
        assert set.intersection(*headers) - {"unnamed"} <= declared
