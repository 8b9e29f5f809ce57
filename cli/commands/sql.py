"""`cityloom sql`."""

from __future__ import annotations

import csv
import json
import sys
from contextlib import closing
from decimal import Decimal
from enum import StrEnum
from math import isfinite
from typing import Annotated, Any

import typer

from catalog.text import printable
from cli.display import print_json, print_table, spreadsheet_cell
from infra import contract


class Format(StrEnum):
    """How rows are printed."""

    table = "table"
    csv = "csv"
    json = "json"


class QueryError(Exception):
    """The query cannot be asked, or has no rows to show; has the reason."""


def main(
    query: Annotated[str, typer.Argument(help="One SELECT; `-` reads it from stdin.")],
    format: Annotated[Format, typer.Option("--format", help="table, csv or json.")] = Format.table,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Setting for the query; repeatable."),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="csv: text as stored, also what looks like a formula.")
    ] = False,
) -> None:
    """Ask the warehouse, as the role `analyst`, in a transaction that is rolled back.

    For machines: json is exact. table and csv show escape sequences as text, and csv puts ' before
    text that a spreadsheet would run as a formula, unless `--exact` is given.

    Example: cityloom sql "select city_id, count(*) from marts.fct_service_request group by 1"
    """
    if query == "-":
        query = sys.stdin.read()
    url = contract.load_deployment().database_url("analyst")
    names, rows = ask(url, query, settings or ())
    if format is Format.table:
        print_table(names, rows, text=_text)
        typer.secho(f"({len(rows)} row{'' if len(rows) == 1 else 's'})", dim=True)
    elif format is Format.csv:
        _print_csv(names, rows, exact)
    else:
        _print_json(names, rows)


def ask(url: str, query: str, settings: Any = ()) -> tuple[list[str], list[tuple]]:
    """Return the column names and rows of one query, and leave nothing behind on the server.

    `settings`: `NAME=VALUE`, for this query. Raises `QueryError`.
    """
    import psycopg

    # Closed without a commit, so that the server rolls back.
    with closing(psycopg.connect(url)) as connection:
        connection.read_only = True
        try:
            for setting in settings:
                name, _, value = setting.partition("=")
                connection.execute("select set_config(%s, %s, true)", [name.strip(), value])
            # The extended protocol takes a single statement: no `commit; ...` can end the
            # read-only transaction and go on.
            answer = connection.execute(query, prepare=True)
            if answer.description is None:
                raise QueryError("the query returns no rows; `sql` only reads")
            return [column.name for column in answer.description], answer.fetchall()
        except psycopg.Error as error:
            message = str(error).strip()
            if isinstance(error, psycopg.errors.SyntaxError) and "multiple commands" in message:
                message = (
                    "these are several statements; ask them one by one, and give settings as "
                    "`--set search_path=marts`"
                )
            raise QueryError(message) from error


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, float | Decimal) and not isfinite(value):
        return str(value)  # JSON cannot express it
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value if value is None or isinstance(value, int | float) else _text(value)


def _text(value: Any) -> str:
    """Return a value as text: empty for NULL, JSON for an array or an object, hex for bytes."""
    if isinstance(value, list | tuple | dict):
        return json.dumps(_plain(value), ensure_ascii=False)
    if isinstance(value, bytes | memoryview):
        return f"\\x{bytes(value).hex()}"
    return "" if value is None else str(value)


def _print_csv(names: list[str], rows: list[tuple], exact: bool) -> None:
    def cell(value: object) -> str:
        text = _text(value)
        if exact or isinstance(value, int | float | Decimal):
            return text
        return printable(spreadsheet_cell(text))

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([cell(name) for name in names])
    writer.writerows([cell(value) for value in row] for row in rows)


def _print_json(names: list[str], rows: list[tuple]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise QueryError(f"two columns are called {twice[0]!r}; rename one with `as`")
    print_json([dict(zip(names, map(_plain, row), strict=True)) for row in rows])
