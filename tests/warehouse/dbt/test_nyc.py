"""New York's own files, from the snapshot to the marts; the gate is left out."""

from __future__ import annotations

from datetime import datetime
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


def test_june_2024_is_no_full_month_of_requests_due(nyc):
    """One request was due then: neither month nor year may come from it."""
    assert nyc.rows(
        """
        select is_complete, n, value, null_reason from marts.fct_kpi
        where city_id = 'nyc' and metric_id = 'closed_on_time_pct' and district_id = '*'
            and period_start = '2024-06-01'
        """
    ) == [(False, 1, None, "too_few")]
    assert nyc.rows(
        """
        select month::text, year_end::text, year_months, year_n, round(year_value::numeric, 3)::text
        from reporting.rpt_kpi_scorecard
        where city_id = 'nyc' and metric_id = 'closed_on_time_pct' and district_id = '*'
        """
    ) == [("2019-07-01", "2019-08-01", 12, 530, "38.868")]


def test_few_reports_top_no_ranking(nyc):
    assert (
        nyc.rows(
            """
        select metric_id, min(year_n) from reporting.rpt_kpi_scorecard
        where city_id = 'nyc' and year_value is not null
            and metric_id in ('closed_on_time_pct', 'median_days_to_close')
        group by 1 having min(year_n) < case metric_id when 'closed_on_time_pct' then 30 else 10 end
        """
        )
        == []
    )


def test_closings_by_routine_do_not_flatter_time_to_close(nyc):
    """1,825 of 6,400 came within a minute; of 5 more only the dates are known."""
    assert nyc.rows(
        """
        select count(*) filter (where is_routine_closing), count(*)
        from marts.fct_service_request where city_id = 'nyc' and days_to_close is not null
        """
    ) == [(1_825, 6_400)]
    assert nyc.rows(
        """
        select
            sum(n) filter (where metric_id = 'median_days_to_close')::integer,
            sum(n) filter (where metric_id = 'closed_by_routine_pct')::integer
        from intermediate.int_kpi_value
        where city_id = 'nyc' and district_id = '*' and period_grain = 'month'
        """
    ) == [(4_575, 6_400)]


def test_a_state_that_is_not_known_is_named_and_not_open(nyc):
    assert nyc.rows(
        """
        select status, is_open, is_closed, count(*) from marts.fct_service_request
        where city_id = 'nyc' group by 1, 2, 3 order by 1
        """
    ) == [
        ("closed", False, True, 6_401),
        ("in_progress", True, False, 4_254),
        ("open", True, False, 1_034),
        ("unknown", False, False, 2),
    ]


def test_readers_see_samples_old_records_and_what_is_odd_in_a_source(nyc):
    seen = {
        source: (is_sample, is_old, note)
        for source, is_sample, is_old, note in nyc.rows(
            "select source_id, is_sample, is_old, note from reporting.rpt_service_status "
            "where city_id = 'nyc'"
        )
    }
    assert seen["waste_tonnage"] == (False, True, "Old: the newest record is of 2020-06-01.")
    assert seen["capital_projects"] == (False, False, "")
    assert {name for name, (is_sample, _, _) in seen.items() if is_sample} == {
        "collisions",
        "rodent_inspections",
        "service_requests",
        "taxi_trips",
    }
    note = seen["service_requests"][2]
    assert note.startswith("Sample: 11,691 requests of 2010 to 2025 from ten exports")
    assert "Old: the newest record is of 2025-02-06." in note
    assert "In no known state: email sent (1), unspecified (1)." in note
    assert "Another district than the point: 72 of 11111." in note


def test_one_closing_of_2035_changes_nothing_but_the_count_of_what_is_left_out(nyc):
    hash_of_figures = (
        "select md5(string_agg(k::text, ',' order by k::text)) from marts.fct_kpi as k"
    )
    before = nyc.rows(hash_of_figures)
    key, opened = nyc.rows(
        "select unique_key, created_date from raw.nyc__service_requests "
        "where status = 'In Progress' order by unique_key limit 1"
    )[0]
    nyc.add(
        "nyc__service_requests",
        0,
        {
            "unique_key": f"{key}0001",
            "created_date": opened,
            "closed_date": datetime(2035, 1, 1),
            "agency": "DOHMH",
            "complaint_type": "Rodent",
            "status": "Closed",
        },
    )
    nyc.build(select=["stg_nyc__service_requests+"])
    assert nyc.rows(hash_of_figures) == before
    assert nyc.rows(
        "select as_of::date::text, n_beyond_as_of from reporting.rpt_service_status "
        "where city_id = 'nyc' and source_id = 'service_requests'"
    ) == [("2025-02-06", 1)]
    assert (
        "Left out: 1 dated beyond the load"
        in nyc.rows(
            "select note from reporting.rpt_service_status "
            "where city_id = 'nyc' and source_id = 'service_requests'"
        )[0][0]
    )


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
