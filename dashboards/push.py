"""The push: make what Superset holds agree with what the code says.

Superset's own import merges where it should replace (a changed chart is skipped, a removed one
stays). So every object is read back, compared with the code key by key, and changed over REST
where it differs. What the push made carries its place in the code as a certification; of these,
what has gone from the code is removed. An object that a person made is never touched.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from dashboards import layout
from dashboards.code import (
    CODE_DIR,
    Chart,
    Condition,
    Dashboard,
    Dataset,
    Filter,
    Part,
    load_dashboards,
    parse_uuid,
    place_uuid,
)
from dashboards.relations import DBT_DIR, Relation, documented
from dashboards.superset import Superset, SupersetError

CERTIFIED_BY = "Cityloom"
MARK = "Kept as code in dashboards/"
DATABASE = "Cityloom warehouse"

Action = Literal["created", "changed", "unchanged", "removed", "kept"]


@dataclass(frozen=True)
class Change:
    """What became of one object: its kind, its place in the code, and what was done."""

    kind: str
    place: str
    action: Action
    detail: str = ""


@dataclass
class PushReport:
    """What a push did; `urls` maps each dashboard's title to its address."""

    changes: list[Change] = field(default_factory=list)
    urls: dict[str, str] = field(default_factory=dict)

    def count(self, action: Action) -> int:
        """Return how many objects met that action."""
        return sum(change.action == action for change in self.changes)

    @property
    def summary(self) -> str:
        """One line: `2 created, 1 changed, 20 unchanged, 0 removed`."""
        actions: tuple[Action, ...] = ("created", "changed", "unchanged", "removed")
        return ", ".join(f"{self.count(action)} {action}" for action in actions)


def push(
    superset_url: str,
    user: str,
    password: str,
    warehouse_url: str,
    folder: Path = CODE_DIR,
    *,
    dbt_dir: Path = DBT_DIR,
) -> PushReport:
    """Make Superset agree with the dashboards under `folder`; return what was done.

    `warehouse_url` is what Superset itself uses to reach the warehouse, for the read-only role
    `dashboards`. Descriptions of datasets and columns come from dbt's YAML under `dbt_dir`.
    Repeating it changes nothing. Raises `DashboardCodeError` for YAML that is wrong (before
    Superset is asked for anything) and `SupersetError` with the remedy for the rest.
    """
    dashboards = load_dashboards(folder)
    relations = documented(dbt_dir)
    report = PushReport()
    with Superset(superset_url, user, password) as superset:
        database = _push_database(superset, warehouse_url, report)
        for dashboard in dashboards:
            datasets = _push_datasets(superset, dashboard, database, relations, report)
            charts = _push_charts(superset, dashboard, datasets, report)
            pk = _push_dashboard(superset, dashboard, charts, datasets, report)
            report.urls[dashboard.title] = f"{superset.url}/superset/dashboard/{dashboard.slug}/"
            _verify_members(superset, dashboard, pk, charts)
        _remove_gone(superset, dashboards, report)
    return report


def _certification(part: Part) -> dict[str, str]:
    return {
        "certified_by": CERTIFIED_BY,
        "certification_details": f"{MARK}{part.place}",
    }


def _place_of(held: dict[str, Any]) -> str | None:
    """Return the place in the code of an object that a push made, else None.

    A person's copy of a chart keeps the certification but has a UUID of its own.
    """
    mark = held
    if "certified_by" not in held:
        try:
            mark = json.loads(held.get("extra") or "{}").get("certification") or {}
            mark = {"certified_by": mark.get("certified_by"), **_details(mark)}
        except (json.JSONDecodeError, AttributeError):
            return None
    details = mark.get("certification_details") or ""
    if mark.get("certified_by") != CERTIFIED_BY or not details.startswith(MARK):
        return None
    place = details.removeprefix(MARK)
    return place if parse_uuid(held["uuid"]) == place_uuid(place) else None


def _details(mark: dict[str, Any]) -> dict[str, Any]:
    return {"certification_details": mark.get("details")}


def _by_uuid(superset: Superset, kind: str) -> dict[str, dict[str, Any]]:
    return {parse_uuid(item["uuid"]): item for item in superset.items(kind)}


def _differences(said: dict[str, Any], held: dict[str, Any]) -> list[str]:
    """Return the keys of `said` that are not held as said; JSON text is compared as what it says.

    Superset adds keys of its own to settings: only what the code says must be there.
    """
    return [key for key, value in said.items() if not _holds(held.get(key), value)]


