"""The indicators: each is declared once, in `dbt_project/indicators/*.yml`.

From a declaration come the seed `kpi_definition`, the macro by which dbt makes the events and
values of `fct_kpi` and of the reports, and the indicator book, `docs/indicators.md`
(`.venv/bin/python -m catalog.indicators` writes it). Expressions are SQL over the columns of
`fct_<fact>`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from catalog.facts import DBT_PROJECT, document_of, load_facts, models_of
from catalog.fields import Identifier, Line, did_you_mean
from catalog.models import Strict
from catalog.problems import ManifestError, key_of, problems_of

#: The id of the whole city where others are districts.
WHOLE_CITY = "*"
INDICATORS_DIR = Path("indicators")
BOOK = Path(__file__).resolve().parents[1] / "docs" / "indicators.md"
_QUANTILES = {"median": 0.5, "p90": 0.9}
_ADDS_UP = {
    "count": "Counts add up; a year shows the monthly mean.",
    "sum": "Amounts add up; a year shows the monthly mean.",
    "ratio": "Numerators and denominators are added up, then divided; ratios are never averaged.",
    "stock": "The number at the end of the period; areas add up.",
    "per_resident": "Events are added up, then divided by residents and months.",
    "per_reporting_resident": "Amounts, and the residents of the districts that report, are added "
    "up, then divided.",
    "median": "Taken anew of all events of the period and area.",
    "p90": "Taken anew of all events of the period and area.",
}


#: What a median or percentile of a stock may name: the end of the month, or the as-of time if that
#: comes first.
MONTH_END = "{month_end}"
_OF_A_STOCK = "Taken of what there is at the end of the month; there is no year of it."
_OF_A_STATE = "Areas add up, parts before they are divided; there is no year of it."
_EXPRESSIONS = ("where", "numerator", "denominator", "sample")


class FormerVersion(Strict):
    """An older version, by which the months of its time are computed: what differed in it."""

    valid_from: date = Field(description="First day of the months that it computes")
    where: str | None = Field(None, description="Which rows it counted, as an SQL condition")
    numerator: str | None = Field(None, description="What it added up above the line, as SQL")
    denominator: str | None = Field(None, description="What it added up below it, as SQL")
    sample: str | None = Field(None, description="What it took a median or percentile of, as SQL")


@dataclass(frozen=True)
class Computation:
    """What computes the months of one version: from one month until another, both may be open."""

    version: int
    first_month: date | None
    until_month: date | None
    where: str
    numerator: str | None
    denominator: str | None
    sample: str | None


class Indicator(Strict):
    """One indicator: what it means, how it is computed, and from how many events on it is shown."""

    id: Identifier = Field(description="Id, which never changes")
    name: Line = Field(description="Name, as people call it")
    meaning: Line = Field(description="What it says, for readers who know no formula")
    unit: Line = Field(description="Unit of the value")
    direction: Literal["higher", "lower", "none"] = Field(description="Which way is better")
    field: Line = Field(description="Field of work that answers for it")
    source: Line = Field(description="Where the definition comes from")
    version: int = Field(ge=1, description="Version; a change of meaning is a new one")
    valid_from: date = Field(description="Day from which this version is used")
    changes: dict[int, Line] = Field(
        default_factory=dict, description="What each version after the first changed"
    )
    former: dict[int, FormerVersion] = Field(
        default_factory=dict,
        description="Older versions that compute the months before valid_from; without them the "
        "newest computes these, too, and they are marked as restated",
    )
    fact: Identifier = Field(description="Fact whose rows are its events")
    model: Identifier | None = Field(None, description="Mart with its rows, if not fct_<fact>")
    where: str = Field("true", description="Which rows, as an SQL condition")
    event_at: str = Field(description="When an event counts, as SQL")
    event_grain: Literal["day", "month"] = Field(
        "day", description="month where a row is a report of a whole month"
    )
    state: bool = Field(
        False,
        description="Whether a row is a state at a month's end, so that months make no year",
    )
    left_at: str | None = Field(None, description="When a row of a stock leaves it, as SQL")
    aggregate: Literal[
        "count", "sum", "stock", "ratio", "per_resident", "per_reporting_resident", "median", "p90"
    ]
    numerator: str | None = Field(None, description="What is added up above the line, as SQL")
    denominator: str | None = Field(None, description="What is added up below it, as SQL")
    sample: str | None = Field(
        None, description="What a median or percentile is taken of, as SQL; null leaves a row out"
    )
    scale: int = Field(1, ge=1, description="Factor of the value, such as 100 for percent")
    score_offset: int = Field(
        0, description="Added to value and target before scoring, where they may be negative"
    )
    min_n: int = Field(0, ge=0, description="Fewer events give no value")
    settle_days: int = Field(
        0, ge=0, description="Days after a month's end until which time alone changes its value"
    )

    @model_validator(mode="after")
    def _expressions_fit_the_aggregate(self) -> Indicator:
        needed = {
            "count": set(),
            "sum": {"numerator"},
            "stock": {"left_at"},
            "ratio": {"numerator", "denominator"},
            "per_resident": {"numerator"},
            "per_reporting_resident": {"numerator"},
            "median": {"sample"},
            "p90": {"sample"},
        }[self.aggregate]
        given = {
            name
            for name in ("left_at", "numerator", "denominator", "sample")
            if getattr(self, name) is not None
        }
        if self.quantile is not None and self.left_at is not None:  # of a stock
            needed = needed | {"left_at"}
            if MONTH_END not in (self.sample or MONTH_END):
                raise ValueError(f"sample of what is left at {self.left_at} must use {MONTH_END}")
        if needed != given:
            raise ValueError(
                f"aggregate {self.aggregate} takes {', '.join(sorted(needed)) or 'no expression'}; "
                f"there is {', '.join(sorted(given)) or 'none'}"
            )
        if (
            self.aggregate in ("ratio", *_QUANTILES)
            and self.min_n == 0
            and self.event_grain == "day"
        ):
            raise ValueError(f"min_n is missing: a {self.aggregate} of one event says nothing")
        if set(self.changes) != set(range(2, self.version + 1)):
            raise ValueError(f"changes must say what each version from 2 to {self.version} changed")
        return self

    @model_validator(mode="after")
    def _former_versions_fit(self) -> Indicator:
        if not self.former:
            return self
        if self.left_at is not None:
            raise ValueError("former: a stock runs through all months; declare another indicator")
        days = [one.valid_from for _, one in sorted(self.former.items())] + [self.valid_from]
        if max(self.former) >= self.version or days != sorted(set(days)):
            raise ValueError(
                f"former: versions must be older than {self.version}, and each valid from a later "
                "day than the one before"
            )
        if any(day.day != 1 for day in days):
            raise ValueError("valid_from: with former versions, each must be the first of a month")
        for number, one in self.former.items():
            for name in _EXPRESSIONS[1:]:
                if getattr(one, name) is not None and getattr(self, name) is None:
                    raise ValueError(
                        f"former: {number}: aggregate {self.aggregate} takes no {name}"
                    )
        return self

    @property
    def is_stock(self) -> bool:
        """Whether it is of what there is at the end of a month."""
        return self.state or self.left_at is not None

    @property
    def computations(self) -> list[Computation]:
        """The versions that compute months, oldest first: the former ones and the newest."""
        versions: list[tuple[int, FormerVersion | Indicator]] = [
            *sorted(self.former.items()),
            (self.version, self),
        ]
        found = []
        for at, (number, one) in enumerate(versions):
            parts = {name: getattr(one, name) or getattr(self, name) for name in _EXPRESSIONS}
            first = one.valid_from if at else None
            until = versions[at + 1][1].valid_from if at + 1 < len(versions) else None
            found.append(Computation(number, first, until, **parts))
        return found

    @property
    def quantile(self) -> float | None:
        """Which quantile of the samples is taken; None where none is."""
        return _QUANTILES.get(self.aggregate)

    @property
    def mart(self) -> str:
        """The mart whose rows are its events."""
        return self.model or f"fct_{self.fact}"

    @property
    def formula(self) -> str:
        """The computation as one line of words and SQL."""
        rows = self.mart + ("" if self.where == "true" else f" where {self.where}")
        if self.quantile is not None and self.left_at is not None:
            rows += f", from {self.event_at} until {self.left_at}"
        match self.aggregate:
            case "count":
                return f"number of {rows}"
            case "stock":
                return f"number of {rows}, from {self.event_at} until {self.left_at}"
            case "sum":
                return f"sum({self.numerator}) of {rows}"
            case "ratio":
                times = "" if self.scale == 1 else f" x {self.scale:,}"
                below = "number" if self.denominator == "1" else f"sum({self.denominator})"
                return f"sum({self.numerator}) / {below}{times} of {rows}"
            case "per_resident":
                return f"sum({self.numerator}) / residents / months x {self.scale:,} of {rows}"
            case "per_reporting_resident":
                return (
                    f"sum({self.numerator}) / residents of the districts that report x "
                    f"{self.scale:,} of {rows}"
                )
            case "median":
                return f"median of {self.sample} over {rows}"
            case _:
                return f"90th percentile of {self.sample} over {rows}"

    @property
    def adds_up(self) -> str:
        """How it is computed for longer periods and larger areas."""
        if self.is_stock and self.aggregate != "stock":
            return _OF_A_STOCK if self.quantile else _OF_A_STATE
        return _ADDS_UP[self.aggregate]


def load_indicators(project: Path = DBT_PROJECT) -> list[Indicator]:
    """Return the indicators that a dbt project declares, in the order of files and lines.

    Raises `ManifestError` with file, indicator and remedy.
    """
    facts = load_facts(project)
    columns_of = cache(partial(mart_columns, project))
    found: list[Indicator] = []
    problems: list[str] = []
    for path in sorted((project / INDICATORS_DIR).glob("*.yml")):
        for number, item in enumerate(_items(path), 1):
            name = item.get("id", f"number {number}") if isinstance(item, dict) else f"{number}"
            try:
                indicator = Indicator.model_validate(item)
            except ValidationError as error:
                problems += [
                    f"{path}: {name}: {key_of(loc)}: {text}"
                    for loc, text in problems_of(error, Indicator)
                ]
                continue
            if indicator.fact not in facts:
                known = ", ".join(sorted(facts))
                problems.append(f"{path}: {name}: fact: no {indicator.fact!r}; one of: {known}")
            elif not (columns := columns_of(indicator.mart)):
                problems.append(f"{path}: {name}: model: models/marts has no {indicator.mart}.yml")
            else:
                problems += [
                    f"{path}: {name}: {key}: {problem}"
                    for key, problem in _expression_problems(indicator, columns)
                ]
            if indicator.id in {other.id for other in found}:
                problems.append(f"{path}: {name}: id: is declared twice; rename one")
            found.append(indicator)
    if problems:
        raise ManifestError(problems)
    return found


def _expression_problems(indicator: Indicator, columns: set[str]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with an indicator's SQL, by key: no SQL, or of columns that are not."""
    given = {name: getattr(indicator, name) for name in ("event_at", "left_at", *_EXPRESSIONS)}
    for number, former in indicator.former.items():
        given |= {f"former.{number}.{name}": getattr(former, name) for name in _EXPRESSIONS}
    for key, text in given.items():
        names = _columns_of(text or "true")
        if names is None:
            yield key, f"{text!r} is not an SQL expression"
            continue
        for name in sorted(names - columns):
            hint = did_you_mean(name, columns)
            yield key, f"{indicator.mart} has no column {name!r}; {hint}"


