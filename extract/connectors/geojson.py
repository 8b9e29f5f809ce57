"""`geojson`: features as rows, their geometry as GeoJSON text in degrees (EPSG:4326)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from catalog.models import Reader, Source
from extract.batches import SourceBatch, SourceFile, no_rows, numbered
from extract.connectors import option
from extract.connectors.files import find, relative
from extract.connectors.json_records import load_document
from extract.connectors.records import from_objects
from extract.errors import ExtractError

OPTIONS = ("crs", "time_zone")
#: Decimals of a degree: about a centimetre.
DECIMALS = 7
ROWS = 1_000


def read(
    reader: Reader, source: Source, base_dir: Path, cursor: str | None
) -> Iterator[SourceBatch]:
    """Yield features: their properties as columns, and `geometry` as GeoJSON text.

    Coordinates come out as longitude and latitude. Option `crs`: the file's reference system
    (EPSG:2263), where the file names none.
    """
    given = option(reader, "crs", None, str, OPTIONS)
    for path in find(reader, base_dir):
        file = SourceFile(relative(path, base_dir), sparse=True)
        document = load_document(path, file)
        if not isinstance(document, dict) or not isinstance(document.get("features"), list):
            raise ExtractError(
                str(path), "is JSON but no GeoJSON feature collection", "fetch it again"
            )
        transformer = _transformer(document, given, path)
        yield SourceBatch(file, no_rows(["geometry"]), numbered(1, 0))
        features = document["features"]
        for start in range(0, len(features), ROWS):
            objects = [
                {**(f.get("properties") or {}), "geometry": _degrees(f, transformer, path, number)}
                for number, f in enumerate(features[start : start + ROWS], start + 1)
            ]
            yield SourceBatch(file, from_objects(objects), numbered(start + 1, len(objects)))


def _transformer(document: dict[str, Any], given: str | None, path: Path) -> Transformer | None:
    named = ((document.get("crs") or {}).get("properties") or {}).get("name") or given
    if not named:
        return None
    named = re.sub(r"^urn:ogc:def:crs:(\w+):[\d.]*:(\w+)$", r"\1:\2", named)
    if named in ("OGC:CRS84", "EPSG:4326"):
        return None
    try:
        return Transformer.from_crs(CRS.from_user_input(named), 4326, always_xy=True)
    except CRSError as error:
        raise ExtractError(
            str(path), f"its reference system {named!r} is not known", "set options.crs"
        ) from error


def _degrees(
    feature: dict[str, Any], transformer: Transformer | None, path: Path, number: int
) -> str | None:
    geometry = feature.get("geometry")
    if geometry is None:
        return None
    if "coordinates" not in geometry:
        parts = [json.loads(_degrees({"geometry": g}, transformer, path, number) or "null")
                 for g in geometry.get("geometries", [])]  # fmt: skip
        return json.dumps({"type": geometry["type"], "geometries": parts})
    coordinates = _moved(geometry["coordinates"], transformer)
    for longitude, latitude in _points(coordinates):
        if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
            raise ExtractError(
                f"{path}, feature {number}",
                f"({longitude}, {latitude}) is no longitude and latitude",
                "say the file's reference system with options.crs, such as EPSG:2263",
            )
    return json.dumps({"type": geometry["type"], "coordinates": coordinates}, separators=(",", ":"))


def _moved(coordinates: list, transformer: Transformer | None) -> list:
    if not coordinates:
        return []
    if isinstance(coordinates[0], int | float):
        return _moved([coordinates], transformer)[0]
    if not isinstance(coordinates[0][0], int | float):
        return [_moved(part, transformer) for part in coordinates]
    xs, ys = [c[0] for c in coordinates], [c[1] for c in coordinates]
    if transformer is not None:
        xs, ys = transformer.transform(xs, ys)
    return [[round(x, DECIMALS), round(y, DECIMALS)] for x, y in zip(xs, ys, strict=True)]


def _points(coordinates: list) -> Iterator[list[float]]:
    if coordinates and isinstance(coordinates[0], int | float):
        yield coordinates
    else:
        for part in coordinates:
            yield from _points(part)
