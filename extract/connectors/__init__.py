"""Connectors: each reads one kind of source and yields Arrow batches; looked up by name."""

from __future__ import annotations

from importlib import import_module

from catalog.fields import did_you_mean
from extract.connectors.declare import Connector, Options
from extract.errors import ExtractError
from warehouse.reasons import Reason

__all__ = ["REGISTRY", "Connector", "Options", "connector"]

#: Name in a manifest -> where the connector is; imported when a manifest names it.
REGISTRY = {
    "csv": "extract.connectors.delimited:CSV",
    "json": "extract.connectors.json_records:JSON",
    "jsonl": "extract.connectors.json_records:JSONL",
    "excel": "extract.connectors.workbook:EXCEL",
    "fixed_width": "extract.connectors.fixed_width:FIXED_WIDTH",
    "sql": "extract.connectors.database:SQL",
    "geojson": "extract.connectors.geojson:GEOJSON",
    "parquet": "extract.connectors.parquet:PARQUET",
    "socrata": "extract.connectors.socrata:SOCRATA",
}


def connector(name: str) -> Connector:
    """Return the connector of that name; raise `ExtractError` naming the known ones."""
    if name not in REGISTRY:
        raise ExtractError(
            f"connector {name!r}",
            "is not a connector",
            did_you_mean(name, REGISTRY),
            reason=Reason.WRONG_MANIFEST,
        )
    module, _, attribute = REGISTRY[name].partition(":")
    return getattr(import_module(module), attribute)