@cache
def _columns_of(text: str) -> frozenset[str] | None:
    """The columns that an SQL expression names; None where it is none."""
    # Not at the top: most of what reads this room needs no SQL parser.
    from sqlglot import exp, parse_one
    from sqlglot.errors import SqlglotError

    try:
        tree = parse_one(text.replace(MONTH_END, "current_timestamp"), read="postgres")
    except SqlglotError:
        return None
    if not isinstance(tree, exp.Condition):
        return None
    return frozenset(column.name for column in tree.find_all(exp.Column))


def definition_rows(indicators: Iterable[Indicator]) -> list[tuple[Any, ...]]:
    """Return the rows of the seed `kpi_definition`, in the order of `DEFINITION_COLUMNS`."""
    return [
        (
            one.id,
            one.name,
            one.meaning,
            one.unit,
            one.direction,
            one.field,
            one.fact,
            one.event_grain,
            one.aggregate,
            "" if one.quantile is None else one.quantile,
            str(one.is_stock).lower(),
            one.scale,
            one.score_offset,
            one.min_n,
            one.settle_days,
            one.version,
            one.valid_from.isoformat(),
            one.formula,
            one.adds_up,
            one.source,
        )
        for one in indicators
    ]


DEFINITION_COLUMNS = (
    "metric_id metric_name meaning unit direction field fact event_grain aggregate quantile "
    "is_stock scale score_offset min_n settle_days definition_version valid_from formula adds_up "
    "source"
)