def _holds(held: Any, said: Any) -> bool:
    if isinstance(said, dict) and isinstance(held, str):
        try:
            held = json.loads(held)
        except json.JSONDecodeError:
            return False
    if said in (None, ""):
        return held in (None, "")
    return held == said


def _encoded(body: dict[str, Any]) -> dict[str, Any]:
    """Return a body with nested settings as the JSON text that Superset takes."""
    return {
        key: json.dumps(value, sort_keys=True) if isinstance(value, dict) else value
        for key, value in body.items()
    }


def _settle(
    superset: Superset,
    report: PushReport,
    kind: str,
    place: str,
    said: dict[str, Any],
    read: Callable[[int], dict[str, Any]],
    pk: int | None,
    create: Callable[[], int],
    change: Callable[[int], None],
) -> int:
    """Bring one object to what the code says, read it back, and note what was done."""
    created = pk is None
    if pk is None:
        pk = create()
    different = _differences(said, read(pk))
    if different:
        change(pk)
        left = _differences(said, read(pk))
        if left:
            raise SupersetError(
                f"{kind} {place}: Superset took the change but still holds another "
                f"{', '.join(left)}; its log (logs/superset.log) may say why"
            )
    action: Action = "created" if created else "changed" if different else "unchanged"
    detail = ", ".join(different) if action == "changed" else ""
    report.changes.append(Change(kind, place, action, detail))
    return pk


# Database -------------------------------------------------------------------------------------


def _push_database(superset: Superset, warehouse_url: str, report: PushReport) -> int:
    uri = _sqlalchemy_uri(warehouse_url)
    said = {
        "database_name": DATABASE,
        "expose_in_sqllab": True,
        "allow_dml": False,
        "allow_ctas": False,
        "allow_cvas": False,
        "allow_file_upload": False,
        "sqlalchemy_uri": _masked(uri),
    }
    uuid = place_uuid("warehouse")
    found = _by_uuid(superset, "database").get(uuid)

    def read(pk: int) -> dict[str, Any]:
        held = superset.get(f"/api/v1/database/{pk}/connection")["result"]
        if not superset.reads(f"/api/v1/database/{pk}/schemas/", q="(force:!t)"):
            held["sqlalchemy_uri"] = None  # the password has changed: write the address anew
        return held

    body = {**said, "sqlalchemy_uri": uri}
    pk = _settle(
        superset,
        report,
        "database",
        "warehouse",
        said,
        read,
        int(found["id"]) if found else None,
        lambda: superset.post("database", {**body, "uuid": uuid}),
        lambda pk: superset.put("database", pk, body),
    )
    return pk


def _sqlalchemy_uri(url: str) -> str:
    """Return the URL with the driver that Superset's environment has."""
    scheme, _, rest = url.partition("://")
    return f"postgresql+psycopg2://{rest}" if scheme.startswith("postgres") else url


def _masked(uri: str) -> str:
    """Return the URI as Superset tells it: the password as X's, options in order of their names."""
    parts = urlsplit(uri)
    parts = parts._replace(query=urlencode(sorted(parse_qsl(parts.query))))
    if parts.password is not None:
        address = parts.netloc.rpartition("@")[2]
        parts = parts._replace(netloc=f"{parts.username}:XXXXXXXXXX@{address}")
    return urlunsplit(parts)


# Datasets -------------------------------------------------------------------------------------


def _push_datasets(
    superset: Superset,
    dashboard: Dashboard,
    database: int,
    relations: dict[str, Relation],
    report: PushReport,
) -> dict[str, int]:
    held = _by_uuid(superset, "dataset")
    used = {chart.dataset for chart in dashboard.charts.values()}
    used |= {item.dataset for item in dashboard.filters}
    ids = {}
    for name, dataset in dashboard.datasets.items():
        if name in used:
            known = relations.get(dataset.relation)
            ids[name] = _push_dataset(superset, dataset, database, known, held, report)
    return ids


