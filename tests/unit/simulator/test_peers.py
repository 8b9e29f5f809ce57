"""The simulated peers' exchange files: they grow, keep what was published, and have their gaps."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import pytest

from catalog.indicators import load_indicators
from catalog.peers import load_peer_groups
from simulator import peers

KEY = ("city_id", "indicator", "months", "period_start")
Rows = dict[tuple[str, ...], dict[str, str]]


def published(folder: Path, last_day: date) -> Rows:
    peers.write(folder, last_day)
    rows = []
    for path in sorted((folder / peers.FOLDER).glob("*.csv")):
        with path.open(newline="") as file:
            rows += csv.DictReader(file)
    found = {tuple(row[name] for name in KEY): row for row in rows}
    assert len(found) == len(rows)
    return found


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    return published(tmp_path_factory.mktemp("peers"), date(2024, 3, 31))


def test_what_was_published_stays_when_the_files_grow(tmp_path: Path, rows: Rows):
    before = published(tmp_path, date(2024, 2, 28))
    assert {row["period_start"] for row in before.values() if row["months"] == "1"} < {
        row["period_start"] for row in rows.values()
    }
    assert before.items() < rows.items()
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / peers.FOLDER).iterdir()}
    assert published(tmp_path, date(2024, 2, 28)) == before
    assert {path: path.stat().st_mtime_ns for path in files} == files


def test_a_month_is_published_once_it_has_ended(rows: Rows):
    assert max(row["published_on"] for row in rows.values()) == "2024-03-31"
    assert max(r["period_start"] for r in rows.values() if r["months"] == "1") == "2024-03-01"


def test_figures_are_of_declared_indicators_and_possible(rows: Rows):
    declared = {one.id: one for one in load_indicators()}
    assert set(peers.LEVELS) <= set(declared)
    regions = load_peer_groups().regions
    limits = {"%": (0, 100), "share": (0, 1), "-1 to 1": (-1, 1)}
    for row in rows.values():
        indicator = declared[row["indicator"]]
        assert row["unit"] == indicator.unit and row["region"] in regions
        assert (row["value"] == "") is (int(row["n"]) < indicator.min_n)
        if row["value"]:
            low, high = limits.get(indicator.unit, (0, float("inf")))
            assert low <= float(row["value"]) <= high, row


def test_the_cities_have_the_gaps_that_leave_a_city_out(rows: Rows):
    declared = {one.id: one for one in load_indicators()}

    def of(city_id: str) -> list[dict[str, str]]:
        return [row for row in rows.values() if row["city_id"] == city_id]

    assert len({row["city_id"] for row in rows.values()}) == 8
    assert all("(simulated)" in row["city_name"] for row in rows.values())
    assert not [r for r in of("cobalt_springs") if declared[r["indicator"]].field == "Parks"]
    for row in of("brightwater"):
        other = row["indicator"] == "median_days_to_close"
        if other or row["indicator"] == "closed_on_time_pct":
            assert int(row["version"]) == declared[row["indicator"]].version + other
    assert {r["indicator"] for r in of("dunmore_heights") if r["sample"]} == {
        name for name in peers.LEVELS if declared[name].field == "Traffic safety"
    }
    assert [r for r in of("fairmeadow") if r["indicator"] == "net_sentiment" and not r["value"]]
