"""The demo city's first months, through the gate: indicators as polars finds them in the files."""

from __future__ import annotations

import csv
import shutil
import sqlite3
from contextlib import closing
from datetime import date, datetime, timedelta
from math import cos, hypot, radians
from pathlib import Path
from statistics import median
from types import SimpleNamespace

import numpy as np
import polars as pl
import psycopg
import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from catalog.cities import Cities
from cli import main as cli
from extract import manifests
from extract.manifests import load_city
from infra import contract
from tests.indicators import as_stored, by_month, stored_months, withheld_that_follow
from warehouse import dbt, kpi

SOURCES = (
    *("districts", "service_requests", "call_log", "collection_rounds"),
    *("park_work_orders", "collisions", "section_visits", "form_sessions"),
    *("rental_inspections", "capital_reports", "plan_reviews"),
)
RESIDENTS = 402_600


@pytest.fixture(scope="module")
def demo(built, drop: Path, tmp_path_factory: pytest.TempPathFactory):
    built.load("demo", SOURCES, drop, tmp_path_factory.mktemp("docs"))
    built.build()
    return built


@pytest.fixture(scope="module")
def accepted(demo):
    """Rows of a file less those in quarantine, each key in its last version."""

    def rows(source: str, key: str, read: pl.DataFrame) -> pl.DataFrame:
        with psycopg.connect(demo.url) as connection:
            found = connection.execute(
                "select record ->> %s from quality.quarantine where source_id = %s", [key, source]
            ).fetchall()
        refused = [value for (value,) in found if value]
        assert refused, f"the simulator makes rows of {source} that the gate refuses"
        return read.filter(~pl.col(key).is_in(refused)).unique(key, keep="last")

    return rows


