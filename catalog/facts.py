"""The conformed facts that sources feed: declared in dbt's YAML, beside the models `int_<fact>`.

A fact is an intermediate model `dbt_project/models/intermediate/int_<fact>.yml` with
`config.meta.fact`: its `key` and, where its rows are events, `event_time`. Each column has a
`data_type`. A manifest with `feeds: <fact>` has a staging model with these columns, and beside it a
YAML file that describes the model and tests its key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from catalog.models import Source
from catalog.problems import ManifestError, Problem, key_of, problems_of

DBT_PROJECT = Path(__file__).resolve().parents[1] / "dbt_project"
FACTS_DIR = Path("models/intermediate")
#: Columns that the union over sources adds by itself.
ADDED = ("city_id", "source_id")
#: The project's test that several columns identify a row together.
UNIQUE_TOGETHER = "unique_combination_of_columns"


@dataclass(frozen=True)
class Fact:
    """A fact, as its YAML declares it.

    `columns`: name and PostgreSQL type of what a staging model must have; those that are `optional`
    are null where it does not have them. `event_time`: SQL for
    the time of a row's event, by which it is known how far a source reaches.
    """

    name: str
    key: tuple[str, ...]
    event_time: str | None
    columns: dict[str, str]
    path: Path
    optional: frozenset[str] = frozenset()

    @property
    def has_district(self) -> bool:
        """Whether rows state a district, which may not exist, to be looked up."""
        return "stated_district_id" in self.columns

    @property
    def has_point(self) -> bool:
        """Whether rows have a point, from which a district can be found."""
        return {"latitude", "longitude"} <= set(self.columns)


class _Part(BaseModel):
    """A part of dbt's YAML, of which Cityloom reads these keys."""


class _ColumnMeta(_Part):
    optional: bool = False


class _ColumnConfig(_Part):
    meta: _ColumnMeta = _ColumnMeta()


class _Column(_Part):
    name: str
    data_type: str | None = None
    data_tests: list[Any] = []
    config: _ColumnConfig = _ColumnConfig()


class _FactMeta(_Part):
    model_config = ConfigDict(extra="allow")

    key: Annotated[list[str], BeforeValidator(lambda k: [k] if isinstance(k, str) else k)] = []
    event_time: str | None = None


class _Meta(_Part):
    fact: _FactMeta | None = None


class _Config(_Part):
    meta: _Meta | None = None


class _Model(_Part):
    name: str
    config: _Config | None = None
    columns: list[_Column] = []
    data_tests: list[Any] = []


class _Document(_Part):
    models: list[_Model] = []


def load_facts(project: Path) -> dict[str, Fact]:
    """Return the facts that a dbt project declares, by name.

    Raises `ManifestError` naming the file and the remedy.
    """
    facts: dict[str, Fact] = {}
    problems: list[str] = []
    for path in sorted((project / FACTS_DIR).glob("int_*.yml")):
        try:
            models = models_of(path)
        except ManifestError as error:
            problems += error.problems
            continue
        for model in models:
            meta = model.config and model.config.meta and model.config.meta.fact
            if not meta:
                continue
            fact = _fact(model, meta, path)
            facts[fact.name] = fact
            problems += _fact_problems(fact, set(meta.model_extra or ()))
    if problems:
        raise ManifestError(problems)
    return facts


def feed_problems(sources: Iterable[Source], facts: dict[str, Fact], project: Path) -> list[str]:
    """Return what is wrong with the feeds of sources: each with its file and the remedy."""
    return [
        problem
        for source in sources
        if source.feeds is not None
        for problem in _feed_problems(source, facts, project)
    ]


def twin_problems(sources: Iterable[Source], facts: dict[str, Fact], project: Path) -> list[str]:
    """Return what is wrong with the YAML beside the staging models of sources.

    dbt builds a model without it, and then tests nothing: each has a description and, where it
    feeds a fact, tests that the fact's key identifies a row.
    """
    return [
        problem
        for source in sources
        if (project / staging_path(source)).is_file()
        for problem in _twin_problems(source, facts.get(source.feeds or ""), project)
    ]


def model_problems(sources: Iterable[Source], project: Path) -> list[str]:
    """Return what is wrong with the facts' YAML, or else with feeds and staging models' YAML."""
    try:
        facts = load_facts(project)
    except ManifestError as error:
        return list(map(str, error.problems))
    known = tuple(sources)
    return feed_problems(known, facts, project) + twin_problems(known, facts, project)


def without_mart(sources: Iterable[Source], project: Path) -> dict[str, str]:
    """Return why sources reach no mart, by name, each with the remedy.

    Raises `ManifestError` for facts that are declared wrongly.
    """
    facts = load_facts(project)
    found = {}
    for source in sources:
        problems = feed_problems([source], facts, project)
        if not problems and not (project / staging_path(source)).is_file():
            model = f"{project.name}/{staging_path(source)}"
            problems = [f"no model reads it; write {model}, see docs/add-a-source.md"]
        if problems:
            found[source.source] = f"in raw, but in no mart: {'; '.join(problems)}"
    return found


def staging_path(source: Source) -> Path:
    """Return where the staging model of a source is, inside the dbt project."""
    return Path("models/staging") / source.city_id / f"{source.staging_model}.sql"