def _push_dataset(
    superset: Superset,
    dataset: Dataset,
    database: int,
    known: Relation | None,
    held: dict[str, dict[str, Any]],
    report: PushReport,
) -> int:
    columns = _warehouse_columns(superset, dataset, database)
    place = {"schema": dataset.schema_name, "table_name": dataset.table_name}
    found = held.get(dataset.uuid) or _same_relation(held.values(), database, place)
    adopted = found is not None and parse_uuid(found["uuid"]) != dataset.uuid
    said = {
        **place,
        "uuid": dataset.uuid,
        "description": known.description if known else None,
        "main_dttm_col": dataset.time_column,
        "filter_select_enabled": True,
        "is_managed_externally": True,
        "extra": {
            "certification": {
                "certified_by": CERTIFIED_BY,
                "details": f"{MARK}{dataset.place}",
            }
        },
        "columns": {name: _column(dataset, known, name, columns[name]) for name in columns},
        "metrics": _metrics(dataset),
    }

    def read(pk: int) -> dict[str, Any]:
        return _held_dataset(superset.get(f"/api/v1/dataset/{pk}")["result"], dataset)

    def change(pk: int) -> None:
        raw = superset.get(f"/api/v1/dataset/{pk}")["result"]
        if {c["column_name"] for c in raw["columns"]} != set(columns):
            superset.refresh(pk)
            raw = superset.get(f"/api/v1/dataset/{pk}")["result"]
        superset.put("dataset", pk, _dataset_body(raw, said, database, dataset))

    pk = _settle(
        superset,
        report,
        "dataset",
        dataset.place,
        said,
        read,
        int(found["id"]) if found else None,
        lambda: superset.post("dataset", {**place, "database": database, "uuid": dataset.uuid}),
        change,
    )
    if adopted:
        report.changes[-1] = Change(
            "dataset", dataset.place, "changed", "somebody's dataset on this relation became ours"
        )
    return pk


def _warehouse_columns(superset: Superset, dataset: Dataset, database: int) -> dict[str, str]:
    """Return the relation's columns and types, as Superset's own login on the warehouse sees it."""
    if dataset.table_name not in _relations(superset, database, dataset.schema_name):
        raise SupersetError(
            f"{dataset.path}: the warehouse has no relation {dataset.relation} that the role "
            "`dashboards` may read; build it first: `cityloom run CITY`, or `dbt build`"
        )
    table = superset.get(
        f"/api/v1/database/{database}/table_metadata/",
        name=dataset.table_name,
        schema=dataset.schema_name,
    )
    columns = {c["name"]: c["type"] for c in table["columns"]}
    missing = sorted(set(dataset.columns) - set(columns))
    if dataset.time_column and dataset.time_column not in columns:
        missing.append(dataset.time_column)
    if missing:
        raise SupersetError(
            f"{dataset.path}: {dataset.relation} has no column {', '.join(missing)}; "
            f"it has: {', '.join(sorted(columns))}"
        )
    return columns


def _relations(superset: Superset, database: int, schema: str) -> set[str]:
    # Asked for before a relation's columns, because for one that is missing Superset answers 500.
    query = f"(force:!t,schema_name:{schema})"
    found = superset.get(f"/api/v1/database/{database}/tables/", q=query)["result"]
    return {item["value"] for item in found}


def _same_relation(
    held: Iterable[dict[str, Any]], database: int, place: dict[str, str]
) -> dict[str, Any] | None:
    """Return the dataset on the same relation: Superset allows only one of them."""
    for item in held:
        same = all(item.get(key) == value for key, value in place.items())
        if same and item["database"]["id"] == database:
            return item
    return None


def _column(dataset: Dataset, known: Relation | None, name: str, kind: str) -> dict[str, Any]:
    said = dataset.columns.get(name)
    documented = known.columns.get(name) if known else None
    return {
        "verbose_name": said.label if said else None,
        "description": (said.description if said else None) or documented,
        "filterable": said.filter if said else True,
        "groupby": True,
        "is_dttm": kind.upper().startswith(("DATE", "TIMESTAMP")),
    }


def _metrics(dataset: Dataset) -> dict[str, Any]:
    return {
        name: {
            "expression": metric.sql,
            "verbose_name": metric.label,
            "d3format": metric.format,
            "description": metric.description,
        }
        for name, metric in dataset.metrics.items()
    }


def _metric_uuid(dataset: Dataset, name: str) -> str:
    return place_uuid(f"{dataset.place}/{name}")


def _held_dataset(raw: dict[str, Any], dataset: Dataset) -> dict[str, Any]:
    """Return a dataset of Superset in the shape of what the code says."""
    column_keys = ("verbose_name", "description", "filterable", "groupby", "is_dttm")
    metric_keys = ("expression", "verbose_name", "d3format", "description")
    return {
        **raw,
        "uuid": parse_uuid(raw["uuid"]),
        "columns": {
            c["column_name"]: {key: c.get(key) or _blank(key) for key in column_keys}
            for c in raw["columns"]
        },
        "metrics": {
            m["metric_name"]: {key: m.get(key) or None for key in metric_keys}
            for m in raw["metrics"]
            if not _of_a_person(m, dataset)
        },
    }


