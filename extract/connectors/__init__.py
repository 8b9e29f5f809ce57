"""Connectors: each reads one kind of source and yields Arrow batches; looked up by name.

A connector is a function `(reader, source, base_dir, cursor)` that yields `SourceBatch`es with
the department's own column names. It knows nothing of types, keys or `raw`; a file that is not
what the manifest says raises `ExtractError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TypeAlias

from catalog.models import Reader, Source
from extract.batches import SourceBatch
from extract.errors import ExtractError

Connector: TypeAlias = Callable[[Reader, Source, Path, str | None], Iterator[SourceBatch]]

#: Name in a manifest -> (module, function); imported when used, because some are dear to import.
REGISTRY = {
    "csv": ("extract.connectors.delimited", "read"),
    "json": ("extract.connectors.json_records", "read_document"),
    "jsonl": ("extract.connectors.json_records", "read_lines"),
    "excel": ("extract.connectors.workbook", "read"),
    "fixed_width": ("extract.connectors.fixed_width", "read"),
    "sql": ("extract.connectors.database", "read"),
    "geojson": ("extract.connectors.geojson", "read"),
    "parquet": ("extract.connectors.parquet", "read"),
    "socrata": ("extract.connectors.socrata", "read"),
}


def connector(name: str) -> Connector:
    """Return the connector of that name; raise `ExtractError` naming the known ones."""
    if name not in REGISTRY:
        raise ExtractError(
            f"connector {name!r}", "is not known", f"use one of: {', '.join(sorted(REGISTRY))}"
        )
    module, function = REGISTRY[name]
    return getattr(import_module(module), function)


def option(
    reader: Reader, name: str, default, kind: type | tuple[type, ...], known: tuple[str, ...]
):
    """Return one of a reader's options.

    Raises `ExtractError` for an option that the connector does not know or of another type.
    """
    for given in reader.options:
        if given not in known:
            raise ExtractError(
                f"connector {reader.connector}",
                f"has no option {given!r}",
                f"its options are: {', '.join(known)}",
            )
    value = reader.options.get(name, default)
    if value is not None and not isinstance(value, kind):
        names = kind.__name__ if isinstance(kind, type) else " or ".join(k.__name__ for k in kind)
        raise ExtractError(
            f"connector {reader.connector}",
            f"option {name} is {value!r}",
            f"give a {names}",
        )
    return value