def test_indicators_are_those_of_the_files(demo, drop: Path, accepted):
    with closing(sqlite3.connect(drop / "service_center/service_line.db")) as database:
        requests = accepted(
            "service_requests",
            "request_id",
            pl.read_database("select * from service_requests", database),
        ).with_columns(pl.col("opened_at", "due_at", "closed_at").str.to_datetime(strict=False))
    days = (pl.col("closed_at") - pl.col("opened_at")).dt.total_seconds() / 86400
    done = requests.filter((pl.col("status") == "closed") & (days >= 0)).with_columns(
        days=days.round(6), is_routine=days <= 60 / 86400
    )
    as_of = max(requests["opened_at"].max(), done["closed_at"].max())
    due = requests.filter(pl.col("due_at") <= as_of).with_columns(
        on_time=(pl.col("status") == "closed") & (pl.col("closed_at") <= pl.col("due_at"))
    )
    worked = done.filter(~pl.col("is_routine"))
    calls = accepted(
        "call_log",
        "call_id",
        pl.concat(
            pl.read_csv(path, infer_schema_length=0)
            for path in sorted((drop / "service_center/calls").glob("*.csv.gz"))
        ),
    ).with_columns(
        at=pl.col("offered_at").str.to_datetime(strict=False),
        wait=pl.col("wait_seconds").cast(pl.Int64),
        answered=pl.col("answered") == "Y",
    )
    rounds = accepted(
        "collection_rounds",
        "round_id",
        pl.read_csv(drop / "sanitation/collection_rounds.csv", infer_schema_length=0),
    ).with_columns(
        at=pl.col("round_date").str.to_date(strict=False),
        missed=pl.col("missed_stops").cast(pl.Int64),
        stops=pl.col("scheduled_stops").cast(pl.Int64),
    )
    crashes = accepted(
        "collisions",
        "collision_id",
        pl.read_csv(
            drop / "transport/collisions.csv",
            separator=";",
            encoding="latin-1",
            infer_schema_length=0,
        ),
    ).with_columns(
        at=pl.col("occurred_at").str.to_datetime("%d/%m/%Y %H:%M", strict=False),
        hurt=pl.col("persons_injured").cast(pl.Int64) + pl.col("persons_killed").cast(pl.Int64),
    )
    orders = accepted(
        "park_work_orders",
        "work_order_id",
        pl.read_ndjson(drop / "parks/work_orders.jsonl", infer_schema_length=None),
    ).with_columns(pl.col("opened_on", "completed_on").str.to_date(strict=False))
    finished = orders.filter(
        (pl.col("status") == "completed") & pl.col("completed_on").is_not_null()
    ).with_columns(days=(pl.col("completed_on") - pl.col("opened_on")).dt.total_days())
    in_30_seconds = pl.col("answered") & (pl.col("wait") <= 30)
    expected = {
        "requests_opened": by_month(requests, "opened_at", pl.len()),
        "closed_on_time_pct": by_month(due, "due_at", pl.col("on_time").mean() * 100),
        "requests_closed": by_month(done, "closed_at", pl.len()),
        "closed_by_routine_pct": by_month(done, "closed_at", pl.col("is_routine").mean() * 100),
        "median_days_to_close": by_month(worked, "closed_at", pl.col("days").median()),
        "p90_days_to_close": by_month(worked, "closed_at", pl.col("days").quantile(0.9, "linear")),
        "calls_offered": by_month(calls, "at", pl.len()),
        "calls_answered_30s_pct": by_month(calls, "at", in_30_seconds.mean() * 100),
        "calls_abandoned_pct": by_month(calls, "at", (~pl.col("answered")).mean() * 100),
        "p90_call_wait": by_month(
            calls.filter("answered"), "at", pl.col("wait").quantile(0.9, "linear")
        ),
        "missed_stops_per_10000": by_month(
            rounds, "at", pl.col("missed").sum() * 10_000 / pl.col("stops").sum()
        ),
        "injury_collisions_per_10000": by_month(
            crashes, "at", (pl.col("hurt") > 0).sum() * 10_000 / RESIDENTS
        ),
        "park_orders_completed": by_month(finished, "completed_on", pl.len()),
        "median_days_to_park_work": by_month(finished, "completed_on", pl.col("days").median()),
    }
    for metric, months in expected.items():
        stored = stored_months(demo, "demo", metric)
        shown = as_stored(demo, metric, months)
        assert len(stored) == 4 and stored == shown, metric


def stands(demo, expected: dict) -> None:
    """Each indicator has these four months in the warehouse."""
    for metric, months in expected.items():
        stored = stored_months(demo, "demo", metric)
        assert len(stored) == 4 and stored == as_stored(demo, metric, months), metric


def test_what_became_of_requests_is_that_of_the_files(demo, drop: Path, accepted):
    with closing(sqlite3.connect(drop / "service_center/service_line.db")) as database:
        requests = accepted(
            "service_requests",
            "request_id",
            pl.read_database("select * from service_requests", database, infer_schema_length=None),
        )
    times = ("opened_at", "closed_at", "first_closed_at", "reopened_at")
    requests = requests.with_columns(pl.col(times).str.to_datetime(strict=False))
    known = requests.filter((pl.col("status") != "closed") | pl.col("closed_at").is_not_null())
    as_of = max(requests["opened_at"].max(), requests["closed_at"].max())
    ages = []
    for month in (1, 2, 3, 4):
        end = datetime(2023, month + 1, 1)
        open_then = known.filter(
            (pl.col("opened_at") < end)
            & (pl.col("closed_at").is_null() | (pl.col("closed_at") >= end))
        )
        seconds = (pl.lit(min(end, as_of)) - pl.col("opened_at")).dt.total_seconds()
        ages.append(open_then.select(at=pl.lit(datetime(2023, month, 1)), age=seconds / 86400))
    aged = pl.concat(ages)
    within = pl.col("reopened_at") <= pl.col("first_closed_at") + timedelta(days=30)
    placed = requests.drop_nulls(["latitude", "longitude"]).sort("opened_at", "request_id")
    stands(
        demo,
        {
            "median_backlog_age": by_month(aged, "at", pl.col("age").median()),
            "p90_backlog_age": by_month(aged, "at", pl.col("age").quantile(0.9, "linear")),
            "reopened_pct": by_month(
                requests.drop_nulls("first_closed_at"),
                "first_closed_at",
                within.fill_null(value=False).mean() * 100,
            ),
            "resolved_at_once_pct": by_month(
                requests.drop_nulls("resolved_at_once"),
                "opened_at",
                (pl.col("resolved_at_once") == "Y").mean() * 100,
            ),
            "repeated_pct": by_month(
                placed.with_columns(again=pl.Series(repeats(placed))),
                "opened_at",
                pl.col("again").mean() * 100,
            ),
        },
    )


