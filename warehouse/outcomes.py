"""The outcomes of loads, dbt and training, as `cityloom loads` and `cityloom run` show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from catalog.models import Source
from warehouse.progress import MODEL, Watermark

Row = dict[str, Any]

_LOADS = """
select load_id, city_id, source_id, run_id, mode, state, started_at, finished_at,
  rows_read, rows_accepted, rows_new, rows_changed, rows_unchanged, rows_quarantined,
  case when state = 'blocked' then rows_new + rows_changed else 0 end as rows_blocked,
  cursor_before, cursor_after, files, message, data_docs
from (select l.*, row_number() over (partition by city_id, source_id order by load_id desc) as nth
      from quality.loads l
      where (%(city)s::text is null or city_id = %(city)s)
        and (%(source)s::text is null or source_id = %(source)s)) newest
where nth = 1 or %(every)s
order by load_id desc limit %(limit)s
"""
_RUN_LOADS = """
select source_id, load_id, run_id = %(run)s as own, run_id, state, finished_at,
  rows_read, rows_accepted, rows_unchanged, rows_quarantined, message, data_docs,
  (select coalesce(json_agg(frequent), '[]')
   from (select reason, count(*) as rows from quality.quarantine, unnest(reasons) as reason
         where last_load_id = load.load_id
         group by reason order by rows desc, reason limit 3) frequent) as quarantine_reasons
from quality.loads load
where city_id = %(city)s and source_id = any(%(sources)s)
  and (run_id = %(run)s
    or state = 'accepted'
      and load_id > coalesce((%(reported)s ->> (city_id || '.' || source_id))::bigint, 0))
order by array_position(%(sources)s, source_id), load_id
"""
#: A node is gone from the project when what was built beside it was built again without it, in
#: another run: a retry builds only what failed.
_DBT_NODES = """
with newest as materialized (
  select distinct on (node_id) * from quality.dbt_results order by node_id, completed_at desc
)
select resource_type, name, status, rows_affected, seconds, failures, message, run_id, completed_at
from newest
where not exists (
  select 1 from quality.dbt_results beside join newest again on again.node_id = beside.node_id
  where beside.invocation_id = newest.invocation_id and again.run_id <> newest.run_id
    and again.completed_at > newest.completed_at)
order by node_id
"""
_AGREEMENT = """
select sum(n)::bigint as n,
  round(sum(n) filter (where agrees) / nullif(sum(n), 0), 4)::float8 as agreement
from reporting.rpt_model_agreement where city_id = %s and model_version = %s
"""


def loads(
    url: str, city: str | None, source: str | None, *, every: bool = False, limit: int = 100
) -> list[Row]:
    """Return each source's newest load, or `every` one; `limit` at most, the newest first.

    Columns of `quality.loads`, and `rows_blocked`: those of `rows_quarantined` that have no fault
    of their own, in a load that was blocked.
    """
    asked = {"city": city, "source": source, "every": every, "limit": limit}
    return _rows(url, _LOADS, asked)


def run_loads(url: str, sources: Sequence[Source], run_id: str, reported: Watermark) -> list[Row]:
    """Return the loads of a run, and those accepted from others that no report included.

    `reported`: the watermark of `publish` before the run. Columns of `quality.loads`, `own`:
    whether the load is of this run, and `quarantine_reasons`: the three most frequent, each with
    `reason` and `rows`. In the order of `sources`, which are of one city.
    """
    asked = {
        "run": run_id,
        "city": sources[0].city_id,
        "sources": [source.source for source in sources],
        "reported": Jsonb(reported),
    }
    return _rows(url, _RUN_LOADS, asked)


def dbt_nodes(url: str) -> list[Row]:
    """Return the newest outcome of each model, test and seed; columns of `quality.dbt_results`."""
    return _rows(url, _DBT_NODES, [])


def champion(url: str) -> Row | None:
    """Return the champion's `model`, `version`, `since` and `reason` of promotion; None without."""
    found = _rows(
        url,
        "select model_name as model, model_version as version, promoted_at as since, "
        "coalesce(nullif(reason, ''), 'version ' || model_version) as reason "
        "from ml.champion where model_name = %s",
        [MODEL],
    )
    return found[0] if found else None


def agreement(url: str, city_id: str, version: int) -> Row:
    """Return `n` and `agreement`: the share of n comments that a version reads as meant.

    For a simulated city, which knows what its residents meant; empty before the first reports.
    """
    exists = "select 1 where to_regclass('reporting.rpt_model_agreement') is not null"
    return _rows(url, _AGREEMENT, [city_id, version])[0] if _rows(url, exists, []) else {}


def _rows(url: str, query: str, values: Any) -> list[Row]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(query, values).fetchall()
