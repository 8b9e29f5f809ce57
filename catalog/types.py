"""Types of columns: what a manifest may say, and what that is in PostgreSQL, Arrow and Python."""

from __future__ import annotations

import math
from datetime import date, datetime
from enum import StrEnum

#: The loader's own columns, last in every table of `raw` and `stage`: name, type, description.
LOADER_COLUMNS = (
    ("_load_id", "bigint", "Load that brought this version of the row; see quality.loads"),
    ("_row_hash", "text", "Hash of the row's content"),
    ("_source_file", "text", "File or request that the row came from"),
    ("_source_row", "bigint", "Its place there"),
)


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

    def parse(self, value: float | str) -> str | int | float | bool | datetime:
        """Return a value that a manifest names (a bound, one of a list) as one of this type.

        Dates and timestamps come as `datetime`. Raises `ValueError` for what is none.
        """
        match self:
            case ColumnType.TEXT:
                return str(value)
            case ColumnType.BOOLEAN:
                if str(value).lower() not in ("true", "false"):
                    raise ValueError(f"{value!r} is not true or false")
                return str(value).lower() == "true"
            case ColumnType.DATE:
                day = date.fromisoformat(str(value))
                return datetime(day.year, day.month, day.day)
            case ColumnType.TIMESTAMP:
                moment = datetime.fromisoformat(str(value))
                if moment.tzinfo is not None:
                    raise ValueError(f"{value!r} has an offset; timestamps are local times")
                return moment
            case _:
                try:
                    return int(value) if isinstance(value, str) else _number(value)
                except ValueError:
                    return _number(float(value))


def _number(value: float) -> int | float:
    if not math.isfinite(value):
        raise ValueError(f"{value!r} is not a finite number")
    return int(value) if float(value).is_integer() else value
