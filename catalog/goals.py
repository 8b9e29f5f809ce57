"""What a city measures itself by: `targets.csv` and `weights.csv` beside its `city.yml`."""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from math import isfinite
from typing import Any

from catalog.fields import did_you_mean
from catalog.models import City
from catalog.problems import ManifestError


def _number(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError
    return number


def _above_zero(text: str) -> float:
    number = _number(text)
    if number <= 0:
        raise ValueError
    return number


def _day(text: str) -> str:
    return date.fromisoformat(text).isoformat()


@dataclass(frozen=True, eq=False)
class GoalFile:
    """A CSV file of a city. `values`: how each column after metric_id is read, and what it must be.

    A row is named by the columns in `key`. One that is empty in `optional` says nothing.
    """

    name: str
    values: Mapping[str, tuple[Callable[[str], Any], str]]
    key: tuple[str, ...]
    optional: str = ""


TARGETS = GoalFile(
    "targets.csv",
    {"target": (_number, "a number"), "from_date": (_day, "a day such as 2024-01-31")},
    ("metric_id", "from_date"),
    optional="target",
)
WEIGHTS = GoalFile("weights.csv", {"weight": (_above_zero, "a number above 0")}, ("metric_id",))


def read_goals(city: City, file: GoalFile, metric_ids: Collection[str]) -> list[tuple[Any, ...]]:
    """Return the rows of a city's file: city_id, metric_id and its values; none without the file.

    Lines that begin with # are comments. Raises `ManifestError` with every line that is wrong: a
    value, a metric that is not among `metric_ids` (where any are), or one that has a row already.
    """
    path = city.path.parent / file.name
    try:
        # Excel puts a byte order mark before UTF-8.
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return []
    except UnicodeDecodeError as error:
        raise ManifestError([f"{path}: is not UTF-8 ({error.reason}); save it as UTF-8"]) from error
    lines = ["" if line.startswith("#") else line for line in text.splitlines()]
    reader = csv.DictReader(lines)
    if missing := {"metric_id", *file.values} - set(reader.fieldnames or ()):
        wanted = ",".join(["metric_id", *file.values])
        raise ManifestError(
            [f"{path}: has no column {', '.join(sorted(missing))}; its first line is {wanted}"]
        )
    rows: dict[tuple[str, ...], tuple[Any, ...]] = {}
    problems = []
    for row in reader:
        given = {name: (row[name] or "").strip() for name in ("metric_id", *file.values)}
        if file.optional and not given[file.optional]:
            continue
        found = [city.city_id, given["metric_id"]]
        if metric_ids and given["metric_id"] not in metric_ids:
            hint = did_you_mean(given["metric_id"], metric_ids)
            hint = hint if hint.startswith("did") else "`cityloom kpi list` has their names"
            problems.append((reader.line_num, f"no indicator {given['metric_id']!r}; {hint}"))
        for name, (read, wanted) in file.values.items():
            try:
                found.append(read(given[name]))
            except ValueError:
                problems.append((reader.line_num, f"{name} {given[name]!r} is not {wanted}"))
        key = tuple(given[name] for name in file.key)
        if key in rows:
            problems.append((reader.line_num, f"{' '.join(key)} has a row already; remove one"))
        rows[key] = tuple(found)
    if problems:
        raise ManifestError([f"{path}: line {line}: {problem}" for line, problem in problems])
    return sorted(rows.values())


def goal_problems(city: City, metric_ids: Collection[str]) -> list[str]:
    """Return what is wrong with a city's files of goals, each with its file, line and remedy."""
    problems: list[str] = []
    for file in (TARGETS, WEIGHTS):
        try:
            read_goals(city, file, metric_ids)
        except ManifestError as error:
            problems += error.problems
    return problems