def repeats(requests: pl.DataFrame) -> list[bool]:
    """Return of each request, sorted by time, whether one like it came before, near and lately."""
    found, before = [], {}
    columns = ("service_name", "opened_at", "latitude", "longitude")
    for service, at, latitude, longitude in requests.select(columns).rows():
        earlier = before.setdefault(service, [])
        found.append(
            any(
                at - then <= timedelta(days=30)
                and hypot(
                    latitude - north,
                    cos(radians((latitude + north) / 2)) * (longitude - east),
                )
                * 111195.08
                <= 50
                for then, north, east in earlier
            )
        )
        earlier.append((at, latitude, longitude))
    return found


def test_indicators_of_site_inspections_and_capital_are_those_of_the_files(
    demo, drop: Path, accepted
):
    # Keys of these two are of two columns, so what the gate refuses is told from the files.
    visits = (
        pl.read_csv(drop / "web/section_visits.csv", infer_schema_length=0)
        .with_columns(
            pl.col("visits", "page_views", "errors").cast(pl.Int64, strict=False),
            at=pl.col("day").str.to_date("%m/%d/%Y", strict=False),
        )
        .filter(
            pl.col("visits") >= 0,
            pl.col("errors") >= 0,
            pl.col("at").is_not_null(),
            pl.col("section") != "(not set)",
        )
        .unique(["at", "section"])
    )
    forms = accepted(
        "form_sessions",
        "session_id",
        pl.read_csv(drop / "web/form_sessions.csv", infer_schema_length=0),
    ).with_columns(pl.col("started_at", "ended_at").str.to_datetime())
    sent = forms.filter(pl.col("outcome") == "sent").with_columns(
        minutes=(pl.col("ended_at") - pl.col("started_at")).dt.total_seconds() / 60
    )
    inspections = (
        accepted(
            "rental_inspections",
            "visit_number",
            pl.read_csv(drop / "housing/rental_inspections.csv", infer_schema_length=0),
        )
        .with_columns(at=pl.col("visited_on").str.to_date())
        .sort("at", "visit_number")
        .with_columns(
            first=pl.int_range(pl.len()).over("case_number") == 0,
            after=(pl.col("at").shift(-1).over("case_number") - pl.col("at")).dt.total_days(),
        )
    )
    again = inspections.filter(
        (pl.col("result") == "failed") & pl.col("after").is_not_null()
    ).with_columns(again_at=pl.col("at") + pl.duration(days=pl.col("after")))
    reports = pl.concat(
        pl.read_csv(path, infer_schema_length=0)
        for path in sorted((drop / "finance/capital").glob("*.csv.gz"))
    )
    projects = (
        reports.filter(
            pl.col("spent").cast(pl.Int64) >= 0,
            pl.col("expected_end") != "TBD",
            pl.col("district").is_null() | (pl.col("district") != "D20"),
        )
        .unique(["project", "reported_on"])
        .with_columns(
            pl.col("spent", "committed").cast(pl.Int64),
            at=pl.col("reported_on").str.to_date(),
            late=(
                pl.col("expected_end").str.to_date() - pl.col("planned_end").str.to_date()
            ).dt.total_days(),
        )
    )
    stands(
        demo,
        {
            "web_visits": by_month(visits, "at", pl.col("visits").sum()),
            "web_errors_per_1000": by_month(
                visits, "at", pl.col("errors").sum() * 1000 / pl.col("page_views").sum()
            ),
            "forms_abandoned_pct": by_month(
                forms, "started_at", (pl.col("outcome") == "abandoned").mean() * 100
            ),
            "median_form_minutes": by_month(sent, "started_at", pl.col("minutes").median()),
            "p90_form_minutes": by_month(
                sent, "started_at", pl.col("minutes").quantile(0.9, "linear")
            ),
            "inspections_passed_pct": by_month(
                inspections.filter("first", pl.col("result") != "no entry"),
                "at",
                (pl.col("result") == "passed").mean() * 100,
            ),
            "median_days_to_reinspection": by_month(again, "again_at", pl.col("after").median()),
            "capital_spent_pct": by_month(
                projects, "at", pl.col("spent").sum() * 100 / pl.col("committed").sum()
            ),
            "capital_days_late": by_month(projects, "at", pl.col("late").clip(0).mean()),
        },
    )


