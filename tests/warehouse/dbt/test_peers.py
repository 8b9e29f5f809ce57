"""Cities compared: the demo city's first months and its peers' files, ranked again by polars."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from catalog.indicators import load_indicators
from catalog.peers import load_peer_groups
from simulator import peers

SOURCES = ("districts", "service_requests", "collection_rounds", "collisions", "peer_figures")
MONTH = date(2023, 3, 1)
BAND_REGION = [city for city in peers.CITIES if city.region == "midwest"]


@pytest.fixture(scope="module")
def compared(built, drop: Path, tmp_path_factory: pytest.TempPathFactory):
    built.load("demo", SOURCES, drop, tmp_path_factory.mktemp("docs"))
    built.build()
    return built


def test_ranks_and_percentiles_are_those_of_the_files(compared, drop: Path):
    """Every metric of a month: places by direction, equal values together, percentile of others."""
    files = pl.concat(
        pl.read_csv(path, try_parse_dates=True, schema_overrides={"sample": pl.String})
        for path in sorted((drop / peers.FOLDER).glob("*.csv"))
    ).filter((pl.col("period_start") == MONTH) & (pl.col("months") == 1))
    checked = 0
    for indicator in load_indicators():
        own = compared.rows(
            "select n, value from marts.fct_kpi where city_id = 'demo' and district_id = '*' "
            f"and metric_id = '{indicator.id}' and period_start = '{MONTH}' and is_complete"
        )
        if not own or own[0][1] is None or indicator.direction == "none":
            continue
        fit = files.filter(
            (pl.col("region") == "midwest")
            & (pl.col("indicator") == indicator.id)
            & (pl.col("version") == indicator.version)
            & pl.col("sample").is_null()
            & (pl.col("n") >= indicator.min_n)
            & pl.col("value").is_not_null()
        )
        others = fit["value"].round(6).to_list()
        sign = 1 if indicator.direction == "higher" else -1
        value = own[0][1]
        worse = sum(sign * other < sign * value for other in others)
        equal = others.count(value)
        rank = 1 + len(others) - worse - equal
        enough = len(others) + 1 >= load_peer_groups().min_cities
        percentile = round(100 * (worse + equal / 2) / len(others), 1) if enough else None
        shown = compared.rows(
            "select rank, n_cities, percentile, n_left_out "
            "from reporting.rpt_peer_standing where city_id = 'demo' "
            f"and group_id = 'band_region' and metric_id = '{indicator.id}' "
            f"and period_months = 1 and period_start = '{MONTH}'"
        )
        if indicator.aggregate in ("count", "sum", "stock"):
            assert not shown, indicator.id
            continue
        left_out = len(BAND_REGION) - len(others)
        assert shown == [(rank, len(others) + 1, percentile, left_out)], indicator.id
        checked += 1
    assert checked > 10


def test_the_table_says_who_is_left_out_and_why(compared):
    found = compared.rows(
        "select metric_id, member_id, left_out from reporting.rpt_peer_member "
        "where city_id = 'demo' and group_id = 'band_region' and period_months = 1 "
        "and left_out is not null order by 1, 2"
    )
    assert ("median_days_to_close", "brightwater", "other_definition") in found
    assert ("injury_collisions_per_10000", "dunmore_heights", "sample") in found
    assert not [row for row in found if row[0] == "closed_on_time_pct"]
    (version,) = (one.version for one in load_indicators() if one.id == "median_days_to_close")
    assert compared.rows(
        "select distinct left_out_text from reporting.rpt_peer_member "
        "where member_id = 'brightwater' and metric_id = 'median_days_to_close' "
        "and period_months = 1"
    ) == [(f"Another definition: version {version + 1}, here {version}",)]


def test_each_simulated_city_says_so_wherever_it_is_named(compared):
    names = compared.rows(
        "select distinct member_name, kind from reporting.rpt_peer_member where city_id = 'demo'"
    )
    assert len(names) == 1 + len(peers.CITIES)
    assert all("simulated" in name and kind == "Simulated" for name, kind in names)
    ((listed, n_peers, n_simulated),) = compared.rows(
        "select peers, n_peers, n_simulated from reporting.rpt_peer_group "
        "where city_id = 'demo' and group_id = 'band_region'"
    )
    assert listed == ", ".join(sorted(city.name for city in BAND_REGION))
    assert n_peers == n_simulated == len(BAND_REGION)


def test_a_city_without_records_here_is_no_peer_and_has_no_page(compared):
    """New York is declared, but was not loaded."""
    assert compared.rows("select count(*) from intermediate.int_peer_city where is_loaded") == [
        (1,)
    ]
    assert compared.rows("select distinct city_id from reporting.rpt_peer_standing") == [("demo",)]
