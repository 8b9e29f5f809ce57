"""`cityloom loads`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.display import Json, echo, print_json, table, wide_console

if TYPE_CHECKING:
    import psycopg

LOADS = """
select load_id, city_id, source_id, run_id, mode, state, started_at, finished_at,
  rows_read, rows_accepted, rows_new, rows_changed, rows_unchanged, rows_quarantined,
  case when state = 'blocked' then rows_new + rows_changed else 0 end as rows_kept_out,
  cursor_before, cursor_after, files, message, data_docs
from (select l.*, row_number() over (partition by city_id, source_id order by load_id desc) as nth
      from quality.loads l
      where (%(city)s::text is null or city_id = %(city)s)
        and (%(source)s::text is null or source_id = %(source)s)) newest
where nth = 1 or %(every)s
order by load_id desc limit %(limit)s
"""
#: A node is gone from the project when what was built beside it was built again without it, in
#: another run: a retry builds only what failed.
MODELS = """
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


def main(
    city: Annotated[str | None, typer.Argument(help="Only this city's loads.")] = None,
    source: Annotated[str | None, typer.Argument(help="Only this source's loads.")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every load, not each source's last.")
    ] = False,
    models: Annotated[
        bool, typer.Option("--models", help="What dbt last did, node by node.")
    ] = False,
    limit: Annotated[int, typer.Option(help="How many at most, newest first.")] = 100,
    json: Json = False,
) -> None:
    """Show what became of the loads: read = accepted + unchanged + quarantined.

    Example: cityloom loads nyc --json
    """
    import psycopg

    from infra.contract import load_deployment

    with psycopg.connect(load_deployment().database_url("analyst")) as connection:
        outcomes = _rows(connection, MODELS, {})
        asked = {"city": city, "source": source, "every": every, "limit": limit}
        found = outcomes if models else _rows(connection, LOADS, asked)
    if json:
        print_json(found)
    elif models:
        columns = ["name", "resource_type", "status", "rows_affected", "seconds", "failures"]
        wide_console().print(
            table(
                columns,
                [[node[column] for column in columns] for node in found],
                text=lambda value: f"{value:.1f}" if isinstance(value, float) else str(value),
            )
        )
        for node in _failing(found):
            echo(f"\n{node['name']} {node['status']}: {node['message']}")
    else:
        _print_loads(found, city, source)
        if outcomes:
            bad = sorted(node["name"] for node in _failing(outcomes))
            failing = f"; failing: {', '.join(bad)}" if bad else ""
            echo(f"\ndbt: {len(outcomes)} nodes{failing} (`cityloom loads --models` lists them)")


def _rows(connection: psycopg.Connection, query: str, values: dict) -> list[dict[str, Any]]:
    from psycopg.rows import dict_row

    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, values).fetchall()


def _failing(outcomes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from warehouse.dbt import FAILED

    return [node for node in outcomes if node["status"] in FAILED]


def _print_loads(loads: list[dict[str, Any]], city: str | None, source: str | None) -> None:
    if not loads:
        of = f" of {'/'.join(filter(None, (city, source)))}" if city else ""
        echo(f"no loads{of} yet; `cityloom run {city or 'demo'}` makes some")
        return
    counts = ["read", "accepted", "unchanged", "quarantined", "kept_out"]
    columns = ["load", "source", "state", "started", *counts[:-1], "of these kept out"]
    rows = [
        [
            load["load_id"],
            f"{load['city_id']}/{load['source_id']}",
            load["state"],
            load["started_at"].astimezone().strftime("%Y-%m-%d %H:%M"),
            *(load[f"rows_{count}"] for count in counts),
        ]
        for load in loads
    ]
    wide_console().print(table(columns, rows))
    for load in loads:
        if load["message"]:
            echo(f"\nload {load['load_id']} {load['state']}: {load['message']}")
