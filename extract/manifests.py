"""Reading `cities/` with all rules: the schema's and the connectors'. Programs read it here.

`load_cities` returns what is usable beside the problems (for DAGs, `cityloom run`); `load_city`
raises for any problem in its city.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

from catalog.cities import CITIES_DIR, Cities, read_cities
from catalog.models import City, Source
from catalog.problems import Location, ManifestError
from extract.connectors import REGISTRY, connector
from extract.errors import ExtractError


@cache
def load_cities(cities_dir: Path = CITIES_DIR, only: str | None = None) -> Cities:
    """Return the usable cities and sources, and what is wrong with the others; once a process.

    `only`: one city; raises `ManifestError` naming those there are if it is not one of them.
    """
    return read_cities(cities_dir, only, reader_problems, _option_names())


def load_city(city_id: str, cities_dir: Path = CITIES_DIR) -> City:
    """Return one city with all its sources.

    Raises `ManifestError` with every problem in every file of the city, or naming the cities that
    there are.
    """
    found = read_cities(cities_dir, city_id, reader_problems, _option_names())
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


def _option_names() -> set[str]:
    """Return the names of all connectors' options."""
    return {option for name in REGISTRY for option in connector(name).options.model_fields}


def json_schema(kind: Literal["source", "city"]) -> dict[str, Any]:
    """Return the JSON schema of a manifest (`source`) or of a `city.yml`, for editors.

    A manifest's `read` and `snapshot` have the options of the connector that they name.
    """
    model = Source if kind == "source" else City
    schema = model.model_json_schema()
    for key in model.not_in_file:
        del schema["properties"][key]
    schema["required"] = [key for key in schema["required"] if key in schema["properties"]]
    definitions = schema["$defs"]
    if kind == "city":
        for unused in {"Column", "Gate", "Reader", "Source", "ColumnType"} & definitions.keys():
            del definitions[unused]
        return schema
    reader = definitions["Reader"]
    reader["properties"]["connector"]["enum"] = sorted(REGISTRY)
    reader["allOf"] = []
    for name in sorted(REGISTRY):
        found = connector(name)
        options = found.options.model_json_schema(ref_template="#/$defs/{model}")
        definitions |= options.pop("$defs", {})
        definitions[found.options.__name__] = options
        rules: dict[str, Any] = {
            "properties": {"options": {"$ref": f"#/$defs/{found.options.__name__}"}}
        }
        required = ["files"] if found.reads_files else []
        if not found.reads_files:
            rules["properties"]["files"] = False
        if options.get("required"):
            required.append("options")
        reader["allOf"].append(
            {
                "if": {"properties": {"connector": {"const": name}}, "required": ["connector"]},
                "then": {**rules, "required": required},
            }
        )
    return schema