VERSION_COLUMNS = "metric_id definition_version first_month until_month"


def version_rows(indicators: Iterable[Indicator]) -> list[tuple[Any, ...]]:
    """Return the rows of the seed `kpi_version`, in the order of `VERSION_COLUMNS`.

    Which version computes which months: from first_month on, before until_month; "" where open.
    """
    return [
        (
            one.id,
            by.version,
            by.first_month.isoformat() if by.first_month else "",
            by.until_month.isoformat() if by.until_month else "",
        )
        for one in indicators
        for by in one.computations
    ]


def mart_columns(project: Path, mart: str) -> set[str]:
    """Return the columns that a mart's YAML names; empty where there is no such mart."""
    path = project / f"models/marts/{mart}.yml"
    models = models_of(path) if path.is_file() else []
    return {column.name for model in models if model.name == mart for column in model.columns}


def macro(indicators: Iterable[Indicator], header: str, project: Path) -> str:
    """Return the macro `indicators_by_event()`: the indicators that share a mart and an event time.

    `sums` and `reports` add up; of each of `samples`, the quantiles `ids` are taken.
    """
    indicators = tuple(indicators)
    groups: dict[tuple[str, str], dict[str, list[dict[str, Any]]]] = {}
    fact_of = {one.mart: one.fact for one in indicators}

    def group_of(mart: str, event_at: str) -> dict[str, list[dict[str, Any]]]:
        return groups.setdefault((mart, event_at), {"sums": [], "samples": [], "reports": []})

    for one in indicators:
        group = group_of(one.mart, one.event_at)
        for by in one.computations:
            where = _in_time(one.event_at, by)
            if one.sample is not None:
                _add_sample(group["samples"], one, where, by.sample)
                continue
            kind = "reports" if one.aggregate == "per_reporting_resident" else "sums"
            counts = one.aggregate in ("count", "stock")
            entry: dict[str, Any] = {
                "id": one.id,
                "where": where,
                "sign": 1,
                "numerator": "1" if counts else by.numerator or "",
                "denominator": by.denominator or "",
            }
            group[kind].append(entry)
            if one.left_at is not None:
                group_of(one.mart, one.left_at)["sums"].append({**entry, "sign": -1})

    lines = [f"{{# {header} #}}", "{% macro indicators_by_event() -%}", "    {{ return(["]
    for (mart, event_at), kinds in groups.items():
        columns = mart_columns(project, mart)
        areas = {name: name in columns for name in ("district_id", "department_id")}
        found = {"mart": mart, "fact": fact_of[mart], "event_at": event_at, "areas": areas, **kinds}
        lines.append(f"        {json.dumps(found)},")
    return "\n".join([*lines, "    ]) }}", "{%- endmacro %}", ""])


