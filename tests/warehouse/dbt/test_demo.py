"""The demo city's first months, through the gate: indicators as polars finds them in the files."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path

import polars as pl
import psycopg
import pytest

from expectations import gate
from extract import load as loader
from extract.manifests import load_city
from simulator import growth
from tests.indicators import as_stored, by_month, stored_months

SOURCES = (
    *("districts", "service_requests", "call_log", "collection_rounds"),
    *("park_work_orders", "collisions"),
)
RESIDENTS = 402_600


@pytest.fixture(scope="module")
def drop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drop")
    growth.ensure(folder, last_day=date(2023, 4, 30))
    return folder


@pytest.fixture(scope="module")
def demo(built, drop: Path, tmp_path_factory: pytest.TempPathFactory):
    city = load_city("demo")
    for name in SOURCES:
        source = city.source(name)
        report = loader.stage(source, built.url, drop, salt=b"salt")
        gated = gate.run(source, report.load_id, built.url, tmp_path_factory.mktemp("docs"))
        assert gated.load.state == "accepted", name
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