def models_of(path: Path) -> list[_Model]:
    """Return the models that a YAML file of dbt describes; raise `ManifestError` for another."""
    document = document_of(path)
    if document is None:
        return []
    if not isinstance(document, dict):
        raise ManifestError(
            [f"{path}: holds a {type(document).__name__}, not keys; begin it with `models:`"]
        )
    try:
        return _Document.model_validate(document).models
    except ValidationError as error:
        found = problems_of(error, _Document)
        raise ManifestError([Problem(path, key_of(loc), text) for loc, text in found]) from error


def document_of(path: Path) -> Any:
    """Return what a YAML file of the dbt project holds; raise `ManifestError` with the line."""
    try:
        return yaml.load(path.read_bytes(), yaml.CSafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        reason = getattr(error, "problem", None) or str(error)
        raise ManifestError([f"{place}: is not YAML: {reason}"]) from error


def _fact(model: _Model, meta: _FactMeta, path: Path) -> Fact:
    return Fact(
        name=model.name.removeprefix("int_"),
        key=tuple(meta.key),
        event_time=meta.event_time,
        columns={c.name: c.data_type or "" for c in model.columns if c.name not in ADDED},
        path=path,
        optional=frozenset(c.name for c in model.columns if c.config.meta.optional),
    )


def _fact_problems(fact: Fact, unknown: set[str]) -> list[str]:
    place = f"{fact.path}: meta.fact"
    problems = [
        f"{place}: {key!r} is not a known key; known keys: event_time, key"
        for key in sorted(unknown)
    ]
    if not fact.key:
        problems.append(f"{place}: key is missing; name the column that identifies a row")
    problems += [
        f"{place}: key {column!r} is not under columns; add it there"
        for column in fact.key
        if column not in fact.columns
    ]
    if fact.has_district and len(fact.key) > 1:
        problems.append(f"{place}: a fact with stated_district_id needs a key of one column")
    problems += [
        f"{fact.path}: column {column!r} has no data_type; add it, as sources are cast to it"
        for column, data_type in fact.columns.items()
        if not data_type
    ]
    return problems


def _feed_problems(source: Source, facts: dict[str, Fact], project: Path) -> list[str]:
    fact = facts.get(source.feeds or "")
    if fact is None:
        close = get_close_matches(source.feeds or "", facts, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"known facts: {', '.join(facts)}"
        return [f"{source.path}: feeds: there is no fact {source.feeds!r}; {hint}"]
    model = staging_path(source)
    if not (project / model).is_file():
        return [
            f"{source.path}: feeds: {source.feeds!r} needs a staging model; "
            f"write {project.name}/{model} with the columns of {fact.path.name}"
        ]
    words = _words((project / model).read_text(encoding="utf-8"))
    if source.raw_table not in words:
        return [
            f"{project.name}/{model}: does not read the source's table; begin it with "
            f"{{{{ newest_version('{source.raw_table}') }}}}"
        ]
    # What the text names, dbt still compares with the table it makes (macro `check_feed`).
    missing = [name for name in fact.columns if name not in words and name not in fact.optional]
    if missing:
        return [
            f"{project.name}/{model}: has no column {', '.join(missing)}, which fact "
            f"{fact.name!r} needs; add it (null::type where the source does not have it)"
        ]
    return []


def _twin_problems(source: Source, fact: Fact | None, project: Path) -> list[str]:
    model = staging_path(source)
    twin = model.with_suffix(".yml")
    place = f"{project.name}/{twin}"
    key = fact.key if fact else ()
    tested = (
        f"columns: [{{name: {key[0]}, data_tests: [unique, not_null]}}]"
        if len(key) == 1
        else f"the test {UNIQUE_TOGETHER} over {', '.join(key)}"
    )
    if not (project / twin).is_file():
        needed = f" and {tested}" if key else ""
        return [
            f"{place}: is missing beside {model.name}; "
            f"write it with the model's description{needed}"
        ]
    try:
        found = next((m for m in models_of(project / twin) if m.name == source.staging_model), None)
    except ManifestError as error:
        return error.problems
    if found is None:
        return [f"{place}: does not describe {source.staging_model}; add it under `models:`"]
    words = _words((project / model).read_text(encoding="utf-8"))
    problems = [
        f"{place}: column {column.name!r} is not in {model.name}; correct or remove it"
        for column in found.columns
        if column.name not in words
    ]
    if key and not _is_key_tested(found, key):
        problems.append(f"{place}: does not test the key of fact {source.feeds!r}; add {tested}")
    return problems


def _is_key_tested(model: _Model, key: tuple[str, ...]) -> bool:
    """Whether a model's YAML tests that these columns identify a row."""
    for column in model.columns:
        if (column.name,) == key and {"unique", "not_null"} <= _tests(column.data_tests).keys():
            return True
    for name, arguments in _tests(model.data_tests).items():
        if name == UNIQUE_TOGETHER and set(arguments.get("columns") or ()) == set(key):
            return True
    return False


def _tests(listed: list[Any]) -> dict[str, dict[str, Any]]:
    """Return the tests of a list of dbt's by name, each with its arguments."""
    named = [test if isinstance(test, dict) else {str(test): {}} for test in listed]
    return {
        name: {**given, **(given.get("arguments") or {})}
        for test in named
        for name, given in test.items()
        if isinstance(given, dict)
    }


def _words(sql: str) -> set[str]:
    """Return the words of a model's text, without its comments."""
    text = re.sub(r"--[^\n]*|/\*.*?\*/|\{#.*?#\}", " ", sql, flags=re.DOTALL)
    return set(re.findall(r"\w+", text))