def _in_time(event_at: str, by: Computation) -> str:
    """Return which rows a version counts: those of its months."""
    where = by.where
    if by.first_month:
        where = f"({where}) and {event_at} >= '{by.first_month}'"
    if by.until_month:
        where = f"({where}) and {event_at} < '{by.until_month}'"
    return where


def _add_sample(samples: list[dict[str, Any]], one: Indicator, where: str, of: str | None) -> None:
    """Add what a quantile is taken of; indicators that have one computation share theirs."""
    entry = {"where": where, "sample": of, "left_at": one.left_at or "", "shared": not one.former}
    for known in samples:
        if not one.former and {**known, "ids": None} == {**entry, "ids": None}:
            known["ids"][one.id] = one.quantile
            return
    samples.append({**entry, "ids": {one.id: one.quantile}})


def book(indicators: Iterable[Indicator]) -> str:
    """Return the indicator book as Markdown: each field of work, each indicator with its parts."""
    parts = [
        "# Indicators\n",
        "Made from `dbt_project/indicators/*.yml` by `.venv/bin/python -m catalog.indicators`; a",
        "change here is lost. How values come about, and when there is none:",
        "[Warehouse and KPIs](warehouse.md#kpis).\n",
    ]
    by_field: dict[str, list[Indicator]] = {}
    for one in indicators:
        by_field.setdefault(one.field, []).append(one)
    for field, members in by_field.items():
        parts.append(f"## {field}\n")
        for one in members:
            least = f"; no value below {one.min_n}" if one.min_n else ""
            if one.settle_days:
                least += f"; a month is complete {one.settle_days} days after its end"
            changes = [f"Version {number}: {text}" for number, text in one.changes.items()]
            parts += [
                f"### {one.name}\n",
                f"{one.meaning}\n",
                "| | |",
                "|---|---|",
                f"| Id | `{one.id}` |",
                f"| Unit | {one.unit}; {_BETTER[one.direction]} |",
                f"| Formula | `{one.formula.replace('|', chr(92) + '|')}` |",
                f"| An event counts | at `{one.event_at}`{least} |",
                f"| Over time and areas | {one.adds_up} |",
                f"| Definition | version {one.version}, since {one.valid_from}; {one.source} |",
                *(f"| | {text} |" for text in changes),
                *(f"| | {text} |" for text in _breaks(one)),
                "",
            ]
    return "\n".join(parts)


def _breaks(one: Indicator) -> list[str]:
    """Say of an indicator that changed which months are computed by which version."""
    if one.former:
        return [
            f"Months before {by.until_month:%Y-%m} are computed by version {by.version}"
            for by in one.computations
            if by.until_month
        ]
    if one.version > 1:
        before = f"Months before {one.valid_from:%Y-%m}"
        return [f"{before} are restated: version {one.version} computes them, too"]
    return []


_BETTER = {"higher": "higher is better", "lower": "lower is better", "none": "neither is better"}


def _items(path: Path) -> list[Any]:
    document = document_of(path)
    if not isinstance(document, list):
        raise ManifestError([f"{path}: is not a list of indicators; begin each with `- id: ...`"])
    return document


def main(arguments: list[str] | None = None) -> None:
    """Write the indicator book."""
    argparse.ArgumentParser(
        description="Write docs/indicators.md from the declarations in dbt_project/indicators/.",
        epilog="Example: .venv/bin/python -m catalog.indicators",
    ).parse_args(arguments)
    BOOK.write_text(book(load_indicators()), encoding="utf-8")
    print(f"{BOOK.name}: written")


if __name__ == "__main__":
    main()