def test_reviews_of_permits_are_those_of_the_file(demo, drop: Path):
    city = load_city("demo")
    open_days = [day in city.office_days for day in range(1, 8)]

    def business_days(rows: pl.DataFrame, after: str, until: str) -> pl.Series:
        first, last = (rows[one].to_numpy() + np.timedelta64(1, "D") for one in (after, until))
        return pl.Series(
            np.busday_count(first, last, weekmask=open_days, holidays=list(city.holidays))
        )

    read = pl.read_csv(drop / "permits/plan_reviews.csv", separator="|", infer_schema_length=0)
    reviews = (
        read.with_columns(
            pl.col("received_on", "answered_on").str.to_date(strict=False),
            pl.col("round").cast(pl.Int64),
        )
        .filter(
            pl.col("received_on").is_not_null(),
            pl.col("district") != "D31",
            (pl.col("answer") != "see notes") | pl.col("answer").is_null(),
        )
        .unique(["permit_number", "round"])
        .sort("permit_number", "round")
    )
    assert len(reviews) < len(read)
    answered = reviews.drop_nulls("answered_on")
    answered = answered.with_columns(days=business_days(answered, "received_on", "answered_on"))
    again = reviews.with_columns(
        asked=pl.col("answered_on").shift(1).over("permit_number"),
        before=pl.col("round").shift(1).over("permit_number"),
    ).filter(pl.col("before") == pl.col("round") - 1, pl.col("asked").is_not_null())
    again = again.with_columns(days=business_days(again, "asked", "received_on"))
    first = answered.filter(pl.col("round") == 1, pl.col("answer") != "withdrawn")
    stands(
        demo,
        {
            "median_business_days_in_review": by_month(
                answered, "answered_on", pl.col("days").median()
            ),
            "p90_business_days_in_review": by_month(
                answered, "answered_on", pl.col("days").quantile(0.9, "linear")
            ),
            "median_applicant_business_days": by_month(
                again, "received_on", pl.col("days").median()
            ),
            "approved_at_first_review_pct": by_month(
                first, "answered_on", (pl.col("answer") == "approved").mean() * 100
            ),
        },
    )


def test_no_withheld_month_follows_from_what_is_shown(demo):
    assert withheld_that_follow(demo, "demo") == []


def test_a_backlog_is_what_was_open_when_the_month_ended(demo):
    for month, value in demo.rows(
        "select period_start, value from marts.fct_kpi where city_id = 'demo' "
        "and metric_id = 'requests_backlog' and district_id = '*'"
    ):
        assert demo.rows(
            f"""
            select count(*) from marts.fct_service_request
            where (is_open or closed_at is not null)
                and opened_at < '{month}'::date + interval '1 month'
                and (closed_at is null or closed_at >= '{month}'::date + interval '1 month')
            """
        ) == [(value,)], month


