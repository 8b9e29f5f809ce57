"""New York's own files, from the snapshot to the marts; the gate is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from extract import load as loader
from extract.manifests import load_city

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "nyc"

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the checkout"),
]


@pytest.fixture(scope="module")
def nyc(built):
    for source in load_city("nyc").sources:
        report = loader.stage(source, built.url, DATA, mode="snapshot")
        report = loader.commit(report.load_id, built.url, source)
        assert report.rows_quarantined == 0, source.source
    built.build()
    return built


def test_every_row_of_the_files_is_in_its_mart(nyc):
    counts = {
        "fct_service_request": 11_691,
        "fct_waste_tonnage": 20_871,
        "fct_collision": 9_534,
        "fct_inspection": 10_402,
        "fct_capital_project": 12_587,
        "fct_trip": 240_000,
        "dim_district": 71,
    }
    for table, n in counts.items():
        assert nyc.rows(f"select count(*) from marts.{table} where city_id = 'nyc'") == [(n,)]


def test_districts_are_found_by_column_or_point(nyc):
    found = {
        (subject, how): n
        for subject, how, n in nyc.rows(
            "select subject, district_from, count(*) from intermediate.int_point_district "
            "group by 1, 2"
        )
    }
    assert found == {
        ("service_request", "column"): 11_216,
        ("service_request", "point"): 268,
        ("service_request", None): 207,
        ("waste_tonnage", "column"): 20_871,
        ("collision", "point"): 8_789,
        ("collision", None): 745,
        ("inspection", "point"): 10_402,
    }


def test_points_and_boards_agree(nyc):
    """Requests with both: the stated district is among those that the point lies in or on.

    Borders run along streets, where requests lie, so some points are on two districts.
    """
    agree, located = nyc.rows(
        """
        select
            count(distinct service_request_id)
                filter (where place.district_id = request.district_id),
            count(distinct service_request_id)
        from marts.fct_service_request as request
        join intermediate.int_district_polygon as place
            on place.shape @> point(request.longitude, request.latitude) and not place.is_hole
        where request.district_from = 'column'
        """
    )[0]
    assert located > 11_000
    assert agree / located > 0.99


def test_parks_and_airports_have_no_rates_per_resident(nyc):
    assert nyc.rows("select count(*) from marts.dim_district where not is_residential") == [(12,)]
    assert nyc.rows(
        """
        select count(value) from marts.fct_kpi join marts.dim_district using (city_id, district_id)
        where not is_residential and metric_id in
            ('refuse_tons_per_1000', 'injury_collisions_per_10000')
        """
    ) == [(0,)]


def test_a_week_of_collisions_is_no_month(nyc):
    """The second file begins on 30 June 2024: it covers little of that month, and of July."""
    assert nyc.rows(
        """
        select period_start::text, is_complete, n from marts.fct_kpi
        where city_id = 'nyc' and metric_id = 'injury_collisions_per_10000' and district_id = '*'
        order by 1
        """
    ) == [("2022-01-01", True, 7_659), ("2024-06-01", False, 249), ("2024-07-01", False, 1_626)]
    assert nyc.rows(
        """
        select month::text, month_n, year_n from reporting.rpt_kpi_scorecard
        where city_id = 'nyc' and metric_id = 'injury_collisions_per_10000' and district_id = '*'
        """
    ) == [("2022-01-01", 7_659, 7_659)]


def test_the_rate_of_refuse_is_of_the_districts_that_report(nyc):
    """In January 1990 three districts did; the others are unknown rather than 0."""
    rates = nyc.rows(
        """
        select district_id, n, value is null, denominator from marts.fct_kpi
        where city_id = 'nyc' and metric_id = 'refuse_tons_per_1000'
            and period_start = '1990-01-01'
        """
    )
    assert sum(n for district, n, _, _ in rates if district != "*") == 3
    assert all(unknown == (n == 0) for _, n, unknown, _ in rates)
    residents = {district: people for district, _, _, people in rates}
    whole = residents.pop("*")
    assert whole == sum(residents.values()) < 1_000_000


def test_the_running_month_of_tonnage_is_not_complete(nyc):
    assert nyc.rows(
        """
        select period_start::text, is_complete from marts.fct_kpi
        where metric_id = 'refuse_tons_per_1000' and district_id = '*'
        order by 1 desc limit 2
        """
    ) == [("2020-06-01", False), ("2020-05-01", True)]
