"""Rows that are Python values, as batches of text columns under the department's names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows a batch, for connectors that build rows one by one.
ROWS = 20_000


def text_of_value(value: Any) -> str | None:
    """Return a value as a text column holds it: ISO dates, whole floats without a point."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", errors="replace")
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return str(value)


def from_objects(objects: Sequence[dict[str, Any]], known: Sequence[str] = ()) -> pa.RecordBatch:
    """Return objects as text columns: `known` first, then whatever else the objects have."""
    import pyarrow as pa

    names = dict.fromkeys(known)
    for item in objects:
        names.update(dict.fromkeys(item))
    columns = [
        pa.array([text_of_value(item.get(name)) for item in objects], pa.string()) for name in names
    ]
    return pa.RecordBatch.from_arrays(columns, names=list(names))


def from_rows(rows: Sequence[Sequence[Any]], names: Sequence[str]) -> pa.RecordBatch:
    """Return rows, each with a value for every name, as text columns."""
    import pyarrow as pa

    columns = [
        pa.array([text_of_value(row[position]) for row in rows], pa.string())
        for position in range(len(names))
    ]
    return pa.RecordBatch.from_arrays(columns, names=list(names))
