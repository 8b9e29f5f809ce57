"""Running a suite on a stage table in PostgreSQL, and finding the rows that failed.

Importing this module imports Great Expectations.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from catalog.models import Source
from expectations.outcomes import Outcome
from expectations.slim_gx import gx
from expectations.suite import SEVERITIES, SuiteError, suite
from extract.redact import WITHHELD, has_personal, safe_path

# isort: split
# After expectations.slim_gx, which imports less of it than it would by itself.
import sqlalchemy as sa
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations.expectation import Expectation
from great_expectations.validator.metric_configuration import MetricConfiguration

#: How many failing values and rows a message and a report may quote.
EXAMPLES = 20
ROW = ["_source_file", "_source_row"]
#: Counts only: Great Expectations asks for all of them in one scan, and a LIMIT 0 costs nothing.
COUNTS = {"result_format": "BASIC", "partial_unexpected_count": 0}
DETAILS = {
    "result_format": "SUMMARY",
    "partial_unexpected_count": EXAMPLES,
    "unexpected_index_column_names": ROW,
    "return_unexpected_index_query": False,
}
_SEVERITY = {theirs: ours for ours, theirs in SEVERITIES.items()}


@dataclass(frozen=True)
class Checked:
    """What a suite found. `result` is Great Expectations' own, for its renderers.

    Of a source with personal columns both hold counts and places, but no values.
    """

    outcomes: tuple[Outcome, ...]
    result: Any

    def failed(self, severity: str) -> list[Outcome]:
        """Return the failed expectations of a severity (`critical`, `row` or `info`)."""
        return [o for o in self.outcomes if not o.success and o.severity == severity]


def check(source: Source, warehouse_url: str) -> Checked:
    """Run a source's suite on its stage table.

    One scan counts for every expectation; only those that fail are asked for examples and for
    the query that finds their rows. Raises `SuiteError` for an expectation that cannot run.
    """
    whole = suite(source)
    if not whole.expectations:
        return Checked((), None)
    for number, expectation in enumerate(whole.expectations):
        expectation.meta = {**(expectation.meta or {}), "rule": number}
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    database = context.data_sources.add_postgres(
        "warehouse", connection_string=_sqlalchemy_url(warehouse_url)
    )
    try:
        with warnings.catch_warnings():
            # Deprecated for a schema of the data source, which PostgreSQL's has no place for.
            warnings.filterwarnings("ignore", message="`schema_name` is deprecated")
            table = database.add_table_asset(
                source.raw_table, table_name=source.raw_table, schema_name="stage"
            )
        definition = table.add_batch_definition_whole_table("load")
        batch = definition.get_batch()
        result = batch.validate(whole, result_format=COUNTS)
        found = {_rule(one): one for one in result.results}
        for one in found.values():
            _raise_if_broken(source, one)
            _withhold(source, one)
        failing = [e for e in whole.expectations if not found[_number(e)].success]
        queries: dict[int, str] = {}
        if failing:
            detailed = batch.validate(
                gx.ExpectationSuite(name=whole.name, expectations=failing), result_format=DETAILS
            )
            found.update({_rule(one): _legible(source, one) for one in detailed.results})
            validator = context.get_validator(batch_request=definition.build_batch_request())
            queries = {
                _number(e): _rows_query(validator, e)
                for e in failing
                if _severity(e.severity) == "row"
            }
    finally:
        database.get_execution_engine().close()
    result.results = [found[number] for number in sorted(found)]
    return Checked(_outcomes(source, result.results, queries), result)


def _number(expectation: Expectation) -> int:
    """Return the number that `check` gave an expectation."""
    return (expectation.meta or {})["rule"]


def _rows_query(validator: Any, expectation: Any) -> str:
    """Return the query that finds the rows that an expectation failed, by file and row number.

    Great Expectations' own `unexpected_index_query` is for people: it writes values as Python
    does and forgets `ignore_row_if`. This is built from the condition that it counts by.
    """
    engine = validator.execution_engine
    counted = expectation.get_validation_dependencies(
        execution_engine=engine, runtime_configuration={"result_format": COUNTS}
    ).get_metric_configuration(f"{expectation.map_metric}.unexpected_count")
    condition, compute_domain, accessor_domain = validator.get_metric(
        MetricConfiguration(
            metric_name=f"{expectation.map_metric}.condition",
            metric_domain_kwargs=counted.metric_domain_kwargs,
            metric_value_kwargs=counted.metric_value_kwargs,
        )
    )
    rows = engine.get_domain_records({**compute_domain, **accessor_domain})
    if isinstance(rows, sa.Select):
        rows = rows.subquery()
    query: Any = sa.select(*(sa.column(name) for name in ROW)).select_from(rows).where(condition)
    compiled = query.compile(
        dialect=engine.engine.dialect, compile_kwargs={"render_postcompile": True}
    )
    connection = engine.engine.raw_connection()
    try:
        return connection.cursor().mogrify(str(compiled), compiled.params).decode()
    finally:
        connection.close()


def _legible(source: Source, one: Any) -> Any:
    """Write pairs of values, which the renderers would show as Python does, as text."""
    _withhold(source, one)
    details = one.result
    details["partial_unexpected_list"] = [
        _shown(value) if isinstance(value, list | tuple) else value
        for value in details.get("partial_unexpected_list") or ()
    ]
    for counted in details.get("partial_unexpected_counts") or ():
        if isinstance(counted.get("value"), list | tuple):
            counted["value"] = _shown(counted["value"])
    return one


def _withhold(source: Source, one: Any) -> None:
    """Drop the values from a result on a source with personal columns; keep counts and places."""
    if not has_personal(source):
        return
    details = one.result
    for quoting in ("partial_unexpected_list", "partial_unexpected_counts", "unexpected_list"):
        if quoting in details:
            details[quoting] = []
    for listing in ("partial_unexpected_index_list", "unexpected_index_list"):
        if details.get(listing):
            details[listing] = [
                {ROW[0]: safe_path(row[ROW[0]], source), ROW[1]: row[ROW[1]]}
                for row in details[listing]
            ]
    observed = details.get("observed_value")
    if observed is not None and not isinstance(observed, int | float):
        details["observed_value"] = WITHHELD
    details.pop("details", None)


def _outcomes(source: Source, results: list[Any], queries: dict[int, str]) -> tuple[Outcome, ...]:
    outcomes: list[Outcome] = []
    taken: set[tuple[str, str]] = set()
    for one in results:
        configuration = one.expectation_config
        column = _column(configuration.kwargs)
        name, number = configuration.type, 2
        while (name, column) in taken:
            name, number = f"{configuration.type}_{number}", number + 1
        taken.add((name, column))
        details = one.result
        outcomes.append(
            Outcome(
                expectation=name,
                column=column,
                severity=_severity(configuration.severity),
                success=one.success,
                unexpected_rows=details.get("unexpected_count"),
                observed=_observed(details),
                reason=configuration.meta["reason"],
                place=configuration.meta["place"],
                values=tuple(_distinct(details.get("partial_unexpected_list") or ())),
                rows=tuple(
                    (safe_path(row[ROW[0]], source), row[ROW[1]])
                    for row in details.get("partial_unexpected_index_list") or ()
                ),
                query=queries.get(_rule(one)),
            )
        )
    return tuple(outcomes)


def _raise_if_broken(source: Source, one: Any) -> None:
    """Raise `SuiteError` for an expectation that could not be evaluated: no row is at fault."""
    details = one.exception_info or {}
    for info in (details, *(v for v in details.values() if isinstance(v, dict))):
        if info.get("raised_exception"):
            raise SuiteError(
                f"{source.city_id}/{source.source}: {one.expectation_config.type} on "
                f"{_column(one.expectation_config.kwargs) or 'the table'} could not be "
                f"evaluated: {_quotable(source, info['exception_message'])}. "
                f"Mend the rule in {one.expectation_config.meta['place']}; the load stays staged"
            )


def _quotable(source: Source, message: str) -> str:
    """Return an error of the database as a message may quote it."""
    return WITHHELD if has_personal(source) else message


def _rule(one: Any) -> int:
    return one.expectation_config.meta["rule"]


def _column(kwargs: dict[str, Any]) -> str:
    names = [kwargs.get(key) for key in ("column", "column_A", "column_B")]
    names += kwargs.get("column_list") or []
    return ", ".join(name for name in names if name)


def _observed(details: dict[str, Any]) -> str | None:
    if "observed_value" in details:
        return str(details["observed_value"])
    if details.get("unexpected_count") is None:
        return None
    return f"{details['unexpected_count']} of {details['element_count']} rows"


def _distinct(values: Any) -> list[str]:
    return list(dict.fromkeys(_shown(value) for value in values if value is not None))


def _shown(value: Any) -> str:
    """Return a value as a message quotes it; those of several columns side by side."""
    if isinstance(value, list | tuple):
        return ", ".join(_shown(part) for part in value)
    return value.isoformat(" ") if isinstance(value, datetime) else str(value)


def _severity(severity: Any) -> str:
    """Return a severity of Great Expectations as manifests call it."""
    return _SEVERITY[str(getattr(severity, "value", severity))]


def _sqlalchemy_url(warehouse_url: str) -> str:
    return urlunsplit(urlsplit(warehouse_url)._replace(scheme="postgresql+psycopg2"))
