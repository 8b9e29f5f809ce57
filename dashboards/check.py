"""Check of the dashboards' code without a Superset: files, dbt's documentation, the warehouse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import psycopg
import sqlglot
from psycopg import sql
from sqlglot import exp

from dashboards.bundle import COUNT
from dashboards.code import (
    CODE_DIR,
    Chart,
    Dashboard,
    Dataset,
    Filter,
    Strict,
    TimeRange,
    load_code,
)
from dashboards.relations import DBT_DIR, Relation, documented

#: Form data that names columns, and form data that names metrics.
COLUMN_KEYS = (
    *("all_columns", "groupby", "x_axis", "columns", "groupbyColumns", "groupbyRows"),
    "line_column",  # outlines of a map
)
METRIC_KEYS = ("metric", "metrics", "timeseries_limit_metric", "series_limit_metric")
#: What Superset writes for a colour that is of no one column.
ENTIRE_ROW = "ENTIRE_ROW"
#: What timelines ask of a dataset of events (infra/local/superset/events.py).
EVENT_COLUMNS = ("city_id", "city_name", "first_day", "last_day", "title", "department_name")


class CheckFailed(Exception):
    """Relations, columns and metrics that do not exist; each problem names file and remedy."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class Checked(Strict):
    """What was checked, counted."""

    dashboards: int
    charts: int
    datasets: int
    against_warehouse: bool


def check(
    folder: Path = CODE_DIR, *, dbt_dir: Path = DBT_DIR, warehouse_url: str | None = None
) -> Checked:
    """Verify every relation, column and metric that the dashboards under `folder` name.

    Against dbt's YAML, and against the warehouse too where a URL is given: there each metric is
    tried. Raises `CheckFailed` with all that is wrong, `DashboardCodeError` for files that cannot
    be read.
    """
    code = load_code(folder)
    relations = documented(dbt_dir)
    problems = [p for d in code.datasets.values() for p in _dataset_problems(d, relations)]
    problems += [p for d in code.dashboards for p in _dashboard_problems(d, relations)]
    if warehouse_url and not problems:
        with psycopg.connect(warehouse_url) as connection:
            problems = [
                p for d in code.datasets.values() for p in _warehouse_problems(d, connection)
            ]
    if problems:
        raise CheckFailed(problems)
    return Checked(
        dashboards=len(code.dashboards),
        charts=len(list(code.charts)),
        datasets=len(code.datasets),
        against_warehouse=bool(warehouse_url),
    )


def _dashboard_problems(dashboard: Dashboard, relations: dict[str, Relation]) -> Iterator[str]:
    known = {
        name: relations[dataset.relation]
        for name, dataset in dashboard.datasets.items()
        if dataset.relation in relations
    }
    for chart in dashboard.charts.values():
        if chart.dataset in known:
            dataset = dashboard.datasets[chart.dataset]
            yield from _chart_problems(chart, dataset, known[chart.dataset])
    if dashboard.events in known:
        events = known[str(dashboard.events)]
        for column in EVENT_COLUMNS:
            if column not in events.columns:
                yield f"{dashboard.path}: events: {_no_column(column, events)}"
    for item in dashboard.filters:
        if item.type == "time_range":
            yield from _without_time(dashboard, item)
        if item.column is None:
            continue
        reached = {dashboard.charts[n].dataset for n in dashboard.placed if n not in item.not_on}
        for name in sorted({str(item.dataset), *reached} & set(known)):
            if item.column not in known[name].columns:
                users = [
                    c.name
                    for c in dashboard.charts.values()
                    if c.dataset == name and c.name not in item.not_on
                ]
                yield (
                    f"{dashboard.path}: filters.{item.name}: {known[name].name} has no column "
                    f"{item.column!r}; add it there, or list under not_on: {', '.join(users)}"
                )


def _without_time(dashboard: Dashboard, item: Filter) -> Iterator[str]:
    """Superset gives a period to the conditions on time that a chart has, and else to nothing."""
    for name in dashboard.placed:
        chart = dashboard.charts[name]
        has_time = any(isinstance(condition, TimeRange) for condition in chart.where.values())
        if name not in item.not_on and not has_time:
            column = dashboard.datasets[chart.dataset].time_column or "<a date column>"
            yield (
                f"{dashboard.path}: filters.{item.name}: does not reach {name}; give the chart "
                f"`where: {{{column}: {{time_range: No filter}}}}`, or list it under not_on"
            )


