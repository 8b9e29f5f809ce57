"""Types of columns: what a manifest may say, and what that is in PostgreSQL and in Arrow."""

from __future__ import annotations

from enum import StrEnum


class ColumnType(StrEnum):
    """A type as manifests name it, with its PostgreSQL type and its Arrow type.

    `postgres`: type in `raw` and `stage`, as information_schema names it. `arrow`: an alias that
    `pyarrow.type_for_alias` takes; None where the type depends on the values (a decimal's scale).
    """

    postgres: str
    arrow: str | None

    TEXT = "text", "text", "string"
    INTEGER = "integer", "bigint", "int64"
    DOUBLE = "double", "double precision", "double"
    NUMERIC = "numeric", "numeric", None
    BOOLEAN = "boolean", "boolean", "bool"
    DATE = "date", "date", "date32"
    TIMESTAMP = "timestamp", "timestamp without time zone", "timestamp[us]"

    def __new__(cls, name: str, postgres: str, arrow: str | None) -> ColumnType:
        """Make a member whose value is its name in a manifest."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.postgres = postgres
        member.arrow = arrow
        return member
