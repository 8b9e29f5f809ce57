"""What `cityloom run` reports at its end, read from the warehouse and from MLflow."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from catalog.models import City, Source
from infra.contract import Deployment
from warehouse.progress import MODEL, Watermark


def read_loads(
    warehouse: str, sources: Sequence[Source], run_id: str, reported: Watermark
) -> list[dict[str, Any]]:
    """Return the loads of this run, and those accepted from others that no report included.

    `reported`: the watermark of `publish` before the run. Columns are those of `quality.loads`,
    `own`: whether the load is of this run, and `quarantine_reasons`: the most frequent ones, each
    with `reason` and `rows`.
    """
    with psycopg.connect(warehouse, row_factory=dict_row) as connection:
        found = connection.execute(
            """
            select source_id, load_id, run_id = %(run)s as own, run_id, state, finished_at,
              rows_read, rows_accepted, rows_unchanged, rows_quarantined, message, data_docs,
              (select coalesce(json_agg(frequent), '[]')
               from (select reason, count(*) as rows from quality.quarantine, unnest(reasons) reason
                     where last_load_id = load.load_id
                     group by reason order by rows desc, reason limit 3) frequent
              ) as quarantine_reasons
            from quality.loads load
            where city_id = %(city)s and source_id = any(%(sources)s) and (run_id = %(run)s
              or state = 'accepted'
                and load_id > coalesce((%(reported)s ->> (city_id || '.' || source_id))::bigint, 0))
            order by array_position(%(sources)s, source_id), load_id
            """,
            {
                "run": run_id,
                "city": sources[0].city_id,
                "sources": [source.source for source in sources],
                "reported": Jsonb(reported),
            },
        )
        return found.fetchall()


def read_champion(warehouse: str) -> dict[str, Any] | None:
    """Return `model`, `version` and `since` of the champion, or None."""
    with psycopg.connect(warehouse, row_factory=dict_row) as connection:
        return connection.execute(
            "select model_name as model, model_version as version, promoted_at as since "
            "from ml.champion where model_name = %s",
            [MODEL],
        ).fetchone()


def describe_champion(deployment: Deployment, city: City) -> dict[str, Any] | None:
    """Return the champion with its `description` in MLflow: its net and its figures.

    For a simulated city, which knows what its residents meant, also `agreement`: the share of `n`
    comments that the champion reads as they were meant.
    """
    warehouse = deployment.database_url("warehouse")
    champion = read_champion(warehouse)
    if champion is None:
        return None
    with psycopg.connect(warehouse, row_factory=dict_row) as connection:
        table = "select to_regclass('reporting.rpt_model_agreement') is not null as exists"
        if city.simulated and connection.execute(table).fetchall() == [{"exists": True}]:
            (agreement,) = connection.execute(
                """
                select sum(n)::bigint as n,
                       round(sum(n) filter (where agrees) / nullif(sum(n), 0), 4)::float8
                           as agreement
                from reporting.rpt_model_agreement where city_id = %s and model_version = %s
                """,
                [city.city_id, champion["version"]],
            ).fetchall()
            champion |= agreement
    # By REST, because importing MLflow's client costs more than all the rest of this.
    with suppress(httpx.HTTPError, KeyError):
        answer = httpx.get(
            f"{deployment.url('mlflow')}/api/2.0/mlflow/model-versions/get",
            params={"name": champion["model"], "version": champion["version"]},
            auth=deployment.login("mlflow"),
            trust_env=False,
        )
        champion["description"] = answer.json()["model_version"]["description"]
    return champion
