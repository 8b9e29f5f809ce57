"""What the DAGs share: the assets by which one leads to the next, and how a task is retried."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from airflow.sdk import (
    Asset,
    CronTriggerTimetable,
    ExceptionRetryPolicy,
    RetryAction,
    RetryRule,
)

from catalog.models import Source
from infra.contract import DEFAULT_QUEUE

MARTS = Asset("marts", "cityloom://warehouse/marts", group="warehouse")
CHAMPION = Asset("champion", "cityloom://models/sentiment/champion", group="models")
SCORES = Asset("scores", "cityloom://warehouse/ml/feedback_score", group="warehouse")
PUBLISHED = Asset("published", "cityloom://superset/dashboards", group="dashboards")

#: A task is tried again for what passes by itself (a lock, a restart, the network). What a person
#: must mend fails at once, with the remedy.
TRY_AGAIN: dict[str, Any] = {
    "retries": 2,
    "retry_delay": timedelta(seconds=10),
    "execution_timeout": timedelta(hours=2),
    "retry_policy": ExceptionRetryPolicy(
        [
            RetryRule(
                "extract.errors.ExtractError",
                action=RetryAction.FAIL,
                reason="the source or its manifest must be mended first",
            )
        ]
    ),
}


def raw_asset(source: Source) -> Asset:
    """Return the asset that stands for a source's table in `raw`."""
    uri = f"cityloom://raw/{source.city_id}/{source.source}"
    return Asset(f"raw.{source.raw_table}", uri, group="raw")


def defaults(owner: str) -> dict[str, Any]:
    """Return the default arguments of every task of a DAG."""
    quiet = {"show_return_value_in_logs": False}  # `conclude` logs the result of a task
    return {"owner": owner, "queue": DEFAULT_QUEUE, **TRY_AGAIN, **quiet}


def schedule(cadence: str, time_zone: str) -> CronTriggerTimetable:
    """Return the schedule of a DAG: the times of a cron expression after it is first unpaused.

    By Airflow's default, a first unpausing also makes up for the last time if less than a tenth of
    the cadence has passed, so that a snapshot's load would meet one of the live source. A minute is
    what the scheduler may be late by without losing a first run.
    """
    return CronTriggerTimetable(cadence, timezone=time_zone, run_immediately=timedelta(minutes=1))


def tags(family: str, tier: str, city: str | None = None) -> list[str]:
    """Return a DAG's tags: what it does, whose data it may show, and of which city."""
    return [f"family:{family}", f"tier:{tier}", *([f"city:{city}"] if city else [])]


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Return rows of two cells as a Markdown table, for a `doc_md`."""
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def log(line: str) -> None:
    """Write a line into a task's log.

    All by the logger: printed text reaches the log by another way, and on a busy machine late.
    """
    logging.getLogger("cityloom").info(line)


def conclude(line: str) -> None:
    """Log the result of a task, as the last line of its log before Airflow's own."""
    log(line)


def wait_for_runs(dag_ids: list[str], ti: Any, *, longest: float = 900, every: float = 3) -> None:
    """Return when none of the DAGs has a run queued or under way, or after `longest` seconds.

    A load that comes later emits its own event, which starts another run of the caller's DAG.
    """
    deadline = time.monotonic() + longest
    while time.monotonic() < deadline:
        # Asks until the first that runs; all of them are asked only when all is quiet.
        if not any(ti.get_dr_count(d, states=["queued", "running"]) for d in dag_ids):
            return
        time.sleep(every)
    log(f"still loading after {longest:.0f} s; building what is accepted so far")
