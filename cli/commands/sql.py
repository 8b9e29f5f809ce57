"""`cityloom sql`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Format(StrEnum):
    """How rows are printed."""

    table = "table"
    csv = "csv"
    json = "json"


def main(
    query: Annotated[str, typer.Argument(help="One SELECT; `-` reads it from stdin.")],
    format: Annotated[Format, typer.Option("--format", help="table, csv or json.")] = Format.table,
) -> None:
    """Ask the warehouse, as the read-only role `analyst`.

    Example: cityloom sql "select city_id, count(*) from marts.fct_service_request group by 1"
    """
    import sys

    import psycopg

    from infra.settings import load_settings
    from infra.state import StackError

    if query == "-":
        query = sys.stdin.read()
    with psycopg.connect(load_settings().database_url("analyst")) as connection:
        try:
            answer = connection.execute(query)
            found = []
            more: bool | None = True
            while more:  # a `set` may come before the question
                if answer.description is not None:
                    names = [column.name for column in answer.description]
                    found.append((names, answer.fetchall()))
                more = answer.nextset()
        except psycopg.Error as error:
            raise StackError(str(error).strip()) from error
    if not found:
        raise StackError("the query returns no rows; `sql` only reads")
    if len(found) > 1:
        raise StackError(f"these are {len(found)} queries; ask them one by one")
    _PRINTERS[format](*found[0])


def _plain(value: object) -> object:
    """Return a value as JSON can hold it."""
    from decimal import Decimal
    from math import isfinite

    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, float | Decimal):
        if not isfinite(value):  # JSON has no word for it
            return str(value)
        if isinstance(value, Decimal):
            return int(value) if value == value.to_integral_value() else float(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return _text(value)


def _text(value: object) -> str:
    """Return a value as text: empty for NULL, JSON for an array or an object, hex for bytes."""
    import json

    if isinstance(value, list | tuple | dict):
        return json.dumps(_plain(value), ensure_ascii=False)
    if isinstance(value, bytes | memoryview):
        return f"\\x{bytes(value).hex()}"
    return "" if value is None else str(value)


def _print_table(names: list[str], rows: list[tuple]) -> None:
    from rich.table import Table
    from rich.text import Text

    from cli.display import wide_console

    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, name in enumerate(names):
        numbers = all(isinstance(row[index], int | float) or row[index] is None for row in rows)
        table.add_column(name, justify="right" if rows and numbers else "left")
    for row in rows:
        table.add_row(*(Text(_text(value)) for value in row))
    console = wide_console()
    console.print(table)
    console.print(f"({len(rows)} row{'' if len(rows) == 1 else 's'})", style="dim")


def _print_csv(names: list[str], rows: list[tuple]) -> None:
    import csv
    import sys

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_text(value) for value in row] for row in rows)


def _print_json(names: list[str], rows: list[tuple]) -> None:
    import json

    from infra.state import StackError

    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise StackError(f"two columns are called {twice[0]!r}; tell them apart with `as`")
    found = [dict(zip(names, map(_plain, row), strict=True)) for row in rows]
    typer.echo(json.dumps(found, ensure_ascii=False, indent=2))


_PRINTERS = {Format.table: _print_table, Format.csv: _print_csv, Format.json: _print_json}
