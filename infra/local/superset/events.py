"""Events on timelines: those of the city that the page shows, as its reader may read them.

Superset's own annotation layers ask for the same rows whichever filters stand, so that one city's
events would show on another's lines. The push gives each timeline layers that name the dataset of
events (`dashboards.bundle.event_layers`). Here they are filled, by a query of the reader's own, in
the answer to the chart. What is kept of that answer is found by the page's filters, the reader's
login, and when the chart's table and that of the events were built. Runs in Superset's own
environment.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pandas as pd
import superset.common.query_context as query_contexts
from superset.commands.chart.data.get_data_command import ChartDataCommand
from superset.commands.chart.importers.v1 import utils as chart_import
from superset.common.query_context_factory import QueryContextFactory
from superset.common.query_context_processor import QueryContextProcessor
from superset.common.query_object import QueryObject
from superset.daos.datasource import DatasourceDAO
from superset.exceptions import QueryObjectValidationError, SupersetException
from superset.extensions import security_manager
from superset.models.helpers import QueryResult
from superset.utils.core import DatasourceType, error_msg_from_exception, get_x_axis_label

#: Columns whose filters say which city a page shows, and which departments.
CITY = ("city_id", "city_name")
DEPARTMENT = "department_name"
#: What pandas calls the period that a point of a timeline stands for.
PERIODS = {"P1W": "W", "P1M": "M", "P3M": "Q", "P1Y": "Y"}
#: How many titles stand side by side on a chart of a third of a page.
TITLES_SIDE_BY_SIDE = 36


def show_events() -> None:
    """Have layers of events filled, and kept by the import of charts; for Superset's start."""
    query_contexts.QueryContextProcessor = EventsProcessor
    keep_formulas = chart_import.filter_chart_annotations

    def keep_events_too(chart: dict[str, Any]) -> None:
        events = [layer for layer in chart["params"].get("annotation_layers", []) if is_of(layer)]
        keep_formulas(chart)
        chart["params"]["annotation_layers"] += events

    # It drops all but formulas, because others name an object by its number on one server.
    chart_import.filter_chart_annotations = keep_events_too


def is_of(layer: dict[str, Any]) -> bool:
    """Return whether a layer is one of events: it names a dataset by UUID, and no source."""
    if layer.get("sourceType") != "" or layer.get("annotationType") not in ("EVENT", "INTERVAL"):
        return False
    value = str(layer.get("value"))
    try:
        return str(UUID(value)) == value  # digits alone would be a number of a dataset
    except ValueError:
        return False


class EventsProcessor(QueryContextProcessor):
    """Superset's own, but it fills layers of events."""

    #: The first and last point of the timeline asked last, in milliseconds since 1970.
    _axis: tuple[int, int] | None = None

    def get_query_result(self, query_object: QueryObject) -> QueryResult:
        """Return a chart's rows; those of its events are asked for just after them."""
        result = super().get_query_result(query_object)
        if _layers(query_object):
            column = result.df.get(get_x_axis_label(query_object.columns), pd.Series())
            points = pd.to_datetime(column, errors="coerce").dropna()
            ends = None if points.empty else (points.min(), points.max())
            self._axis = ends and (_milliseconds(ends[0]), _milliseconds(ends[1]))
        return result

    def query_cache_key(self, query_obj: QueryObject, **kwargs: Any) -> str | None:
        """Return a key that changes with the events, too, and with who may read them."""
        if layers := _layers(query_obj):
            kwargs["events"] = [_rights_and_build(layer["value"]) for layer in layers]
        return super().query_cache_key(query_obj, **kwargs)

    def get_annotation_data(self, query_obj: QueryObject) -> dict[str, Any]:
        """Return the records of each layer by its name."""
        found = super().get_annotation_data(query_obj)
        layers = _layers(query_obj)
        records = {
            dataset: self._records(dataset, query_obj)
            for dataset in {layer["value"] for layer in layers}
        }
        return found | {one["name"]: {"records": records[one["value"]]} for one in layers}

    def _records(self, dataset: str, query_obj: QueryObject) -> list[dict[str, Any]]:
        """Return the events of the one city that the filters leave, as the page draws them.

        Those of other departments than the page shows are left out. Of several cities or none a
        chart shows no figure, and no event.
        """
        chosen = {
            column: values
            for column in (*CITY, DEPARTMENT)
            if column in self._qc_datasource.column_names
            and (values := _chosen(query_obj, column)) is not None
        }
        cities = {column: values for column, values in chosen.items() if column in CITY}
        if not cities or any(len(values) != 1 for values in cities.values()):
            return []
        query = {
            "columns": ["first_day", "last_day", "title", DEPARTMENT],
            "filters": [
                {"col": column, "op": "==", "val": value} for column, (value,) in cities.items()
            ],
            "metrics": [],
            "row_limit": 1000,
        }
        try:
            context = QueryContextFactory().create(
                datasource={"id": dataset, "type": "table"},
                queries=[query],
                force=self._query_context.force,
            )
            command = ChartDataCommand(context)
            command.validate()
            rows = command.run()["queries"][0]["data"]
        except SupersetException as error:
            message = f"Events: {error_msg_from_exception(error)}"
            raise QueryObjectValidationError(message) from error
        departments = chosen.get(DEPARTMENT)
        shown = [
            row
            for row in rows
            if departments is None or pd.isna(row[DEPARTMENT]) or row[DEPARTMENT] in departments
        ]
        return _drawn(shown, (query_obj.extras or {}).get("time_grain_sqla"), self._axis)


