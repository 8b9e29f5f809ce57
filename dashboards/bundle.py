"""Compiles the code into Superset's assets bundle: a zip of YAML that its import reads."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from dashboards import layout
from dashboards.code import (
    CODE_DIR,
    Chart,
    Code,
    Condition,
    Dashboard,
    Dataset,
    Part,
    TimeRange,
    read_yaml,
)
from dashboards.relations import Relation
from dashboards.state import (
    CERTIFIED_BY,
    DATABASE_UUID,
    Asset,
    State,
    certification_details,
    certification_of,
)
from dashboards.warehouse import Warehouse

DATABASE = "Cityloom warehouse"
VERSION = "1.0.0"
FOLDERS = {
    "database": "databases",
    "dataset": "datasets/warehouse",
    "chart": "charts",
    "dashboard": "dashboards",
}
#: The metric that Superset itself gives a dataset, which new charts start with.
COUNT = {"metric_name": "count", "verbose_name": "COUNT(*)", "expression": "COUNT(*)"}
#: Nearly black, to be seen on bars of any colour.
EVENT_COLOUR = "#26303b"
#: What the code decides of a column and of a metric; the rest stays as it is in Superset.
COLUMN_KEYS = ("verbose_name", "description", "filterable", "groupby", "is_dttm")
METRIC_KEYS = ("expression", "verbose_name", "d3format", "description")


@dataclass(frozen=True)
class Desired:
    """An object as the code wants it: one file of the bundle."""

    kind: str
    place: str
    uuid: str
    config: dict[str, Any]

    @property
    def file(self) -> str:
        """Path in the bundle."""
        return f"{FOLDERS[self.kind]}/{self.uuid}.yaml"


def compile_code(
    code: Code, relations: dict[str, Relation], warehouse: Warehouse, uri: str, state: State
) -> list[Desired]:
    """Return every object that the code wants, the used before their users.

    `uri` is the warehouse's address with its password, for SQLAlchemy. What people added
    to the code's objects is taken over from `state`: their metrics and calculated columns on
    datasets, their charts on dashboards.
    """
    desired = [Desired("database", "warehouse", DATABASE_UUID, database_config(uri, state))]
    for dataset in code.datasets.values():
        columns = warehouse.columns[dataset.relation]
        current = state.dataset_on(dataset.relation) or state.dataset.get(dataset.uuid)
        config = dataset_config(dataset, relations.get(dataset.relation), columns, current)
        config["catalog"] = current.config.get("catalog") if current else warehouse.database
        desired.append(Desired("dataset", dataset.place, dataset.uuid, config))
    for dashboard in code.dashboards:
        events = code.datasets[dashboard.events].uuid if dashboard.events else None
        for chart in dashboard.charts.values():
            config = chart_config(chart, code.datasets[chart.dataset].uuid, events)
            desired.append(Desired("chart", chart.place, chart.uuid, config))
    for dashboard in code.dashboards:
        first = warehouse.first_values.get(dashboard.name, {})
        config = dashboard_config(dashboard, first, guests_of(dashboard, code, state))
        desired.append(Desired("dashboard", dashboard.place, dashboard.uuid, config))
    return desired


def zip_bundle(desired: Sequence[Desired]) -> bytes:
    """Return the bundle for Superset's import; it is never written to a disk."""
    files = {item.file: item.config for item in desired}
    files["metadata.yaml"] = {"version": VERSION, "type": "assets"}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, config in files.items():
            text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
            bundle.writestr(f"cityloom/{name}", text)
    return buffer.getvalue()


def database_config(uri: str, state: State) -> dict[str, Any]:
    """Return the connection, which may read only."""
    extra = state.database.config.get("extra") if state.database else None
    return {
        "database_name": DATABASE,
        "sqlalchemy_uri": uri,
        "expose_in_sqllab": True,
        "allow_dml": False,
        "allow_ctas": False,
        "allow_cvas": False,
        "allow_file_upload": False,
        "extra": yaml.safe_load(extra) if isinstance(extra, str) else extra or {},
        "uuid": DATABASE_UUID,
        "version": VERSION,
    }


