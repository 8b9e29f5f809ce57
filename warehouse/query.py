"""One query of a reader, which leaves nothing behind; its values as JSON and as text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from math import isfinite
from typing import Any

import psycopg


class QueryError(Exception):
    """The query cannot be asked, or has no rows to show; has the reason."""


def ask(url: str, query: str, settings: Sequence[str] = ()) -> tuple[list[str], list[tuple]]:
    """Return the column names and rows of one query, and leave nothing behind on the server.

    `settings`: `NAME=VALUE`, for this query. Raises `QueryError`.
    """
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


def json_value(value: Any) -> Any:
    """Return a value as JSON can hold it: a number stays one, a date becomes text."""
    if isinstance(value, list | tuple):
        return [json_value(one) for one in value]
    if isinstance(value, dict):
        return {key: json_value(one) for key, one in value.items()}
    if isinstance(value, float | Decimal) and not isfinite(value):
        return str(value)  # JSON cannot express it
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value if value is None or isinstance(value, int | float) else text_value(value)


def text_value(value: Any) -> str:
    """Return a value as text: empty for NULL, JSON for an array or an object, hex for bytes."""
    if isinstance(value, list | tuple | dict):
        return json.dumps(json_value(value), ensure_ascii=False)
    if isinstance(value, bytes | memoryview):
        return f"\\x{bytes(value).hex()}"
    return "" if value is None else str(value)
