"""One query of a reader, which leaves nothing behind; its values as JSON and as text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from decimal import Decimal
from math import isfinite
from typing import Any

import psycopg

from warehouse.tiers import stricter_tiers


class QueryError(Exception):
    """The query cannot be asked, or has no rows to show; has the reason."""


def ask(url: str, query: str, settings: Sequence[str] = ()) -> tuple[list[str], list[tuple]]:
    """Return the column names and rows of one query, and leave nothing behind on the server.

    `settings`: `NAME=VALUE`, for this query. Raises `QueryError`.
    """
    with closing(psycopg.connect(url)) as connection:
        try:
            _begin(connection, settings)
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


def _begin(connection: psycopg.Connection, settings: Sequence[str]) -> None:
    """Begin a transaction that only reads, with settings; closed uncommitted, it is rolled back."""
    connection.read_only = True
    for setting in settings:
        name, _, value = setting.partition("=")
        connection.execute("select set_config(%s, %s, true)", [name.strip(), value])


def relations_in_part(url: str, query: str, settings: Sequence[str] = ()) -> list[str]:
    """Return the relations of a query of which the reader may see some rows only, by name.

    They hold rows of sources that are of a stricter tier than the reader's role. Empty for a query
    that has no plan, such as `show`.
    """
    with closing(psycopg.connect(url)) as connection:
        try:
            _begin(connection, settings)
            text: Any = f"explain (verbose, format json) {query}"
            plan = connection.execute(text, prepare=True).fetchone()
        except psycopg.Error:
            return []
        places = sorted(set(_scanned(plan[0][0]["Plan"]))) if plan else []
        stricter = stricter_tiers(connection.info.user)
        found = connection.execute(
            """
            select distinct n.nspname || '.' || c.relname
            from pg_class c
            join pg_namespace n on n.oid = c.relnamespace
            join access.source s on s.tier = any(%s) and (
                c.relname = 'quarantine'
                or strpos(c.relname, s.fact) > 0
                or right(c.relname, length(s.city_id || '__' || s.source_id))
                    = s.city_id || '__' || s.source_id)
            where n.nspname || '.' || c.relname = any(%s) and row_security_active(c.oid)
            order by 1
            """,
            [stricter, places],
        )
        return [str(name) for (name,) in found]


def _scanned(plan: dict[str, Any]) -> Iterator[str]:
    """Yield the relations that a plan reads, as `schema.name`."""
    if "Relation Name" in plan:
        yield f"{plan.get('Schema')}.{plan['Relation Name']}"
    for child in plan.get("Plans", ()):
        yield from _scanned(child)


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
