"""Watermarks of each step: the loads, and the champion, that its results include.

Airflow loses an asset event when a process is killed before it emits the event. Watermarks are
stored with the data, so the next run sees what is still pending.

A watermark is the newest accepted load of each source, `{"demo.call_log": 17}`: loads of one
source follow each other, so the newest stands for all before it. The watermarks of scores and
reports also hold the champion's version, `{"model.sentiment": 2}`.
"""

from __future__ import annotations

from typing import Literal

import psycopg
from psycopg.types.json import Jsonb

from catalog.models import Source

#: `build`: marts without scores. `score`: feedback. `publish`: sentiment, KPIs and reports.
Step = Literal["build", "score", "publish"]
Watermark = dict[str, int]

MODEL = "sentiment"


def pending_watermark(warehouse_url: str, step: Step) -> Watermark:
    """Return what a step would include if it began now; empty while its inputs are missing."""
    with psycopg.connect(warehouse_url) as connection:
        return _pending(connection, step)


def stored_watermark(warehouse_url: str, step: Step) -> Watermark:
    """Return what a step's results include; empty before the first."""
    with psycopg.connect(warehouse_url) as connection:
        return _stored(connection, step)


def is_behind(warehouse_url: str, step: Step) -> bool:
    """Return whether a step would include more than its results do."""
    with psycopg.connect(warehouse_url) as connection:
        pending = _pending(connection, step)
        return bool(pending) and pending != _stored(connection, step)


def unbuilt_loads(warehouse_url: str) -> Watermark:
    """Return the newest accepted load of each source whose loads the marts lack."""
    with psycopg.connect(warehouse_url) as connection:
        built = _stored(connection, "build")
        newest = _pending(connection, "build")
    return {name: load for name, load in newest.items() if load > built.get(name, 0)}


def has_unbuilt_load(warehouse_url: str, source: Source) -> bool:
    """Return whether the marts lack an accepted load of this source."""
    return f"{source.city_id}.{source.source}" in unbuilt_loads(warehouse_url)


def advance_watermark(
    warehouse_url: str, step: Step, watermark: Watermark, run_id: str = ""
) -> None:
    """Store what a step includes: the watermark that was pending when it began."""
    with psycopg.connect(warehouse_url) as connection:
        connection.execute(
            """
            insert into quality.progress (step, mark, run_id, advanced_at)
            values (%s, %s, %s, clock_timestamp())
            on conflict (step) do update set
                mark = excluded.mark, run_id = excluded.run_id, advanced_at = excluded.advanced_at
            """,
            [step, Jsonb(watermark), run_id],
        )


def _pending(connection: psycopg.Connection, step: Step) -> Watermark:
    if step == "build":
        rows = connection.execute(
            """
            select city_id || '.' || source_id, max(load_id)
            from quality.loads where state = 'accepted' group by 1
            """
        )
        return dict(rows.fetchall())
    if step == "publish":
        return _stored(connection, "score")
    built = _stored(connection, "build")
    champion = connection.execute(
        "select model_version from ml.champion where model_name = %s", [MODEL]
    ).fetchone()
    return {**built, f"model.{MODEL}": champion[0]} if built and champion else {}


def _stored(connection: psycopg.Connection, step: Step) -> Watermark:
    row = connection.execute("select mark from quality.progress where step = %s", [step]).fetchone()
    return row[0] if row else {}