def test_months_that_the_files_cover_are_complete(demo):
    """They begin on 1 January and end on 30 April."""
    assert demo.rows(
        "select distinct period_start::text from marts.fct_kpi where city_id = 'demo' "
        "and metric_id in ('requests_opened', 'calls_offered') and is_complete order by 1"
    ) == [("2023-01-01",), ("2023-02-01",), ("2023-03-01",), ("2023-04-01",)]


@pytest.mark.parametrize("metric", ["closed_on_time_pct", "median_backlog_age", "web_visits"])
def test_an_explained_value_is_that_of_its_events(demo, metric: str):
    """Of Eastgate, D05; of the city where the source has no districts."""
    district = "*" if metric == "web_visits" else "D05"
    found = kpi.explain(demo.url, metric, "demo", district, date(2023, 2, 1), limit=3)
    events = demo.rows(f"select * from ({found['query']}) as event")
    value = found["value"]
    assert len(events) == value["n"] > 0 and len(found["events"]) == 3
    assert all(event["file"] and event["row"] and event["load_id"] for event in found["events"])
    if metric == "closed_on_time_pct":
        assert value["value"] == pytest.approx(100 * sum(e[2] for e in events) / len(events))
    elif metric == "web_visits":
        assert value["value"] == sum(e[2] for e in events)
    else:
        assert value["value"] == pytest.approx(median(float(e[2]) for e in events), abs=1e-6)


def test_a_district_may_be_named_as_pages_name_it(demo):
    assert [kpi.district_id(demo.url, "demo", name) for name in ("D05", "eastgate", "*")] == [
        *("D05", "D05", "*")
    ]
    with pytest.raises(kpi.KpiError, match="no district 'Eastgat'; did you mean 'Eastgate'"):
        kpi.district_id(demo.url, "demo", "Eastgat")
    assert [kpi.city_id(demo.url, name) for name in ("demo", "Loomfield (Simulated)")] == [
        *("demo", "demo")
    ]
    with pytest.raises(kpi.KpiError, match="there is no city 'demmo'; did you mean 'demo'"):
        kpi.city_id(demo.url, "demmo")
    with pytest.raises(kpi.KpiError, match="no value of 2031-05; it has months from 2023-01 to"):
        kpi.explain(demo.url, "requests_opened", "demo", "*", date(2031, 5, 1))


def test_a_score_is_made_of_parts_that_are_shown(demo):
    parts = kpi.scores(demo.url, "demo", "D05")
    scored = [part for part in parts if part["score"] is not None]
    assert len(scored) >= 5 and parts[0]["total_score"] is not None
    assert parts[0]["total_score"] == pytest.approx(sum(p["points"] for p in scored), abs=1e-5)
    assert all(0 <= part["score"] <= 2 for part in scored)
    weights = {row["metric_id"]: float(row["weight"]) for row in read_weights()}
    assert {part["metric_id"]: part["weight"] for part in parts}.items() <= weights.items()
    with pytest.raises(kpi.KpiError, match=r"demo D05 has no score of 2019-01"):
        kpi.scores(demo.url, "demo", "D05", date(2019, 1, 1))


def test_a_score_says_when_the_weights_are_newer(demo, warehouse, monkeypatch, tmp_path):
    here = SimpleNamespace(database_url=warehouse.role_url)
    monkeypatch.setattr(contract, "load_deployment", lambda: here)
    city = load_city("demo")
    shutil.copy(city.path.with_name("weights.csv"), tmp_path)
    elsewhere = city.model_copy(update={"path": tmp_path / "city.yml"})
    monkeypatch.setattr(manifests, "load_cities", lambda: Cities((elsewhere,)))

    def score() -> Result:
        return CliRunner().invoke(cli.build(), ["kpi", "score", "demo"], catch_exceptions=False)

    shown = score()
    assert shown.exit_code == 0 and "weight in cities/demo/weights.csv" in shown.stdout
    assert not shown.stderr
    with (tmp_path / "weights.csv").open("a") as file:
        file.write("web_errors_per_1000,9\n")
    assert "weights.csv is not what the last build read; `cityloom run demo`" in score().stderr