def _dataset_problems(dataset: Dataset, relations: dict[str, Relation]) -> Iterator[str]:
    relation = relations.get(dataset.relation)
    if relation is None:
        close = get_close_matches(dataset.relation, relations, 1)
        hint = f"did you mean {close[0]}? Else add" if close else "add"
        yield (
            f"{dataset.path}: relation: dbt documents no {dataset.relation}; {hint} "
            f"the model and its YAML under {DBT_DIR.name}/models"
        )
        return
    areas = [dataset.area] if dataset.area else []
    times = [dataset.time_column] if dataset.time_column else []
    for column in (*dataset.columns, *times, *dataset.one, *areas):
        if column not in relation.columns:
            yield f"{dataset.path}: {_no_column(column, relation)}"
    for name in dataset.metrics:
        place = f"{dataset.path}: metrics.{name}"
        try:
            named = {
                c.name
                for c in sqlglot.parse_one(dataset.aggregate(name), read="postgres").find_all(
                    exp.Column
                )
            }
        except sqlglot.ParseError as error:
            yield f"{place}: is not SQL: {error}"
            continue
        for column in sorted(named - set(relation.columns)):
            yield f"{place}: {_no_column(column, relation)}"


def _chart_problems(chart: Chart, dataset: Dataset, relation: Relation) -> Iterator[str]:
    for column in chart.where:
        if column not in relation.columns:
            yield f"{chart.path}: where: {_no_column(column, relation)}"
    for key in COLUMN_KEYS:
        for column in _names(chart.params.get(key)):
            if column not in relation.columns:
                yield f"{chart.path}: params.{key}: {_no_column(column, relation)}"
    for key in METRIC_KEYS:
        for name in _names(chart.params.get(key)):
            if name not in dataset.metrics and name != COUNT["metric_name"]:
                close = get_close_matches(name, dataset.metrics, 1)
                hint = f"did you mean {close[0]!r}?" if close else "add it there"
                yield (
                    f"{chart.path}: params.{key}: {dataset.path.name} has no metric {name!r}; "
                    f"{hint}"
                )
    for order in chart.params.get("order_by_cols") or ():
        ordered, place = _ordered_by(order), f"{chart.path}: params.order_by_cols"
        if ordered is None:
            yield f"{place}: {order!r} must read like '[\"column\", true]'"
        elif ordered not in relation.columns:
            yield f"{place}: {_no_column(ordered, relation)}"
    for key, name in _names_of_style(chart.params):
        if name not in relation.columns and name not in dataset.metrics:
            yield f"{chart.path}: params.{key}: {_no_column(name, relation)}"


def _names_of_style(params: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the columns or metrics by which a chart sorts, formats, colours and names.

    Superset ignores one that does not exist: the order or the colour is missing without an error.
    """
    for name in params.get("column_config") or ():
        yield "column_config", name
    for rule in params.get("conditional_formatting") or ():
        for key in ("column", "columnFormatting"):
            if rule.get(key, ENTIRE_ROW) != ENTIRE_ROW:
                yield f"conditional_formatting.{key}", rule[key]
    if params.get("x_axis_sort"):
        yield "x_axis_sort", params["x_axis_sort"]
    for item in params.get("tooltip_contents") or ():
        yield "tooltip_contents", item["column_name"]


def _ordered_by(order: object) -> str | None:
    """Return the column of one of a table's orders, which Superset keeps as JSON text."""
    try:
        name, ascending = json.loads(str(order))
    except ValueError:
        return None
    return name if isinstance(name, str) and isinstance(ascending, bool) else None


def _names(value: object) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, str)]


def _no_column(column: str, relation: Relation) -> str:
    close = get_close_matches(column, relation.columns, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"it has: {', '.join(relation.columns)}"
    return f"{relation.name} has no column {column!r} in {relation.path.name}; {hint}"


def _warehouse_problems(dataset: Dataset, connection: psycopg.Connection) -> Iterator[str]:
    """Try a dataset's columns and metrics on the warehouse itself, without reading a row."""
    relation = sql.Identifier(dataset.schema_name, dataset.table_name)
    columns = [*dataset.columns, *([dataset.time_column] if dataset.time_column else [])]
    tried: list[tuple[str, sql.Composable]] = []
    if columns:
        tried.append(("columns", sql.SQL(", ").join(map(sql.Identifier, columns))))
    tried += [(f"metrics.{n}", sql.SQL(dataset.expression(n))) for n in dataset.metrics]
    for place, expression in tried:
        try:
            with connection.transaction():
                connection.execute(
                    sql.SQL("explain select {} from {}").format(expression, relation)
                )
        except psycopg.errors.UndefinedTable:
            yield (
                f"{dataset.path}: relation: the warehouse has no {dataset.relation}; build it: "
                "`cityloom run CITY`, or `dbt build` in dbt_project/"
            )
            return
        except psycopg.Error as error:
            message = (error.diag.message_primary or str(error)).strip()
            yield f"{dataset.path}: {place}: {message}; is the warehouse built from this code?"