def _layers(query_obj: QueryObject | None) -> list[dict[str, Any]]:
    return [layer for layer in query_obj.annotation_layers if is_of(layer)] if query_obj else []


def _rights_and_build(dataset: str) -> list[str]:
    try:
        found = DatasourceDAO.get_datasource(DatasourceType.TABLE, dataset)
    except SupersetException:
        return []  # the answer is an error then, which is not kept
    return [dataset, *security_manager.get_rls_cache_key(found)]


def _chosen(query_obj: QueryObject, column: str) -> set[Any] | None:
    """Return the values of a column that the filters leave; None where no filter is on it."""
    left: set[Any] | None = None
    for condition in query_obj.filter:
        if condition["col"] != column or condition["op"] not in ("==", "IN"):
            continue
        value = condition.get("val")
        values = set(value) if isinstance(value, (list, tuple)) else {value}
        left = values if left is None else left & values
    return left


def _drawn(
    rows: list[dict[str, Any]], grain: str | None, axis: tuple[int, int] | None
) -> list[dict[str, Any]]:
    """Return events as the page's layers take them, at the points that stand for their periods.

    Titles stand upright at the left of their lines. Where one on the chart's `axis` would be
    written over those before it, it has them above it, in order.
    """
    drawn: dict[int, dict[str, Any]] = {}
    titles: dict[int, list[str]] = {}
    for row in sorted(rows, key=lambda row: (row["first_day"], row["title"])):
        last_day = row["first_day"] if pd.isna(row["last_day"]) else row["last_day"]
        start, end = _point(row["first_day"], grain), _point(last_day, grain)
        known = drawn.setdefault(start, {"start_dttm": start, "end_dttm": end})
        known["end_dttm"] = max(known["end_dttm"], end)
        titles.setdefault(start, []).append(row["title"])
    first, last = axis or (0, 0)
    room, at = (last - first) / TITLES_SIDE_BY_SIDE, None
    for start in reversed([one for one in drawn if first <= one <= last]):
        if at is not None and at - start < room * len(titles[at]):
            titles[at] = titles.pop(start) + titles[at]
        else:
            at = start
    return [one | {"short_descr": "\n".join(titles.get(at, ()))} for at, one in drawn.items()]


def _point(day: Any, grain: str | None) -> int:
    """Return where a timeline has a day, in milliseconds since 1970: its period's first moment."""
    moment = pd.Timestamp(day)
    if grain in PERIODS:
        moment = moment.to_period(PERIODS[grain]).start_time
    return _milliseconds(moment)


def _milliseconds(moment: pd.Timestamp) -> int:
    return int(moment.timestamp() * 1000)
