"""What a city declares in CSV files beside its `city.yml`: targets, weights, events."""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from math import isfinite
from typing import Any
from urllib.parse import urlsplit

from catalog.fields import did_you_mean
from catalog.models import City
from catalog.problems import ManifestError

#: What an event may be.
EVENT_KINDS = ("weather", "emergency", "election", "policy", "service")
#: A timeline shows a title as one line, as high as the chart.
TITLE_LENGTH = 30


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


def _title(text: str) -> str:
    if not text.isprintable() or not 0 < len(text) <= TITLE_LENGTH:
        raise ValueError
    return text


def _kind(text: str) -> str:
    if text not in EVENT_KINDS:
        raise ValueError
    return text


def _link(text: str) -> str:
    address = urlsplit(text)
    if address.scheme not in ("http", "https") or not address.hostname or " " in text:
        raise ValueError
    return text


_A_DAY = (_day, "a day such as 2024-01-31")


@dataclass(frozen=True, eq=False)
class CityFile:
    """A CSV file of a city.

    `columns` says how each is read, and what it must be; one that names something declared
    elsewhere (`metric_id`, `department`) is read as text. A row is named by the columns in `key`.
    Those in `optional` may be empty or missing; a row with nothing in `skipped_without` is left
    out. `rule` returns what is wrong between the columns of a row, if anything.
    """

    name: str
    columns: Mapping[str, tuple[Callable[[str], Any], str]]
    key: tuple[str, ...]
    optional: Collection[str] = field(default=())
    skipped_without: str = ""
    rule: Callable[[Mapping[str, Any]], str | None] = lambda row: None


def _ends_before_it_begins(event: Mapping[str, Any]) -> str | None:
    if event["last_day"] and event["first_day"] and event["last_day"] < event["first_day"]:
        return f"last_day {event['last_day']} is before first_day; exchange them"
    return None


TARGETS = CityFile(
    "targets.csv",
    {"metric_id": (str, ""), "target": (_number, "a number"), "from_date": _A_DAY},
    ("metric_id", "from_date"),
    skipped_without="target",
)
WEIGHTS = CityFile(
    "weights.csv",
    {"metric_id": (str, ""), "weight": (_above_zero, "a number above 0")},
    ("metric_id",),
)
EVENTS = CityFile(
    "events.csv",
    {
        "first_day": _A_DAY,
        "last_day": _A_DAY,
        "title": (_title, f"a text of 1 to {TITLE_LENGTH} characters"),
        "kind": (_kind, f"one of: {', '.join(EVENT_KINDS)}"),
        "department": (str, ""),
        "source_url": (_link, "an address such as https://example.org/report"),
    },
    ("first_day", "title"),
    optional=("last_day", "department", "source_url"),
    rule=_ends_before_it_begins,
)
CITY_FILES = (TARGETS, WEIGHTS, EVENTS)


def read_rows(city: City, file: CityFile, metric_ids: Collection[str]) -> list[tuple[Any, ...]]:
    """Return the rows of a city's file: city_id and its columns; none without the file.

    Lines that begin with # are comments. An optional column that is empty is "". Raises
    `ManifestError` with every line that is wrong: a value, a metric that is not among `metric_ids`
    (where any are), a department that the city does not have, or a key that has a row already.
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
    reader = csv.reader(lines)
    heading = [name.strip() for name in next(filter(None, reader), [])]
    if found := _heading_problem(file, heading):
        raise ManifestError([f"{path}: {found}"])
    named = {"metric_id": metric_ids, "department": city.departments}
    rows: dict[tuple[str, ...], tuple[Any, ...]] = {}
    problems = []
    for cells in filter(None, reader):
        if len(cells) > len(heading):
            what = "has more cells than the first line; put a text with a comma in double quotes"
            problems.append((reader.line_num, what))
            continue
        row = dict(zip(heading, cells, strict=False))
        given = {name: row.get(name, "").strip() for name in file.columns}
        if file.skipped_without and not given[file.skipped_without]:
            continue
        read: dict[str, Any] = {}
        for name, (value_of, wanted) in file.columns.items():
            read[name] = ""
            if not given[name] and name in file.optional:
                continue
            if wrong := _unknown(name, given[name], named.get(name)):
                problems.append((reader.line_num, wrong))
            try:
                read[name] = value_of(given[name])
            except ValueError:
                problems.append((reader.line_num, f"{name} {given[name]!r} is not {wanted}"))
        if wrong := file.rule(read):
            problems.append((reader.line_num, wrong))
        # As it is read: 20240131 is the day 2024-01-31.
        key = tuple(str(read[name]) for name in file.key)
        if all(key) and key in rows:
            problems.append((reader.line_num, f"{' '.join(key)} has a row already; remove one"))
        rows[key] = (city.city_id, *read.values())
    if problems:
        raise ManifestError([f"{path}: line {line}: {problem}" for line, problem in problems])
    return sorted(rows.values())


def city_file_problems(city: City, metric_ids: Collection[str]) -> list[str]:
    """Return what is wrong with a city's CSV files, each with its file, line and remedy."""
    problems: list[str] = []
    for file in CITY_FILES:
        try:
            read_rows(city, file, metric_ids)
        except ManifestError as error:
            problems += error.problems
    return problems


def _heading_problem(file: CityFile, heading: Collection[str]) -> str | None:
    if missing := set(file.columns) - set(file.optional) - set(heading):
        wanted = ",".join(file.columns)
        return f"has no column {', '.join(sorted(missing))}; its first line is {wanted}"
    absent = set(file.optional) - set(heading)
    for name in heading:
        hint = did_you_mean(name, absent)
        if name not in file.columns and hint.startswith("did"):
            return f"has a column {name!r}; {hint}"
    return None


def _unknown(column: str, name: str, known: Collection[str] | None) -> str | None:
    """Return what is wrong with the name of an indicator or department that nobody declares."""
    if not known or name in known:
        return None
    hint = did_you_mean(name, known)
    if column == "department":
        return f"no department {name!r} in city.yml; {hint}"
    hint = hint if hint.startswith("did") else "`cityloom kpi list` has their names"
    return f"no indicator {name!r}; {hint}"