def read_weights() -> list[dict[str, str]]:
    with (load_city("demo").path.parent / "weights.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_events_are_those_of_the_citys_file(demo):
    lines = load_city("demo").path.with_name("events.csv").read_text().splitlines()
    declared = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    assert len(declared) >= 5
    assert demo.rows(
        "select city_name, first_day::text, coalesce(last_day::text, ''), title, kind "
        "from reporting.rpt_event "
        "where city_id = 'demo' order by first_day, title"
    ) == [
        ("Loomfield (simulated)", row["first_day"], row["last_day"], row["title"], row["kind"])
        for row in declared
    ]


def test_fifths_of_residents_hold_everybody_who_is_shown(demo):
    for metric, basis, people, residents, districts in demo.rows(
        "select metric_id, basis, sum(residents), round(max(residents_share)::numeric, 3), "
        "sum(districts) from reporting.rpt_area_equity where city_id = 'demo' group by 1, 2"
    ):
        assert residents == round(people / RESIDENTS, 3), (metric, basis)
        assert 5 <= districts <= 12


def kpi_rows(demo, columns: str = "n, value, target, score") -> dict[tuple, tuple]:
    """What `fct_kpi` has of the city, by metric, district and month."""
    return {
        row[:3]: row[3:]
        for row in demo.rows(
            f"select metric_id, district_id, period_start::text, {columns} from marts.fct_kpi "
            "where city_id = 'demo'"
        )
    }


def differing(before: dict, after: dict) -> set[tuple]:
    """Keys whose rows differ, or that one of the two has not."""
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def test_a_changed_definition_moves_its_own_months_only_and_shows_a_break(demo, tmp_path: Path):
    columns = "n, value, numerator, definition_version, is_break"
    before = kpi_rows(demo, columns)
    project = tmp_path / "dbt_project"
    shutil.copytree(dbt.PROJECT, project, ignore=shutil.ignore_patterns("target", "generated"))
    calls = project / "indicators/calls.yml"
    declared = yaml.safe_load(calls.read_text())
    (one,) = [each for each in declared if each["id"] == "calls_answered_30s_pct"]
    old = one["numerator"]
    one |= {
        **{"version": 2, "valid_from": date(2023, 3, 1), "changes": {2: "Within 20 seconds."}},
        "former": {1: {"valid_from": date(2023, 1, 1), "numerator": old}},
        "numerator": old.replace("30", "20"),
    }
    calls.write_text(yaml.safe_dump(declared))
    demo.build(project=project)
    after = kpi_rows(demo, columns)
    moved = differing(before, after)
    assert {key[0] for key in moved} == {"calls_answered_30s_pct"}
    assert {key[2] for key in moved} == {"2023-03-01", "2023-04-01"}
    whole = {month: after["calls_answered_30s_pct", "*", month] for _, _, month in moved}
    assert [(row[3], row[4]) for _, row in sorted(whole.items())] == [(2, True), (2, False)]
    for month, row in whole.items():
        n, _, numerator, version, _ = before["calls_answered_30s_pct", "*", month]
        assert (row[0], version) == (n, 1) and row[2] < numerator
    demo.build()
    assert kpi_rows(demo, columns) == before


def test_a_changed_target_moves_its_own_scores_only(demo):
    before = kpi_rows(demo)
    changed = {"metric_id": "calls_answered_30s_pct", "target": 90.0, "direction": "higher"}
    demo.add("demo__targets", 10_001, {**changed, "from_date": date(2023, 3, 1)})
    demo.build()
    after = kpi_rows(demo)
    moved = differing(before, after)
    assert {key[0] for key in moved} == {"calls_answered_30s_pct"}
    assert {key[2] for key in moved} == {"2023-03-01", "2023-04-01"}
    for key in moved:
        assert before[key][:2] == after[key][:2] and after[key][2] == 90


def test_a_late_correction_moves_its_own_district_and_months_only(demo):
    """A request that was closed in March turns out to be open still."""
    columns = "n, value, null_reason"
    before = kpi_rows(demo, columns)
    ((key, district),) = demo.rows(
        "select service_request_id, district_id from marts.fct_service_request "
        "where city_id = 'demo' and closed_at between '2023-03-05' and '2023-03-20' "
        "and opened_at >= '2023-03-01' and due_at < '2023-04-01' and reopened_at is null "
        "and district_from = 'column' and not is_resolved_at_once order by 1 limit 1"
    )
    with psycopg.connect(demo.url, row_factory=psycopg.rows.dict_row) as connection:
        row = connection.execute(
            "select * from raw.demo__service_requests where request_id = %s "
            "order by _load_id desc limit 1",
            [key],
        ).fetchone()
    row = {name: value for name, value in row.items() if not name.startswith("_")}
    row |= {"status": "open", "closed_at": None, "first_closed_at": None}
    demo.add("demo__service_requests", 10_002, row)
    demo.build()
    after = kpi_rows(demo, columns)
    everywhere = differing(before, after)
    moved = {key for key in everywhere if key[1] in (district, "*")}
    # Elsewhere a value may be withheld now, or no more, beside one with fewer events.
    for key in everywhere - moved:
        assert "derivable" in (before[key][2], after[key][2]), key
        assert before[key][0] == after[key][0], key
    assert {key[1] for key in moved} == {district, "*"}
    assert min(key[2] for key in moved) == "2023-03-01"
    assert {
        *("requests_closed", "closed_on_time_pct", "overdue_open_pct", "still_open_pct"),
        *("requests_backlog", "median_backlog_age"),
    } <= {key[0] for key in moved}
    untouched = {"requests_opened", "calls_offered", "repeated_pct", "collisions_per_10000"}
    assert not untouched & {key[0] for key in moved}
    # What is closed and due is of March; what is open is of each month since.
    later = {key[0] for key in moved if key[2] == "2023-04-01"}
    assert {"requests_backlog", "median_backlog_age"} <= later
    assert not {"requests_closed", "overdue_open_pct"} & later


def test_a_moved_border_moves_what_was_located_by_a_point_only(demo):
    """D01 and D02 swap their names on the map."""
    before = kpi_rows(demo)
    found = demo.rows(
        "select district_id, geometry, population, district_name, median_household_income "
        "from staging.stg_demo__districts where district_id in ('D01', 'D02') order by 1"
    )
    (one, *_), (other, *_) = found
    shapes = {one: found[1][1], other: found[0][1]}
    demo.add(
        "demo__districts",
        10_003,
        *(
            {
                **{"district_id": key, "name": name, "population": people},
                **{"geometry": shapes[key], "median_household_income": int(income)},
            }
            for key, _, people, name, income in found
        ),
    )
    demo.build()
    moved = differing(before, kpi_rows(demo))
    assert {key[1] for key in moved} == {"D01", "D02"}
    # Calls, forms and inspections state their district, and have no point.
    located = {"requests_opened", "collisions_per_10000", "requests_backlog"}
    assert located <= {key[0] for key in moved}
    fields = {
        field
        for (field,) in demo.rows(
            "select distinct field from staging.kpi_definition where metric_id = any(array["
            + ", ".join(f"'{key[0]}'" for key in moved)
            + "])"
        )
    }
    assert fields == {"Service requests", "Traffic safety"}
