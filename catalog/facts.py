"""The conformed facts that sources feed: declared in dbt's YAML, beside the models `int_<fact>`.

A fact is an intermediate model `dbt_project/models/intermediate/int_<fact>.yml` with
`config.meta.fact`: its `key` and, where its rows are events, `event_time`. Each column has a
`data_type`. A manifest with `feeds: <fact>` has a staging model with these columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from catalog.models import Source
from catalog.problems import ManifestError

FACTS_DIR = Path("models/intermediate")
#: Columns that the union over sources adds by itself.
ADDED = ("city_id", "source_id")


@dataclass(frozen=True)
class Fact:
    """A fact, as its YAML declares it.

    `columns`: name and PostgreSQL type of what a staging model must have. `event_time`: SQL for
    the time of a row's event, by which it is known how far a source reaches.
    """

    name: str
    key: tuple[str, ...]
    event_time: str | None
    columns: dict[str, str]
    path: Path

    @property
    def has_district(self) -> bool:
        """Whether rows state a district, which may not exist, to be looked up."""
        return "stated_district_id" in self.columns

    @property
    def has_point(self) -> bool:
        """Whether rows have a point, from which a district can be found."""
        return {"latitude", "longitude"} <= set(self.columns)


def load_facts(project: Path) -> dict[str, Fact]:
    """Return the facts that a dbt project declares, by name.

    Raises `ManifestError` naming the file and the remedy.
    """
    facts: dict[str, Fact] = {}
    problems: list[str] = []
    for path in sorted((project / FACTS_DIR).glob("int_*.yml")):
        for model in _models(path):
            meta = ((model.get("config") or {}).get("meta") or {}).get("fact")
            if meta is None:
                continue
            fact = _fact(model, meta, path)
            facts[fact.name] = fact
            problems += _fact_problems(fact, set(meta))
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


def staging_path(source: Source) -> Path:
    """Return where the staging model of a source is, inside the dbt project."""
    return Path("models/staging") / source.city_id / f"{source.staging_model}.sql"


def _models(path: Path) -> list[dict[str, Any]]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ManifestError([f"{path}: is not YAML: {error}"]) from error
    return document.get("models") or []


def _fact(model: dict[str, Any], meta: dict[str, Any], path: Path) -> Fact:
    key = meta.get("key") or ()
    return Fact(
        name=model["name"].removeprefix("int_"),
        key=(key,) if isinstance(key, str) else tuple(key),
        event_time=meta.get("event_time"),
        columns={
            column["name"]: column.get("data_type") or ""
            for column in model.get("columns") or []
            if column["name"] not in ADDED
        },
        path=path,
    )


def _fact_problems(fact: Fact, given: set[str]) -> list[str]:
    place = f"{fact.path}: meta.fact"
    problems = [
        f"{place}: {key!r} is not a known key; known keys: event_time, key"
        for key in sorted(given - {"key", "event_time"})
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
    missing = [column for column in fact.columns if column not in words]
    if missing:
        return [
            f"{project.name}/{model}: has no column {', '.join(missing)}, which fact "
            f"{fact.name!r} needs; add it (null::type where the source does not have it)"
        ]
    return []


def _words(sql: str) -> set[str]:
    """Return the words of a model's text, without its comments."""
    text = re.sub(r"--[^\n]*|/\*.*?\*/|\{#.*?#\}", " ", sql, flags=re.DOTALL)
    return set(re.findall(r"\w+", text))
