"""`cityloom sql`."""

from __future__ import annotations

import csv
import sys
from decimal import Decimal
from typing import Annotated, Literal

import typer

from catalog.text import printable, spreadsheet_cell
from cli.display import echo, print_json, print_table
from infra import contract

#: How rows are printed.
Format = Literal["table", "csv", "json"]


def main(
    query: Annotated[str, typer.Argument(help="One SELECT; `-` reads it from stdin.")],
    format: Annotated[Format, typer.Option(help="How rows are printed.")] = "table",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Setting for the query; repeatable."),
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="csv: also formulas as stored.")] = False,
) -> None:
    """Ask the warehouse, as the role `analyst`, in a transaction that is rolled back.

    For machines: json is exact. table and csv show escape sequences as text, and csv puts ' before
    text that a spreadsheet would run as a formula, unless `--exact` is given. A note on stderr
    names the relations of which rows of a higher tier are left out.

    Example: cityloom sql "select city_id, count(*) from marts.fct_service_request group by 1"
    """
    from warehouse.query import ask, relations_in_part, text_value

    if query == "-":
        query = sys.stdin.read()
    url = contract.load_deployment().database_url("analyst")
    names, rows = ask(url, query, settings or ())
    in_part = relations_in_part(url, query, settings or ())
    if in_part:
        echo(f"note: rows of a higher tier are not shown to you: {', '.join(in_part)}", err=True)
    if format == "table":
        print_table(names, rows, text=text_value)
        typer.secho(f"({len(rows)} row{'' if len(rows) == 1 else 's'})", dim=True)
    elif format == "csv":
        _print_csv(names, rows, exact)
    else:
        _print_json(names, rows)


def _print_csv(names: list[str], rows: list[tuple], exact: bool) -> None:
    from warehouse.query import text_value

    def cell(value: object) -> str:
        text = text_value(value)
        if exact or isinstance(value, int | float | Decimal):
            return text
        return printable(spreadsheet_cell(text))

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([cell(name) for name in names])
    writer.writerows([cell(value) for value in row] for row in rows)


def _print_json(names: list[str], rows: list[tuple]) -> None:
    from warehouse.query import QueryError, json_value

    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise QueryError(f"two columns are called {twice[0]!r}; tell them apart with `as`")
    print_json([dict(zip(names, map(json_value, row), strict=True)) for row in rows])
