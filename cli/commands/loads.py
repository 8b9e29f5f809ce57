"""`cityloom loads`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.display import Json, echo, print_json, print_table
from infra import contract


def main(
    city: Annotated[str | None, typer.Argument(help="Only this city's loads.")] = None,
    source: Annotated[str | None, typer.Argument(help="Only this source's loads.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All loads, not just the last.")] = False,
    models: Annotated[bool, typer.Option("--models", help="What dbt last did, by node.")] = False,
    limit: Annotated[int, typer.Option(help="How many at most, newest first.")] = 100,
    json: Json = False,
) -> None:
    """Show what became of the loads: read = accepted + unchanged + quarantined.

    Example: cityloom loads nyc --json
    """
    from warehouse import outcomes
    from warehouse.dbt import FAILED

    url = contract.load_deployment().database_url("analyst")
    nodes = outcomes.dbt_nodes(url)
    failing = [node for node in nodes if node["status"] in FAILED]
    found = nodes if models else outcomes.loads(url, city, source, every=every, limit=limit)
    if json:
        print_json(found)
    elif models:
        columns = ["name", "resource_type", "status", "rows_affected", "seconds", "failures"]
        print_table(columns, found)
        for node in failing:
            echo(f"\n{node['name']} {node['status']}: {node['message']}")
    else:
        _print_loads(found, city, source)
        if nodes:
            names = ", ".join(sorted(node["name"] for node in failing))
            named = f"; failing: {names}" if names else ""
            echo(f"\ndbt: {len(nodes)} nodes{named} (`cityloom loads --models` lists them)")


def _print_loads(loads: list[dict[str, Any]], city: str | None, source: str | None) -> None:
    if not loads:
        of = f" of {'/'.join(filter(None, (city, source)))}" if city else ""
        echo(f"no loads{of} yet; `cityloom run {city or 'demo'}` makes some")
        return
    counts = ["read", "accepted", "unchanged", "quarantined", "blocked"]
    columns = ["load", "source", "state", "started", *counts[:-1], "of these blocked"]
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
    print_table(columns, rows)
    for load in loads:
        if load["message"]:
            echo(f"\nload {load['load_id']} {load['state']}: {load['message']}")
