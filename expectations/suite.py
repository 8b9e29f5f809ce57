"""A source's expectations: those of its manifest, and what `suites/<city>/<source>.py` adds.

Each rule of a manifest looks at single rows of the stage. `meta` carries the reason recorded for
a failing row (`reason`) and where the rule is written (`place`). Keys are not tested for
uniqueness: the loader leaves one row a key in a stage, and dbt tests the whole. Importing this
module imports Great Expectations.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.models import Column, Source
from expectations.slim_gx import gx
from extract.errors import SafeError

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.expectation import Expectation

#: Severity in a manifest -> in Great Expectations.
SEVERITIES = {"critical": "critical", "row": "warning", "info": "info"}
SUITES_DIR = Path(__file__).parent / "suites"


class SuiteError(SafeError):
    """An expectation that cannot be made or run as written; names manifest, key and remedy."""


def suite(source: Source) -> ExpectationSuite:
    """Return all expectations of a source: the manifest's, then those of its own suite file."""
    own = [_reasoned(source, expectation) for expectation in own_expectations(source)]
    return gx.ExpectationSuite(name=source.raw_table, expectations=[*_of_manifest(source), *own])


def default_suite(source: Source) -> ExpectationSuite:
    """Return the expectations that the manifest implies.

    Column `required` and each key column: not null; `values`: in set; `min`, `max`: between;
    `pattern`: regular expression.
    """
    return gx.ExpectationSuite(name=source.raw_table, expectations=list(_of_manifest(source)))


def own_expectations(source: Source) -> list[Expectation]:
    """Return what `suites/<city>/<source>.py` adds to the manifest; empty without one."""
    if not (SUITES_DIR / source.city_id / f"{source.source}.py").is_file():
        return []
    module = import_module(f"expectations.suites.{source.city_id}.{source.source}")
    return module.expectations(source)


def _of_manifest(source: Source) -> Iterator[Expectation]:
    for name, column in source.columns.items():
        if column.personal != "drop":
            yield from _of_column(source, name, column)


def _of_column(source: Source, name: str, column: Column) -> Iterator[Expectation]:
    place = f"{source.path}: columns.{name}"

    def common(failing: str) -> dict[str, Any]:
        return {
            "column": name,
            "severity": SEVERITIES[column.severity],
            "meta": {"reason": f"{name}: {failing}", "place": place},
        }

    if column.required or name in source.primary_key:
        yield gx.expectations.ExpectColumnValuesToNotBeNull(**common("is empty"))
    if column.personal == "hash":
        return  # only the value's hash is left
    if column.values is not None:
        values = [column.type.parse(value) for value in column.values]
        yield gx.expectations.ExpectColumnValuesToBeInSet(
            **common(f"is not one of {_listed(column.values)}"), value_set=values
        )
    if column.min is not None or column.max is not None:
        lower, upper = (
            None if bound is None else column.type.parse(bound)
            for bound in (column.min, column.max)
        )
        whole_day = isinstance(column.max, str) and len(column.max) == 10
        if column.type == "timestamp" and isinstance(upper, datetime) and whole_day:
            upper = datetime.combine(upper, time.max)  # the whole of that day
        yield gx.expectations.ExpectColumnValuesToBeBetween(
            **common(f"is {_outside(column.min, column.max)}"),
            min_value=lower,
            max_value=upper,
        )
    if column.pattern is not None:
        yield gx.expectations.ExpectColumnValuesToMatchRegex(
            **common(f"does not match {column.pattern}"), regex=column.pattern
        )


def _reasoned(source: Source, expectation: Expectation) -> Expectation:
    place = f"expectations/suites/{source.city_id}/{source.source}.py"
    if not expectation.description:
        raise SuiteError(
            f"{place}: {expectation.expectation_type} has no description; "
            "write one: it is the reason recorded for a row that fails"
        )
    if expectation.severity == SEVERITIES["row"] and not getattr(expectation, "map_metric", None):
        raise SuiteError(
            f"{place}: {expectation.expectation_type} does not look at single rows, so no row can "
            "be quarantined for it; make its severity critical or info"
        )
    # The description describes a failure, so a report on rows that pass leaves it out.
    meta = {"reason": expectation.description, "place": place}
    return expectation.copy(update={"meta": meta, "description": None})


def _listed(values: tuple[str, ...]) -> str:
    shown = ", ".join(values[:8])
    return f"{shown}, ... ({len(values)} values)" if len(values) > 8 else shown


def _outside(lower: float | str | None, upper: float | str | None) -> str:
    parts = []
    if lower is not None:
        parts.append(f"below {_plain(lower)}")
    if upper is not None:
        parts.append(f"above {_plain(upper)}")
    return " or ".join(parts)


def _plain(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}" if abs(value) < 1e6 else f"{value:.0f}"