def dataset_config(
    dataset: Dataset, relation: Relation | None, columns: dict[str, str], current: Asset | None
) -> dict[str, Any]:
    """Return a dataset: columns of the warehouse, metrics of the code, and what people added.

    `columns` maps the relation's columns to their types; `current` is the dataset in Superset.
    """
    had = current.config if current else {}
    had_columns = {column["column_name"]: column for column in had.get("columns") or []}
    had_metrics = {metric["metric_name"]: metric for metric in had.get("metrics") or []}
    calculated = [c for name, c in had_columns.items() if c.get("expression")]
    metrics = {name: _metric(dataset, name, had_metrics.get(name)) for name in dataset.metrics}
    added = {name: m for name, m in had_metrics.items() if is_persons_metric(m, dataset)}
    if "count" not in metrics:
        added.setdefault("count", had_metrics.get("count") or {**COUNT, "metric_type": "count"})
    return {
        "table_name": dataset.table_name,
        "schema": dataset.schema_name,
        "description": relation.description if relation else None,
        "main_dttm_col": dataset.time_column,
        "filter_select_enabled": True,
        "extra": {**(had.get("extra") or {}), "certification": _certification_extra(dataset)},
        "columns": [
            {
                **{"is_active": True, **had_columns.get(name, {})},
                "column_name": name,
                "type": had_columns.get(name, {}).get("type") or kind,
                **_column(dataset, relation, name, kind),
            }
            for name, kind in columns.items()
        ]
        + [c for c in calculated if c["column_name"] not in columns],
        "metrics": [*metrics.values(), *added.values()],
        # Open to people: they may add metrics, which a push keeps and `pull` can bring in.
        "is_managed_externally": False,
        "uuid": dataset.uuid,
        "database_uuid": DATABASE_UUID,
        "version": VERSION,
    }


def is_persons_metric(metric: dict[str, Any], dataset: Dataset) -> bool:
    """Whether a metric was added in Superset: neither named in the code, nor of an earlier push."""
    if metric["metric_name"] in dataset.metrics:
        return False
    return certification_of(metric.get("extra")) != (CERTIFIED_BY, _details(dataset))


def _details(part: Part) -> str:
    return certification_details(part.place, part.uuid)


def _certification_extra(part: Part) -> dict[str, str]:
    return {"certified_by": CERTIFIED_BY, "details": _details(part)}


def _metric(dataset: Dataset, name: str, current: dict[str, Any] | None) -> dict[str, Any]:
    metric = dataset.metrics[name]
    had = current or {}
    return {
        **had,
        "metric_name": name,
        "expression": dataset.expression(name),
        "verbose_name": metric.label,
        "d3format": metric.format,
        "description": metric.full_description,
        "extra": {**(had.get("extra") or {}), "certification": _certification_extra(dataset)},
    }


def _column(dataset: Dataset, relation: Relation | None, name: str, kind: str) -> dict[str, Any]:
    column = dataset.columns.get(name)
    documented = relation.columns.get(name) if relation else None
    return {
        "verbose_name": column.label if column else None,
        "description": (column.description if column else None) or documented or None,
        "filterable": column.filter if column else True,
        "groupby": True,
        "is_dttm": kind.upper().startswith(("DATE", "TIMESTAMP")),
    }


def chart_config(chart: Chart, dataset_uuid: str, events: str | None = None) -> dict[str, Any]:
    """Return a chart; `events` is the UUID of the dataset of events that timelines show.

    `query_context` is emptied: one that a page saved asks for the old query.
    """
    return {
        "slice_name": chart.title,
        "description": chart.full_description or None,
        "viz_type": chart.type,
        "params": form_data(chart, events),
        "query_context": None,
        "certified_by": CERTIFIED_BY,
        "certification_details": _details(chart),
        "is_managed_externally": True,
        "uuid": chart.uuid,
        "dataset_uuid": dataset_uuid,
        "version": VERSION,
    }


