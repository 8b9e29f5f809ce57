"""Reading `cities/` with all rules: the schema's and the connectors'. Programs read it here.

`load_cities` is for whoever goes on with what is right (DAGs, `cityloom run`); `load_city` for
whoever needs one city whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from catalog.cities import CITIES_DIR, Cities, read_cities
from catalog.models import City, Source
from catalog.problems import Location, ManifestError
from extract.connectors import connector
from extract.errors import ExtractError


@cache
def load_cities(cities_dir: Path = CITIES_DIR, only: str | None = None) -> Cities:
    """Return the usable cities and sources, and what is wrong with the others; once a process.

    `only`: one city; raises `ManifestError` naming those there are if it is not one of them.
    """
    return read_cities(cities_dir, only, check=reader_problems)


def load_city(city_id: str, cities_dir: Path = CITIES_DIR) -> City:
    """Return one city with all its sources.

    Raises `ManifestError` with every problem in every file of the city, or naming the cities that
    there are.
    """
    found = read_cities(cities_dir, city_id, check=reader_problems)
    if found.problems:
        raise ManifestError(found.problems)
    return found.cities[0]


def reader_problems(source: Source) -> Iterator[tuple[Location, str]]:
    """Yield (location, what is wrong and what to do) for a source's `read` and `snapshot`."""
    for key, reader in {"read": source.read, "snapshot": source.snapshot}.items():
        if reader is None:
            continue
        try:
            found = connector(reader.connector)
        except ExtractError as error:
            yield (
                (key, "connector"),
                f"{reader.connector!r} {error.problem}; {error.remedy}",
            )
            continue
        for loc, message in found.problems(reader):
            yield (key, *loc), message
