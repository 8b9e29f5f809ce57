"""The indicators: each is declared once, in `dbt_project/indicators/*.yml`.

From a declaration come the seed `kpi_definition`, the macro by which dbt makes the events and
values of `fct_kpi` and of the reports, and the indicator book, `docs/indicators.md`
(`.venv/bin/python -m catalog.indicators` writes it). Expressions are SQL over the columns of
`fct_<fact>`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from catalog.facts import DBT_PROJECT, load_facts, models_of
from catalog.fields import Identifier, Line
from catalog.models import Strict
from catalog.problems import ManifestError, key_of, problems_of

INDICATORS_DIR = Path("indicators")
BOOK = Path(__file__).resolve().parents[1] / "docs" / "indicators.md"
_QUANTILES = {"median": 0.5, "p90": 0.9}
_ADDS_UP = {
    "count": "Counts add up; a year shows the monthly mean.",
    "ratio": "Numerators and denominators are added up, then divided; ratios are never averaged.",
    "stock": "The number at the end of the period; areas add up.",
    "per_resident": "Events are added up, then divided by residents and months.",
    "per_reporting_resident": "Amounts, and the residents of the districts that report, are added "
    "up, then divided.",
    "median": "Taken anew of all events of the period and area.",
    "p90": "Taken anew of all events of the period and area.",
}


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
    fact: Identifier = Field(description="Fact whose rows are its events")
    model: Identifier | None = Field(None, description="Mart with its rows, if not fct_<fact>")
    where: str = Field("true", description="Which rows, as an SQL condition")
    event_at: str = Field(description="When an event counts, as SQL")
    event_grain: Literal["day", "month"] = Field(
        "day", description="month where a row is a report of a whole month"
    )
    left_at: str | None = Field(None, description="When a row of a stock leaves it, as SQL")
    aggregate: Literal[
        "count", "stock", "ratio", "per_resident", "per_reporting_resident", "median", "p90"
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
        match self.aggregate:
            case "count":
                return f"number of {rows}"
            case "stock":
                return f"number of {rows}, from {self.event_at} until {self.left_at}"
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
        return _ADDS_UP[self.aggregate]


def load_indicators(project: Path = DBT_PROJECT) -> list[Indicator]:
    """Return the indicators that a dbt project declares, in the order of files and lines.

    Raises `ManifestError` with file, indicator and remedy.
    """
    facts = load_facts(project)
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
            elif not mart_columns(project, indicator.mart):
                problems.append(f"{path}: {name}: model: models/marts has no {indicator.mart}.yml")
            if indicator.id in {other.id for other in found}:
                problems.append(f"{path}: {name}: id: is declared twice; rename one")
            found.append(indicator)
    if problems:
        raise ManifestError(problems)
    return found


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
    "metric_id metric_name meaning unit direction field fact event_grain aggregate quantile scale "
    "score_offset min_n settle_days definition_version valid_from formula adds_up source"
)


def mart_columns(project: Path, mart: str) -> set[str]:
    """Return the columns that a mart's YAML names; empty where there is no such mart."""
    path = project / f"models/marts/{mart}.yml"
    models = models_of(path) if path.is_file() else []
    return {column.name for model in models if model.name == mart for column in model.columns}


def macro(indicators: Iterable[Indicator], header: str, project: Path) -> str:
    """Return the macro `indicators_by_event()`: the indicators that share a mart and an event time.

    `sums` and `reports` add up; of each of `samples`, the quantiles `ids` are taken.
    """
    groups: dict[tuple[str, str], dict[str, list[dict[str, Any]]]] = {}

    def group_of(mart: str, event_at: str) -> dict[str, list[dict[str, Any]]]:
        return groups.setdefault((mart, event_at), {"sums": [], "samples": [], "reports": []})

    for one in indicators:
        group = group_of(one.mart, one.event_at)
        if one.sample is not None:
            same = [
                s for s in group["samples"] if (s["where"], s["sample"]) == (one.where, one.sample)
            ]
            if not same:
                group["samples"].append({"where": one.where, "sample": one.sample, "ids": {}})
            (same or group["samples"])[-1]["ids"][one.id] = one.quantile
            continue
        kind = "reports" if one.aggregate == "per_reporting_resident" else "sums"
        entry: dict[str, Any] = {"id": one.id, "where": one.where, "sign": 1}
        for part in ("numerator", "denominator"):
            is_number = one.aggregate in ("count", "stock") and part == "numerator"
            text = "1" if is_number else getattr(one, part)
            entry[part] = text or ""
        group[kind].append(entry)
        if one.left_at is not None:
            group_of(one.mart, one.left_at)["sums"].append({**entry, "sign": -1})

    lines = [f"{{# {header} #}}", "{% macro indicators_by_event() -%}", "    {{ return(["]
    for (mart, event_at), kinds in groups.items():
        columns = mart_columns(project, mart)
        areas = {name: name in columns for name in ("district_id", "department_id")}
        found: dict[str, Any] = {"mart": mart, "event_at": event_at, "areas": areas, **kinds}
        lines.append(f"        {json.dumps(found)},")
    return "\n".join([*lines, "    ]) }}", "{%- endmacro %}", ""])


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
                "",
            ]
    return "\n".join(parts)


_BETTER = {"higher": "higher is better", "lower": "lower is better", "none": "neither is better"}


def _items(path: Path) -> list[Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ManifestError([f"{path}: is not YAML: {error}"]) from error
    if not isinstance(document, list):
        raise ManifestError([f"{path}: is not a list of indicators; begin each with `- id: ...`"])
    return document


def main() -> None:
    """Write the indicator book."""
    BOOK.write_text(book(load_indicators()), encoding="utf-8")
    print(f"{BOOK.name}: written")


if __name__ == "__main__":
    main()