def _blank(key: str) -> Any:
    return False if key in ("filterable", "groupby", "is_dttm") else None


def _of_a_person(metric: dict[str, Any], dataset: Dataset) -> bool:
    """Tell whether a metric was added by hand: neither ours by name, nor once made by a push."""
    if metric["metric_name"] in dataset.metrics:
        return False
    return parse_uuid(metric["uuid"]) != _metric_uuid(dataset, metric["metric_name"])


def _dataset_body(
    raw: dict[str, Any], said: dict[str, Any], database: int, dataset: Dataset
) -> dict[str, Any]:
    """Return the whole of a dataset as a change takes it, ids of columns and metrics included."""
    column_ids = {c["column_name"]: c["id"] for c in raw["columns"]}
    metric_ids = {m["metric_name"]: m["id"] for m in raw["metrics"]}
    columns = [
        {"column_name": name, "id": column_ids[name], **wanted}
        for name, wanted in said["columns"].items()
    ]
    metrics = [
        {
            "metric_name": name,
            "uuid": _metric_uuid(dataset, name),
            **({"id": metric_ids[name]} if name in metric_ids else {}),
            **wanted,
        }
        for name, wanted in said["metrics"].items()
    ]
    kept = ("id", "metric_name", "expression", "verbose_name", "d3format", "description", "uuid")
    metrics += [{key: m[key] for key in kept} for m in raw["metrics"] if _of_a_person(m, dataset)]
    body = _encoded({k: v for k, v in said.items() if k not in ("columns", "metrics")})
    return {**body, "database_id": database, "columns": columns, "metrics": metrics}


# Charts ---------------------------------------------------------------------------------------


def _push_charts(
    superset: Superset, dashboard: Dashboard, datasets: dict[str, int], report: PushReport
) -> dict[str, int]:
    held = _by_uuid(superset, "chart")
    ids = {}
    for name, chart in dashboard.charts.items():
        found = held.get(chart.uuid)
        ids[name] = _push_chart(superset, chart, datasets[chart.dataset], found, report)
    return ids


def _push_chart(
    superset: Superset,
    chart: Chart,
    dataset: int,
    found: dict[str, Any] | None,
    report: PushReport,
) -> int:
    said = {
        "slice_name": chart.title,
        "description": chart.description,
        "viz_type": chart.type,
        "datasource_id": dataset,
        "datasource_type": "table",
        "params": form_data(chart, dataset),
        "is_managed_externally": True,
        **_certification(chart),
    }
    body = _encoded(said)
    unread = [found]

    def read(pk: int) -> dict[str, Any]:
        # The list that found it has all that is compared; only a change needs a second look.
        item = unread.pop() if unread else None
        if item is None:
            query = f"(filters:!((col:id,opr:eq,value:{pk})))"
            item = superset.get("/api/v1/chart/", q=query)["result"][0]
        return item

    return _settle(
        superset,
        report,
        "chart",
        chart.place,
        said,
        read,
        int(found["id"]) if found else None,
        lambda: superset.post("chart", {**body, "uuid": chart.uuid}),
        lambda pk: superset.put("chart", pk, body),
    )


def form_data(chart: Chart, dataset: int) -> dict[str, Any]:
    """Return a chart's form data: its own, and `where` as Superset's filters."""
    return {
        **chart.params,
        "viz_type": chart.type,
        "datasource": f"{dataset}__table",
        "adhoc_filters": [_adhoc_filter(column, said) for column, said in chart.where.items()],
    }


def _adhoc_filter(column: str, said: Condition) -> dict[str, Any]:
    condition: dict[str, Any] = {"operator": "IS NOT NULL", "operatorId": "IS_NOT_NULL"}
    if isinstance(said, tuple):
        condition = {"operator": "IN", "operatorId": "IN", "comparator": list(said)}
    elif isinstance(said, bool):
        word = "TRUE" if said else "FALSE"
        condition = {"operator": f"IS {word}", "operatorId": f"IS_{word}"}
    elif said is not None:
        condition = {"operator": "==", "operatorId": "EQUALS", "comparator": said}
    return {"expressionType": "SIMPLE", "clause": "WHERE", "subject": column, **condition}


# Dashboards -----------------------------------------------------------------------------------


