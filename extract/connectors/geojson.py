"""`geojson`: features as rows, their geometry as GeoJSON text in degrees (EPSG:4326)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from catalog.models import Reader, Source
from extract.batches import RejectedRow, SourceBatch, SourceFile, no_rows, numbered
from extract.connectors.declare import Connector, Options
from extract.connectors.files import find, relative
from extract.connectors.json_records import load_document
from extract.connectors.records import from_objects
from extract.errors import ExtractError

if TYPE_CHECKING:
    from pyproj import Transformer

#: Decimals of a degree: about a centimetre.
DECIMALS = 7
ROWS = 1_000


class _Malformed(ValueError):
    """A feature that is not valid GeoJSON; rejected with the reason."""


class GeojsonOptions(Options):
    """Options of `geojson`."""

    crs: str | None = Field(
        None,
        min_length=1,
        description="Reference system of the coordinates, such as EPSG:2263, where the file "
        "names none",
    )


def read(
    options: GeojsonOptions, reader: Reader, source: Source, base_dir: Path, cursor: str | None
) -> Iterator[SourceBatch]:
    """Yield features: their properties as columns, and `geometry` as GeoJSON text.

    Coordinates come out as longitude and latitude. What is no feature, or has a geometry that
    cannot be read, is rejected.
    """
    import numpy as np

    for path in find(reader, base_dir):
        file = SourceFile(relative(path, base_dir), sparse=True)
        document = load_document(path, file)
        if not isinstance(document, dict) or not isinstance(document.get("features"), list):
            raise ExtractError(
                str(path), "is JSON but no GeoJSON feature collection", "fetch it again"
            )
        transformer = _transformer(document, options.crs, path)
        yield SourceBatch(file, no_rows(["geometry"]), numbered(1, 0))
        features = document["features"]
        for start in range(0, len(features), ROWS):
            objects, rows, rejected = [], [], []
            for number, feature in enumerate(features[start : start + ROWS], start + 1):
                try:
                    objects.append(_row(feature, transformer, path, number))
                    rows.append(number)
                except _Malformed as error:
                    rejected.append(RejectedRow(number, str(error), json.dumps(feature)[:500]))
            yield SourceBatch(
                file, from_objects(objects), np.array(rows, np.int64), tuple(rejected)
            )


GEOJSON = Connector("GeoJSON features, coordinates in degrees", GeojsonOptions, read)


def _transformer(document: dict[str, Any], given: str | None, path: Path) -> Transformer | None:
    from pyproj import CRS, Transformer
    from pyproj.exceptions import CRSError

    named = document.get("crs") or given
    for step in ("properties", "name"):
        named = (named.get(step) or given) if isinstance(named, dict) else named
    if not named:
        return None
    named = re.sub(r"^urn:ogc:def:crs:(\w+):[\d.]*:(\w+)$", r"\1:\2", str(named))
    if named in ("OGC:CRS84", "EPSG:4326"):
        return None
    try:
        return Transformer.from_crs(CRS.from_user_input(named), 4326, always_xy=True)
    except CRSError as error:
        raise ExtractError(
            str(path), f"its reference system {named!r} is not known", "set options.crs"
        ) from error


def _row(feature: Any, transformer: Transformer | None, path: Path, number: int) -> dict[str, Any]:
    if not isinstance(feature, dict):
        raise _Malformed("is not a GeoJSON feature")
    properties = feature.get("properties") or {}
    if not isinstance(properties, dict):
        raise _Malformed("properties: are not an object")
    geometry = feature.get("geometry")
    if geometry is None or (isinstance(geometry, dict) and geometry.get("coordinates") == []):
        return {**properties, "geometry": None}
    moved = _degrees(geometry, transformer, f"{path}, feature {number}")
    return {**properties, "geometry": json.dumps(moved, separators=(",", ":"))}


def _degrees(geometry: Any, transformer: Transformer | None, place: str) -> dict[str, Any]:
    """Return a geometry in longitude and latitude."""
    if not isinstance(geometry, dict) or not isinstance(geometry.get("type"), str):
        raise _Malformed("geometry: is not a GeoJSON geometry")
    if isinstance(geometry.get("geometries"), list):
        parts = [_degrees(part, transformer, place) for part in geometry["geometries"]]
        return {"type": geometry["type"], "geometries": parts}
    coordinates = _moved(geometry.get("coordinates"), transformer)
    for longitude, latitude in _points(coordinates):
        if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
            raise ExtractError(
                place,
                "has coordinates that are no longitude and latitude",
                "set options.crs to the file's reference system, such as EPSG:2263",
                quoted=f"({longitude}, {latitude})",
            )
    return {"type": geometry["type"], "coordinates": coordinates}


def _moved(coordinates: Any, transformer: Transformer | None) -> list:
    if not isinstance(coordinates, list):
        raise _Malformed("geometry: has no coordinates")
    if not coordinates:
        return []
    if _is_point(coordinates):
        return _moved([coordinates], transformer)[0]
    if not all(map(_is_point, coordinates)):
        return [_moved(part, transformer) for part in coordinates]
    xs, ys = [c[0] for c in coordinates], [c[1] for c in coordinates]
    if transformer is not None:
        xs, ys = transformer.transform(xs, ys)
    return [[round(x, DECIMALS), round(y, DECIMALS)] for x, y in zip(xs, ys, strict=True)]


def _is_point(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 1
        and all(isinstance(number, int | float) and math.isfinite(number) for number in value[:2])
    )


def _points(coordinates: list) -> Iterator[list[float]]:
    if coordinates and isinstance(coordinates[0], int | float):
        yield coordinates
    else:
        for part in coordinates:
            yield from _points(part)
