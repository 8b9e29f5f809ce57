"""New York's own files, from the snapshot to the marts; the gate is left out."""

from __future__ import annotations

import csv
import json
from datetime import datetime, time
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from typer.testing import CliRunner

from catalog.indicators import load_indicators
from catalog.measure_text import measure_text
from cli import main as cli
from extract import load as loader
from extract.manifests import load_city
from infra import contract
from tests.indicators import as_stored, by_month, stored_months

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
        for subject in ("service_request", "waste_tonnage", "collision", "inspection")
        for how, n in nyc.rows(
            f"select district_from, count(*) from marts.fct_{subject} group by 1"
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


def test_a_month_is_not_judged_before_its_requests_had_time_to_close(nyc, typed):
    """The newest records are of 6 February 2025: January's requests may be open still."""
    assert nyc.rows(
        """
        select metric_id, max(period_start)::text from marts.fct_kpi
        where city_id = 'nyc' and district_id = '*' and is_complete
            and metric_id in ('requests_opened', 'still_open_pct') group by 1 order by 1
        """
    ) == [("requests_opened", "2025-01-01"), ("still_open_pct", "2024-12-01")]
    words = ("explain", "still_open_pct", "--city", "nyc", "--period", "2025-01", "--json")
    months = json.loads(typed(*words))["months"]
    assert months[-1]["left_out"] == "too new: its value still changes with time"


def test_departments_backlogs_are_the_citys_in_each_month(nyc):
    """Also in months in which one of them opened and closed nothing."""
    months = nyc.rows(
        """
        select
            period_start::text,
            sum(value) filter (where department_id = '*')::integer,
            sum(value) filter (where department_id <> '*')::integer,
            (
                select count(*)::integer from marts.fct_service_request as request
                where request.city_id = 'nyc' and request.department_id is null
                    and (request.is_open or request.closed_at is not null)
                    and request.opened_at < backlog.period_end
                    and coalesce(request.closed_at, 'infinity') >= backlog.period_end
            )
        from intermediate.int_kpi_value as backlog
        where city_id = 'nyc' and metric_id = 'requests_backlog' and district_id = '*'
            and period_grain = 'month' and is_complete
        group by period_start, period_end order by 1
        """
    )
    assert len(months) > 12
    assert [
        (month, of_city, of_departments, of_none)
        for month, of_city, of_departments, of_none in months
        if of_departments + of_none != of_city
    ] == []
    assert (
        nyc.rows(
            """
        select department_id from intermediate.int_kpi_value
        where city_id = 'nyc' and metric_id = 'requests_backlog' and department_id <> '*'
        group by 1 having count(*) <> (
            select count(*) from intermediate.int_kpi_value
            where city_id = 'nyc' and metric_id = 'requests_backlog'
                and department_id = '*' and district_id = '*'
        )
        """
        )
        == []
    )


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
        where city_id = 'nyc' and district_id = '*' and department_id = '*'
            and period_grain = 'month'
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


def test_a_city_of_samples_says_so_at_its_head(nyc):
    assert nyc.rows(
        "select data_kind, samples from reporting.rpt_city_status where city_id = 'nyc'"
    ) == [
        (
            "Real; 4 of 9 sources are samples",
            "311 service requests, Motor vehicle collisions, Rodent inspections, Yellow taxi trips",
        )
    ]


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


TIMES = ("%m/%d/%Y %I:%M:%S %p", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S")


@pytest.fixture(scope="module")
def requests() -> pl.DataFrame:
    """The files' requests, read by polars: opened, closed, due, status, channel."""

    def moment(name: str) -> pl.Expr:
        return pl.coalesce(pl.col(name).str.to_datetime(form, strict=False) for form in TIMES)

    files = []
    for path in sorted((DATA / "311").glob("*.csv")):
        file = pl.read_csv(path, infer_schema_length=0)
        file = file.rename({name: name.lower().replace(" ", "_") for name in file.columns})
        for name in ("due_date", "open_data_channel_type"):
            if name not in file.columns:
                file = file.with_columns(pl.lit(None, pl.String).alias(name))
        files.append(
            file.select(
                opened=moment("created_date"),
                closed=moment("closed_date"),
                due=moment("due_date"),
                status=pl.col("status").str.to_lowercase(),
                channel=pl.col("open_data_channel_type").str.to_lowercase().fill_null("unknown"),
            )
        )
    found = pl.concat(files).with_columns(
        closed=pl.when(
            (pl.col("status") == "closed") & (pl.col("closed") >= pl.col("opened"))
        ).then(pl.col("closed")),
        is_open=pl.col("status").is_in(
            ["open", "unassigned", "in progress", "assigned", "started", "pending"]
        ),
    )
    as_of = max(found["opened"].max(), found["closed"].max())
    seconds = (pl.col("closed") - pl.col("opened")).dt.total_seconds()
    midnight = (pl.col("opened").dt.time() == time(0)) & (pl.col("closed").dt.time() == time(0))
    return found.with_columns(
        days=(seconds / 86400).round(6),
        is_routine=(seconds <= 60) & ~midnight,
        is_due=pl.col("due") <= as_of,
        on_time=pl.when(pl.col("closed").is_not_null())
        .then(pl.col("closed") <= pl.col("due"))
        .when(pl.col("is_open") & (pl.col("due") <= as_of))
        .then(False),
    )


def test_indicators_are_those_of_the_files(nyc, requests: pl.DataFrame):
    """Every month of the whole city, recomputed by polars, to the last digit that is stored."""
    residents = 8_804_190
    done = requests.filter(pl.col("closed").is_not_null())
    worked = done.filter(~pl.col("is_routine"))
    due = requests.filter(pl.col("is_due") & pl.col("on_time").is_not_null())
    settled = requests.filter(pl.col("is_open") | (pl.col("status") == "closed"))
    known_channel = requests.filter(pl.col("channel") != "unknown")
    by_screen = pl.col("channel").is_in(["app", "web", "online", "mobile"])
    crashes = pl.concat(
        pl.read_csv(path, infer_schema_length=0).select(
            at=pl.col("CRASH DATE").str.to_datetime("%m/%d/%Y"),
            injured=pl.col("NUMBER OF PERSONS INJURED").cast(pl.Int64),
            killed=pl.col("NUMBER OF PERSONS KILLED").cast(pl.Int64),
        )
        for path in sorted((DATA / "crashes").glob("*.csv"))
    )
    trips = pl.concat(
        pl.read_csv(path, infer_schema_length=0).select(
            at=pl.coalesce(
                pl.col("pickup_datetime").str.to_datetime(f, strict=False) for f in TIMES
            ),
            miles=pl.col("trip_distance").cast(pl.Float64),
        )
        for path in sorted((DATA / "taxi").glob("*.csv.gz"))
    )
    expected = {
        "requests_opened": by_month(requests, "opened", pl.len()),
        "requests_per_1000": by_month(requests, "opened", pl.len() * 1000 / residents),
        "digital_requests_pct": by_month(known_channel, "opened", by_screen.mean() * 100),
        "still_open_pct": by_month(settled, "opened", pl.col("is_open").mean() * 100),
        "closed_on_time_pct": by_month(due, "due", pl.col("on_time").mean() * 100),
        "requests_closed": by_month(done, "closed", pl.len()),
        "closed_by_routine_pct": by_month(done, "closed", pl.col("is_routine").mean() * 100),
        "median_days_to_close": by_month(worked, "closed", pl.col("days").median()),
        "p90_days_to_close": by_month(worked, "closed", pl.col("days").quantile(0.9, "linear")),
        "closed_in_7_days_pct": by_month(worked, "closed", (pl.col("days") <= 7).mean() * 100),
        "collisions_per_10000": by_month(crashes, "at", pl.len() * 10_000 / residents),
        "injured_per_10000": by_month(crashes, "at", pl.col("injured").sum() * 10_000 / residents),
        "killed_per_100000": by_month(crashes, "at", pl.col("killed").sum() * 100_000 / residents),
        "median_trip_miles": by_month(
            trips.filter(pl.col("miles") > 0), "at", pl.col("miles").median()
        ),
    }
    for metric, months in expected.items():
        stored = stored_months(nyc, "nyc", metric)
        shown = as_stored(nyc, metric, months)
        assert len(stored) > 2 and stored == shown, metric


#: What rpt_district_month has of fct_kpi: its column, the indicator, and the column there.
DISTRICT_REPORT = [
    ("requests_opened", "requests_opened", "n"),
    ("requests_complete", "requests_opened", "is_complete"),
    ("requests_still_open", "still_open_pct", "numerator"),
    ("requests_due", "closed_on_time_pct", "n"),
    ("due_complete", "closed_on_time_pct", "is_complete"),
    ("requests_closed_on_time", "closed_on_time_pct", "numerator"),
    ("closed_on_time_pct", "closed_on_time_pct", "value"),
    ("closed_on_time_pct_null_reason", "closed_on_time_pct", "null_reason"),
    ("requests_closed", "requests_closed", "value"),
    ("requests_closed_by_routine", "closed_by_routine_pct", "numerator"),
    ("median_days_to_close", "median_days_to_close", "value"),
    ("refuse_tons_per_1000", "refuse_tons_per_1000", "value"),
    ("refuse_complete", "refuse_tons_per_1000", "is_complete"),
    ("recycling_rate", "recycling_rate", "value"),
    ("collisions", "collisions_per_10000", "n"),
    ("collisions_complete", "collisions_per_10000", "is_complete"),
    ("injury_collisions", "injury_collisions_per_10000", "numerator"),
    ("injury_collisions_per_10000", "injury_collisions_per_10000", "value"),
]


@pytest.mark.parametrize(("column", "metric", "shown"), DISTRICT_REPORT)
def test_the_district_report_is_fct_kpi_laid_out(nyc, column, metric, shown):
    differing, both = nyc.rows(
        f"""
        select
            count(*) filter (where report.{column} is distinct from kpi.{shown}),
            count(*) filter (where report.city_id is not null)
        from reporting.rpt_district_month as report
        right join marts.fct_kpi as kpi
            on report.city_id = kpi.city_id and report.district_id = kpi.district_id
            and report.month = kpi.period_start
        where kpi.metric_id = '{metric}' and kpi.district_id <> '*'
        """
    )[0]
    assert (differing, both > 100) == (0, True)


def test_another_source_that_ends_takes_no_requests_from_the_district_report(nyc):
    """Each part has its own full months; others' gaps dropped half of the requests."""
    shown, counted = nyc.rows(
        """
        select
            (select sum(requests_opened) from reporting.rpt_district_month
                where city_id = 'nyc' and requests_complete),
            (select sum(n) from marts.fct_kpi
                where city_id = 'nyc' and metric_id = 'requests_opened' and is_complete
                and district_id <> '*')
        """
    )[0]
    assert shown == counted > 5_000


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


@pytest.fixture
def typed(nyc, warehouse, monkeypatch):
    """Run `cityloom kpi` against these marts, as the role that people have."""
    here = SimpleNamespace(database_url=warehouse.role_url)
    monkeypatch.setattr(contract, "load_deployment", lambda: here)

    def run(*words: str) -> str:
        done = CliRunner().invoke(cli.build(), ["kpi", *words], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    return run


def test_explain_goes_down_to_the_rows_of_the_files(nyc, typed):
    found = json.loads(
        typed(
            *("explain", "closed_on_time_pct", "--city", "nyc", "--district", "401"),
            *("--period", "2018-06", "--limit", "1000", "--json"),
        )
    )
    value, events = found["value"], found["events"]
    assert value["n"] == len(events) > 0
    assert len(nyc.rows(found["query"])) == value["n"]
    for event in events:
        (row,) = [
            row
            for number, row in enumerate(_rows(DATA / event["file"]), 1)
            if number == event["row"]
        ]
        assert (row.get("Unique Key") or row.get("unique_key")) == event["service_request_id"]
    assert {event["load_id"] for event in events} == {
        load["load_id"] for source in found["sources"] for load in source["loads"]
    }
    assert found["definition"]["version"] == 2


def test_explain_names_the_months_that_are_left_out(typed):
    found = json.loads(
        typed(
            *("explain", "injury_collisions_per_10000", "--city", "nyc"),
            *("--period", "2022-01", "--limit", "2", "--json"),
        )
    )
    assert [month["left_out"] for month in found["months"]] == ["no records"] * 11 + [None]
    assert found["value"]["numerator"] / 8_804_190 * 10_000 == pytest.approx(
        found["value"]["value"], abs=5.1e-7
    )
    shown = typed("explain", "closed_on_time_pct", "--city", "nyc", "--period", "2024-06")
    assert "none: too few (1, at least 30)" in shown and "Events: 1 of 1" in shown


@pytest.mark.parametrize("metric", ["requests_backlog", "median_days_to_close", "net_sentiment"])
def test_the_query_of_explain_has_every_event(nyc, typed, metric):
    months = nyc.rows(
        "select to_char(period_start, 'YYYY-MM'), n from marts.fct_kpi "
        f"where metric_id = '{metric}' and city_id = 'nyc' and district_id = '*' and n > 0 "
        "order by period_start desc limit 3"
    )
    assert bool(months) == (metric != "net_sentiment")
    for month, n in months:
        words = ("explain", metric, "--city", "nyc", "--period", month, "--json")
        query = json.loads(typed(*words))["query"]
        assert nyc.rows(f"select count(*) from ({query}) as event") == [(n,)], month


def test_commands_and_pages_write_a_value_alike(nyc, typed):
    rows = nyc.rows(
        "select metric_id, value, value_text from reporting.rpt_area_measure "
        "where value is not null"
    )
    known = {one.id: one for one in load_indicators()}
    assert len({metric for metric, _, _ in rows}) > 15
    for metric, value, text in rows:
        assert measure_text(value, known[metric].unit, known[metric].aggregate) == text, metric
    shown = typed("explain", "injury_collisions_per_10000", "--city", "nyc", "--period", "2022-01")
    assert "nyc * 2022-01: 2.68\n" in shown and "2,360 / 8,804,190" in shown


def test_show_has_the_newest_months_of_each_area(typed):
    shown = json.loads(typed("show", "refuse_tons_per_1000", "--city", "nyc", "--json"))
    assert [row["period_start"] for row in shown["values"]][:2] == ["2020-06-01", "2020-05-01"]
    assert shown["definition"]["unit"] == "short tons a month"


def _rows(path: Path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)