def _push_dashboard(
    superset: Superset,
    dashboard: Dashboard,
    charts: dict[str, int],
    datasets: dict[str, int],
    report: PushReport,
) -> int:
    held = {parse_uuid(d["uuid"]): d for d in superset.items("dashboard")}
    found = held.get(dashboard.uuid)
    for other in held.values():
        if other.get("slug") == dashboard.slug and other is not found:
            raise SupersetError(
                f"{dashboard.path}: slug: {dashboard.slug!r} is the address of "
                f"{other['dashboard_title']!r}, which somebody made in Superset; choose another, "
                "or change theirs"
            )
    positions = layout.positions(dashboard, charts)
    firsts = {
        item.name: value
        for item in dashboard.filters
        if item.first and (value := _first_value(superset, item, datasets)) is not None
    }
    metadata = layout.metadata(dashboard, charts, datasets, firsts)
    said = {
        "dashboard_title": dashboard.title,
        "slug": dashboard.slug,
        "css": layout.css(dashboard, charts),
        "published": True,
        "is_managed_externally": True,
        "position_json": positions,
        "members": sorted(charts.values()),
        **{f"json_metadata.{key}": value for key, value in metadata.items()},
        **_certification(dashboard),
    }
    plain = {k: v for k, v in said.items() if "." not in k and k not in ("members",)}

    def read(pk: int) -> dict[str, Any]:
        item = superset.get(f"/api/v1/dashboard/{pk}")["result"]
        kept = json.loads(item.get("json_metadata") or "{}")
        return {
            **item,
            "members": _members(superset, pk),
            **{f"json_metadata.{key}": kept.get(key) for key in metadata},
        }

    def change(pk: int) -> None:
        # `positions` in the metadata is what makes Superset take the membership from the layout.
        body = {
            **_encoded(plain),
            "json_metadata": json.dumps({**metadata, "positions": positions}),
        }
        superset.put("dashboard", pk, body)

    return _settle(
        superset,
        report,
        "dashboard",
        dashboard.place,
        said,
        read,
        int(found["id"]) if found else None,
        lambda: superset.post(
            "dashboard",
            {"dashboard_title": dashboard.title, "slug": dashboard.slug, "uuid": dashboard.uuid},
        ),
        change,
    )


def _first_value(superset: Superset, item: Filter, datasets: dict[str, int]) -> str | None:
    """Return the first value of a filter's column as the data has it now, None without data."""
    query = {
        "columns": [item.column],
        "metrics": [],
        "orderby": [[item.column, not item.descending]],
        "row_limit": 1,
    }
    answer = superset.ask(
        "/api/v1/chart/data",
        {
            "datasource": {"id": datasets[item.dataset], "type": "table"},
            "queries": [query],
            "force": True,
        },
    )
    rows = answer["result"][0]["data"]
    return rows[0][item.column] if rows else None


def _members(superset: Superset, pk: int) -> list[int]:
    return sorted(int(c["id"]) for c in superset.get(f"/api/v1/dashboard/{pk}/charts")["result"])


def _verify_members(
    superset: Superset, dashboard: Dashboard, pk: int, charts: dict[str, int]
) -> None:
    """Raise when a chart that was just pushed cannot be had any more (removed beside us)."""
    lost = sorted(set(charts.values()) - set(_members(superset, pk)))
    if lost:
        names = [name for name, chart_id in charts.items() if chart_id in lost]
        raise SupersetError(
            f"{dashboard.path}: Superset lost {', '.join(names)} during the push; is another push "
            "under way? Push again"
        )


# What has gone from the code --------------------------------------------------------------------


def _remove_gone(superset: Superset, dashboards: list[Dashboard], report: PushReport) -> None:
    """Remove what an earlier push made and the code has no more, users before what they use."""
    parts: list[Part] = []
    for dashboard in dashboards:
        parts += [dashboard, *dashboard.charts.values()]
        used = {c.dataset for c in dashboard.charts.values()}
        used |= {f.dataset for f in dashboard.filters}
        parts += [d for name, d in dashboard.datasets.items() if name in used]
    alive = {part.place for part in parts}
    for kind in ("dashboard", "chart", "dataset"):
        for item in superset.items(kind):
            place = _place_of(item)
            if place is None or place in alive:
                continue
            users = _charts_of(superset, int(item["id"])) if kind == "dataset" else 0
            if users:
                detail = f"{users} chart(s) that people made still use it"
                report.changes.append(Change(kind, place, "kept", detail))
                continue
            superset.delete(kind, int(item["id"]))
            report.changes.append(Change(kind, place, "removed"))


def _charts_of(superset: Superset, dataset: int) -> int:
    return int(superset.get(f"/api/v1/dataset/{dataset}/related_objects")["charts"]["count"])
