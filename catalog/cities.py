"""Reading `cities/`: a folder a city, a manifest a source.

A file that cannot be used costs what it describes and nothing else: `read_cities` returns the
cities and sources that are right, and beside them what is wrong with the others. Here a manifest
is held to the schema in `catalog.models`; `extract.manifests` reads with the connectors' rules too,
and is what programs call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from catalog.models import City, Column, Gate, Reader, Source, dag_id
from catalog.problems import Location, ManifestError, Problem, key_of, problems_of

Model = TypeVar("Model", City, Source)
#: What else a source must satisfy: yields (location of a key, what is wrong and what to do).
SourceCheck = Callable[[Source], Iterable[tuple[Location, str]]]

CITIES_DIR = Path(__file__).resolve().parents[1] / "cities"


@dataclass(frozen=True)
class BrokenManifest:
    """A source that cannot be used: its manifest is wrong, or its city's city.yml is."""

    city_id: str
    department: str
    source_id: str
    path: Path
    problems: tuple[Problem, ...]

    @property
    def dag_id(self) -> str:
        """Name of the source's DAG; another DAG may have it already."""
        return dag_id(self.city_id, self.source_id)


@dataclass(frozen=True)
class Cities:
    """What `cities/` holds: `cities` with their usable sources, and what is wrong beside them.

    `problems` are those of all files, the broken manifests' among them.
    """

    cities: tuple[City, ...] = ()
    broken: tuple[BrokenManifest, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def sources(self) -> list[Source]:
        """The usable sources of all cities."""
        return [source for city in self.cities for source in city.sources]


def city_ids(cities_dir: Path = CITIES_DIR) -> list[str]:
    """Return the ids of all cities, in order: the folders that hold a city.yml or sources."""
    return sorted(
        folder.name
        for folder in cities_dir.glob("[!._]*")
        if (folder / "city.yml").is_file() or (folder / "sources").is_dir()
    )


def read_cities(
    cities_dir: Path = CITIES_DIR,
    only: str | None = None,
    check: SourceCheck | None = None,
    options: Iterable[str] = (),
) -> Cities:
    """Read all cities, or `only` one; raise `ManifestError` for a city that is not there.

    `check` looks at each source whose manifest agrees with the schema. `options`: names of
    connectors' options, which people write a level too high.
    """
    places = {name: "columns.<column>" for name in Column.model_fields}
    places |= {name: "gate" for name in Gate.model_fields}
    places |= {name: "read" for name in Reader.model_fields}
    places |= {name: "read.options" for name in options}
    known = city_ids(cities_dir)
    if only is not None and only not in known:
        raise ManifestError(
            [f"{cities_dir / only / 'city.yml'}: no such file. Cities here: {', '.join(known)}"]
        )
    by_dag: dict[str, Path] = {}
    for city_id in known:
        for path in _manifests(cities_dir / city_id):
            by_dag.setdefault(dag_id(city_id, path.stem), path)
    read = [only] if only else known
    found = [_read_city(cities_dir / city_id, by_dag, places, check) for city_id in read]
    return Cities(
        tuple(city for part in found for city in part.cities),
        tuple(broken for part in found for broken in part.broken),
        tuple(problem for part in found for problem in part.problems),
    )


def _manifests(folder: Path) -> list[Path]:
    return sorted((folder / "sources").glob("*/*.yml"))


def _read_city(
    folder: Path,
    by_dag: dict[str, Path],
    places: dict[str, str],
    check: SourceCheck | None,
) -> Cities:
    """Read a city; `by_dag`: the first manifest, of any city, for each name of a DAG.

    `places`: where in a manifest a key belongs that does not stand at its top.
    """
    path = folder / "city.yml"
    if path.is_file():
        city, city_problems = _parse(City, path, {}, city_id=folder.name)
        city = None if city_problems else city
    else:
        missing = "is missing; write it, see docs/add-a-source.md for an example"
        city, city_problems = None, [Problem(path, "", missing)]
    problems = [*city_problems, *_misplaced(folder / "sources")]
    sources: dict[str, Source] = {}
    broken = []
    for manifest in _manifests(folder):
        source, found = _read_source(manifest, city, sources, by_dag, places, check)
        problems += found
        if source is not None and not found and city is not None:
            sources[source.source] = source
        else:
            cause = tuple(found or city_problems)
            broken.append(
                BrokenManifest(folder.name, manifest.parent.name, manifest.stem, manifest, cause)
            )
    cities = (
        (city.model_copy(update={"sources": tuple(sources.values())}),) if city is not None else ()
    )
    return Cities(cities, tuple(broken), tuple(problems))


def _read_source(
    path: Path,
    city: City | None,
    before: dict[str, Source],
    by_dag: dict[str, Path],
    places: dict[str, str],
    check: SourceCheck | None,
) -> tuple[Source | None, list[Problem]]:
    """Return a manifest's source, or what is wrong with it; `before`: the city's sources so far."""
    city_id, department = path.parents[2].name, path.parent.name
    source, problems = _parse(Source, path, places, city_id=city_id, department=department)
    if source is None:
        return None, problems
    wrong: list[tuple[Location, str]] = []
    if source.source != path.stem:
        wrong.append((("source",), f"is {source.source!r}; name it {path.stem!r} as the file"))
    if source.source in before:
        other = before[source.source].path
        wrong.append(
            (("source",), f"{source.source!r} is also in {other}; names are unique in a city")
        )
    first = by_dag.get(source.dag_id, path)
    if first.parents[2] != path.parents[2]:
        message = f"makes the DAG {source.dag_id}, as {first} does; rename one of the two sources"
        wrong.append((("source",), message))
    if city is not None and department not in city.departments:
        wrong.append(
            (
                (),
                f"the folder's department {department!r} is not under departments in {city.path}; "
                "add it there, or move the manifest",
            )
        )
    if check is not None:
        wrong += check(source)
    if wrong:
        lines = _Lines(path)
        problems += [lines.problem(loc, message) for loc, message in wrong]
    return source, problems


def _misplaced(sources: Path) -> Iterator[Problem]:
    """Yield a problem for each file that looks like a manifest and would not be read."""
    for path in sorted(sources.rglob("*")):
        if path.suffix not in (".yml", ".yaml") or not path.is_file():
            continue
        if path.parent.parent != sources:
            yield Problem(path, "", "is not in a department's folder; move it into sources/<id>/")
        elif path.suffix == ".yaml":
            yield Problem(path, "", "is not read, for it ends in .yaml; rename it to .yml")


def _parse(
    model: type[Model], path: Path, places: dict[str, str], **given: Any
) -> tuple[Model | None, list[Problem]]:
    """Return a file as a model, or what is wrong with it; `given` comes from its folder."""
    try:
        lines = _Lines(path)
    except _NotYaml as error:
        return None, [error.problem]
    text = lines.data
    if not isinstance(text, dict):
        what = "is empty" if text is None else f"holds a {type(text).__name__}, not keys"
        return None, [Problem(path, "", f"{what}; see docs/add-a-source.md for an example")]
    problems = [
        lines.problem((key,), f"comes from the folder ({value!r}); remove it here")
        for key, value in given.items()
        if key in text and text[key] != value
    ]
    for key in (model.not_in_file - set(given)) & set(text):
        problems.append(lines.problem((key,), "is not a known key; remove it"))
        del text[key]
    try:
        return model.model_validate({**text, **given, "path": path}), problems
    except ValidationError as error:
        for loc, message in problems_of(error, model):
            if loc[:1] == ("city_id",) or loc[:1] == ("department",):
                message = f"the folder's name {given[str(loc[0])]!r} {message}; rename the folder"
                loc = ()
            if len(loc) == 1 and loc[0] not in model.model_fields and loc[0] in places:
                message = (
                    f"does not belong at the top of a manifest; move it below {places[loc[0]]}"
                )
            problems.append(lines.problem(loc, message))
        return None, problems


class _NotYaml(Exception):
    def __init__(self, path: Path, message: str, line: int | None = None) -> None:
        self.problem = Problem(path, "", message, line)
        super().__init__(message)


class _Lines:
    """A YAML file: its data, and the line of each key."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise _NotYaml(
                path, f"byte 0x{error.object[error.start]:02x} is not UTF-8; save it as UTF-8", line
            ) from error
        except OSError as error:
            raise _NotYaml(path, f"cannot be read ({error.strerror}); correct that") from error
        loader = yaml.CSafeLoader(text)
        try:
            self.root = loader.get_single_node()
            self._check_keys(self.root, set())
            self.data = loader.construct_document(self.root) if self.root else None
        except yaml.YAMLError as error:
            raise self._not_yaml(error) from error
        except (ValueError, TypeError) as error:  # a date such as 2024-13-01, a list as a key
            raise _NotYaml(path, f"holds a value that YAML cannot read: {error}") from error
        finally:
            loader.dispose()

    def problem(self, loc: Location, message: str) -> Problem:
        """Return a problem at a key, with the line of the nearest part of it that is there."""
        node, line = self.root, None
        for part in loc:
            child = None
            if isinstance(node, yaml.MappingNode):
                for key, value in node.value:
                    if key.value == str(part):
                        child, line = value, key.start_mark.line + 1
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
                child = node.value[part] if part < len(node.value) else None
                line = child.start_mark.line + 1 if child else line
            node = child
        return Problem(self.path, key_of(loc), message, line)

    def _check_keys(self, node: yaml.Node | None, done: set[int]) -> None:
        if id(node) in done:  # an alias
            return
        done.add(id(node))
        children = []
        if isinstance(node, yaml.MappingNode):
            first: dict[str, int] = {}
            for key, value in node.value:
                line = key.start_mark.line + 1
                kind = key.tag.rpartition(":")[2]
                if kind not in ("str", "merge"):
                    message = (
                        f"YAML reads the key {key.value} as {kind}; write a text"
                        if isinstance(key, yaml.ScalarNode)
                        else "a list or a group cannot be a key; write a text"
                    )
                    raise _NotYaml(self.path, f"{message}, in quotes if need be", line)
                if kind == "str" and key.value in first:
                    raise _NotYaml(
                        self.path,
                        f"{key.value} repeats the key of line {first[key.value]}; keep one",
                        line,
                    )
                first[key.value] = line
                children.append(value)
        elif isinstance(node, yaml.SequenceNode):
            children = node.value
        for child in children:
            self._check_keys(child, done)

    def _not_yaml(self, error: yaml.YAMLError) -> _NotYaml:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error)
        if mark is None:
            return _NotYaml(self.path, f"is not YAML: {reason}")
        lines = self.path.read_text(encoding="utf-8").splitlines()
        number = min(mark.line, len(lines) - 1)
        line = lines[number]
        if "\t" in line[: len(line) - len(line.lstrip())]:
            reason = "it is indented with a tab; use spaces"
        elif "mapping values" in reason:
            reason += "; put a text that holds a colon in quotes"
        elif "start any token" in reason or "alphabetic or numeric" in reason:
            reason += "; put a text that begins with @, %, *, & or ` in quotes"
        return _NotYaml(self.path, f"is not YAML: {reason}", number + 1)
