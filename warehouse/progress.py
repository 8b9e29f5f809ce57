"""How far each step has come: which loads, and which champion, its results include.

Airflow forgets what a killed process meant to tell. These marks are kept with the data, so that
whoever comes next sees what is still to do.

A mark is the newest accepted load of each source, `{"demo.call_log": 17}`: loads of one source
follow each other, so the newest stands for all before it. Scores and reports also carry the
champion's version, `{"model.sentiment": 2}`.
"""

from __future__ import annotations

from typing import Literal

import psycopg
from psycopg.types.json import Jsonb

from catalog.models import Source

#: `build`: marts without scores. `score`: feedback. `publish`: sentiment, KPIs and reports.
Step = Literal["build", "score", "publish"]
Mark = dict[str, int]

MODEL = "sentiment"


def due(warehouse_url: str, step: Step) -> Mark:
    """Return what a step would include if it began now; empty while it lacks what it needs."""
    with psycopg.connect(warehouse_url) as connection:
        return _due(connection, step)


def behind(warehouse_url: str, step: Step) -> bool:
    """Tell whether a step could include more than it does."""
    with psycopg.connect(warehouse_url) as connection:
        wanted = _due(connection, step)
        return bool(wanted) and wanted != _mark(connection, step)


def untold(warehouse_url: str, source: Source) -> bool:
    """Tell whether the marts lack an accepted load of this source."""
    name = f"{source.city_id}.{source.source}"
    with psycopg.connect(warehouse_url) as connection:
        return _due(connection, "build").get(name, 0) > _mark(connection, "build").get(name, 0)


def advance(warehouse_url: str, step: Step, mark: Mark, run_id: str = "") -> None:
    """Note what a step includes: the mark that was due when it began."""
    with psycopg.connect(warehouse_url) as connection:
        connection.execute(
            """
            insert into quality.progress (step, mark, run_id, advanced_at)
            values (%s, %s, %s, clock_timestamp())
            on conflict (step) do update set
                mark = excluded.mark, run_id = excluded.run_id, advanced_at = excluded.advanced_at
            """,
            [step, Jsonb(mark), run_id],
        )


def _due(connection: psycopg.Connection, step: Step) -> Mark:
    if step == "build":
        rows = connection.execute(
            """
            select city_id || '.' || source_id, max(load_id)
            from quality.loads where state = 'accepted' group by 1
            """
        )
        return dict(rows.fetchall())
    if step == "publish":
        return _mark(connection, "score")
    built = _mark(connection, "build")
    champion = connection.execute(
        "select model_version from ml.champion where model_name = %s", [MODEL]
    ).fetchone()
    return {**built, f"model.{MODEL}": champion[0]} if built and champion else {}


def _mark(connection: psycopg.Connection, step: Step) -> Mark:
    row = connection.execute("select mark from quality.progress where step = %s", [step]).fetchone()
    return row[0] if row else {}
