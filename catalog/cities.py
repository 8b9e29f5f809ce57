"""Reading `cities/`: a folder a city, a manifest a source, errors that say what to mend."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from catalog.models import City, Column, Gate, Reader, Source

Model = TypeVar("Model", bound=BaseModel)

CITIES_DIR = Path(__file__).resolve().parents[1] / "cities"


class ManifestError(Exception):
    """One or more files under `cities/` that do not say what they must.

    Each problem names the file, the key and the remedy.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def load_city(city_id: str, cities_dir: Path = CITIES_DIR) -> City:
    """Read and validate one city with all its sources.

    Raises `ManifestError` listing every problem in every file, not just the first.
    """
    folder = cities_dir / city_id
    city_file = folder / "city.yml"
    if not city_file.is_file():
        raise ManifestError(
            [f"{city_file}: no such file. Cities here: {', '.join(city_ids(cities_dir)) or 'none'}"]
        )
    problems: list[str] = []
    sources: dict[str, Source] = {}
    for path in sorted((folder / "sources").glob("*/*.yml")):
        try:
            source = _parse(Source, path, city_id=city_id, department=path.parent.name)
            if source.source != path.stem:
                problems.append(
                    f"{path}: source: is {source.source!r}; name it {path.stem!r} as the file"
                )
            if source.source in sources:
                problems.append(
                    f"{path}: source: {source.source!r} is also in {sources[source.source].path}; "
                    "names are unique in a city"
                )
            sources[source.source] = source
        except ManifestError as error:
            problems.extend(error.problems)
    city = None
    try:
        city = _parse(City, city_file, city_id=city_id, sources=tuple(sources.values()))
    except ManifestError as error:
        problems.extend(error.problems)
    if problems or city is None:
        raise ManifestError(problems)
    return city


def city_ids(cities_dir: Path = CITIES_DIR) -> list[str]:
    """Return the ids of all cities, in order."""
    return sorted(p.parent.name for p in cities_dir.glob("*/city.yml"))


@cache
def load_cities(cities_dir: Path = CITIES_DIR) -> tuple[City, ...]:
    """Read and validate every city; read once a process."""
    return tuple(load_city(city_id, cities_dir) for city_id in city_ids(cities_dir))


def _parse(model: type[Model], path: Path, **given: Any) -> Model:
    try:
        text = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" line {mark.line + 1}" if mark else ""
        raise ManifestError([f"{path}:{place} is not YAML: {error}"]) from error
    if not isinstance(text, dict):
        raise ManifestError([f"{path}: holds no keys; see docs/add-a-source.md for an example"])
    for key in given:
        if key in text and text[key] != given[key]:
            raise ManifestError(
                [f"{path}: {key}: comes from the folder ({given[key]!r}); remove it here"]
            )
    try:
        return model.model_validate({**text, **given, "path": path})
    except ValidationError as error:
        raise ManifestError([_problem(path, item) for item in error.errors()]) from error


def _problem(path: Path, item: Any) -> str:
    place = ".".join(str(part) for part in item["loc"])
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "missing":
        return f"{path}: {place}: is missing; add it"
    if item["type"] == "extra_forbidden":
        known = _known_keys(item["loc"])
        close = get_close_matches(str(item["loc"][-1]), known, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(sorted(known))}"
        return f"{path}: {place}: is not a known key; {hint}"
    if not item["loc"]:  # a rule between keys names them itself
        return f"{path}: {message}"
    return f"{path}: {place}: {message} (found {item.get('input')!r})"


def _known_keys(loc: tuple[Any, ...]) -> list[str]:
    nested: dict[str, type[BaseModel]] = {
        "columns": Column,
        "read": Reader,
        "snapshot": Reader,
        "gate": Gate,
    }
    model = nested.get(str(loc[0])) if len(loc) > 1 else None
    if model is not None:
        return list(model.model_fields)
    return sorted(({*Source.model_fields} | {*City.model_fields}) - {"path", "city_id", "sources"})