def form_data(chart: Chart, events: str | None = None) -> dict[str, Any]:
    """Return a chart's form data: defaults where it wants them, its own, `where` as filters.

    A timeline has layers of `events`, too, where the dashboard has a dataset of them.
    """
    defaults = explore_defaults(chart.type) if chart.explore_defaults else {}
    filters = [adhoc_filter(column, condition) for column, condition in chart.where.items()]
    found = {
        **defaults,
        **chart.params,
        "viz_type": chart.type,
        "adhoc_filters": [*filters, *chart.params.get("adhoc_filters", [])],
    }
    if events and chart.is_timeline:
        own = chart.params.get("annotation_layers", [])
        found["annotation_layers"] = [*own, *event_layers(events)]
    return found


def event_layers(dataset_uuid: str) -> list[dict[str, Any]]:
    """Return the layers in which Superset shows events: a line each, and a band for long ones.

    They have one name, for which infra/local/superset/events.py gives the rows, and no source, so
    that Superset itself asks nobody for them. The name is empty, as pages write it before titles.
    """
    layer = {
        **{"name": "", "sourceType": "", "value": dataset_uuid, "overrides": {}},
        **{"show": True, "showMarkers": False, "color": EVENT_COLOUR},
    }
    return [
        {**layer, "annotationType": "INTERVAL", "opacity": "opacityLow", "showLabel": False},
        {
            **layer,
            **{"annotationType": "EVENT", "opacity": "", "showLabel": True},
            **{"style": "dashed", "width": 1},
        },
    ]


def is_of_events(layer: dict[str, Any]) -> bool:
    """Return whether an annotation layer is one of `event_layers`, whichever its dataset."""
    return layer.get("sourceType") == "" and layer.get("annotationType") in ("EVENT", "INTERVAL")


def explore_defaults(viz_type: str) -> dict[str, Any]:
    """Return what Superset's Explore page puts into the form data of a type on its own."""
    known = _explore_defaults()
    return {**known["common"], **known["types"].get(viz_type, {})}


@cache
def _explore_defaults() -> dict[str, Any]:
    return read_yaml(CODE_DIR / "explore_defaults.yml")


def adhoc_filter(column: str, condition: Condition) -> dict[str, Any]:
    """Return a condition on a column as Superset's form data has it."""
    found: dict[str, Any] = {"operator": "IS NOT NULL", "operatorId": "IS_NOT_NULL"}
    if isinstance(condition, TimeRange):
        found = {"operator": "TEMPORAL_RANGE", "comparator": condition.time_range}
    elif isinstance(condition, tuple):
        found = {"operator": "IN", "operatorId": "IN", "comparator": list(condition)}
    elif isinstance(condition, bool):
        word = "TRUE" if condition else "FALSE"
        found = {"operator": f"IS {word}", "operatorId": f"IS_{word}"}
    elif condition is not None:
        found = {"operator": "==", "operatorId": "EQUALS", "comparator": condition}
    return {"expressionType": "SIMPLE", "clause": "WHERE", "subject": column, **found}


def dashboard_config(
    dashboard: Dashboard,
    first_values: dict[str, str | int],
    guests: Sequence[layout.Guest] = (),
) -> dict[str, Any]:
    """Return a dashboard; `guests` are people's charts on it, which stay at its foot."""
    return {
        "dashboard_title": dashboard.title,
        "description": dashboard.description or None,
        "slug": dashboard.slug,
        "css": layout.css(dashboard),
        "published": True,
        "certified_by": CERTIFIED_BY,
        "certification_details": _details(dashboard),
        "is_managed_externally": True,
        "position": layout.positions(dashboard, guests),
        "metadata": layout.metadata(dashboard, first_values),
        "uuid": dashboard.uuid,
        "version": VERSION,
    }


def guests_of(dashboard: Dashboard, code: Code, state: State) -> list[layout.Guest]:
    """Return the charts that people added to a dashboard of the code, by title."""
    current = state.dashboard.get(dashboard.uuid)
    ours = {chart.uuid for chart in code.charts}
    ours |= {uuid for uuid, chart in state.chart.items() if chart.place}
    found = current.members - ours if current else frozenset()
    guests = [layout.Guest(uuid, state.title_of_chart(uuid)) for uuid in found]
    return sorted(guests, key=lambda guest: (guest.title, guest.uuid))
