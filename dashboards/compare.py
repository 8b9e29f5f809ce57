"""Compares what the code wants with what Superset has, key by key, in the words of the YAML."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from dashboards.bundle import COLUMN_KEYS, METRIC_KEYS, Desired
from dashboards.code import parse_uuid
from dashboards.state import Asset, State, placed

#: Names of the bundle's keys, where the YAML has others.
WORDS = {
    "slice_name": "title",
    "dashboard_title": "title",
    "viz_type": "type",
    "main_dttm_col": "time_column",
    "position": "rows",
    "native_filter_configuration": "filters",
    "label_colors": "colours",
    "cross_filters_enabled": "cross_filters",
    "filter_bar_orientation": "filter_bar",
    "is_managed_externally": "lock",
    "certification_details": "certification",
    "certified_by": "certification",
    "extra": "certification",
    "sqlalchemy_uri": "address",
}
#: Form data that does not change what a chart shows, or that Superset derives.
DERIVED_PARAMS = ("datasource", "viz_type", "slice_id", "dashboards", "temporal_columns_lookup")
#: Lists that Superset's import or the push adds where a chart has none.
ADDED_EMPTY = ("annotation_layers", "adhoc_filters")
EMPTY: tuple[Any, ...] = (None, "", [], {})


def differences(desired: Desired, current: Asset, state: State) -> list[str]:
    """Return the keys of an object that Superset has otherwise than the code, each once.

    Superset adds keys of its own to settings: only what the code decides is compared.
    """
    wanted = comparable(desired.kind, desired.config, state)
    found = comparable(desired.kind, current.config, state)
    if desired.kind in ("chart", "dashboard"):
        wanted["is_managed_externally"], found["is_managed_externally"] = True, current.is_locked
    if desired.kind == "dashboard":
        # The layout names the wanted charts, a table of Superset's has the actual members.
        wanted["charts"] = {item["meta"]["uuid"] for item in placed(desired.config["position"])}
        found["charts"] = set(current.members)
    if desired.kind == "dataset":
        wanted["uuid"], found["uuid"] = desired.uuid, current.uuid
    keys = [key for key, value in wanted.items() if not _same(found.get(key), value)]
    return list(dict.fromkeys(WORDS.get(key, key) for key in keys))


def _same(current: Any, wanted: Any) -> bool:
    return bool(current == wanted or (wanted in EMPTY and current in EMPTY))


def comparable(kind: str, config: dict[str, Any], state: State) -> dict[str, Any]:
    """Return what the code decides of an exported object, without Superset's ids."""
    return {
        "database": _database,
        "dataset": _dataset,
        "chart": _chart,
        "dashboard": _dashboard,
    }[kind](config, state)


def _database(config: dict[str, Any], _: State) -> dict[str, Any]:
    keys = ("database_name", "expose_in_sqllab", "allow_dml", "allow_ctas", "allow_cvas")
    address = masked(config["sqlalchemy_uri"]) if config.get("sqlalchemy_uri") else None
    return {
        **{key: config.get(key) for key in (*keys, "allow_file_upload")},
        "sqlalchemy_uri": address,
    }


def masked(uri: str) -> str:
    """Return the URI as Superset shows it: the password as X's, options in order of their names."""
    parts = urlsplit(uri)
    parts = parts._replace(query=urlencode(sorted(parse_qsl(parts.query))))
    if parts.password is not None:
        address = parts.netloc.rpartition("@")[2]
        parts = parts._replace(netloc=f"{parts.username}:XXXXXXXXXX@{address}")
    return urlunsplit(parts)


def _dataset(config: dict[str, Any], _: State) -> dict[str, Any]:
    keys = ("schema", "table_name", "description", "main_dttm_col", "filter_select_enabled")
    return {
        **{key: config.get(key) for key in keys},
        "extra": (config.get("extra") or {}).get("certification"),
        "columns": {
            column["column_name"]: {
                **{key: column.get(key) or None for key in COLUMN_KEYS},
                "description": one_line(column.get("description")),
            }
            for column in config["columns"]
        },
        "metrics": {
            metric["metric_name"]: {
                **{key: metric.get(key) or None for key in METRIC_KEYS},
                "certification": (metric.get("extra") or {}).get("certification"),
            }
            for metric in config["metrics"]
        },
    }


def one_line(text: str | None) -> str | None:
    """Return a description without its line breaks, which Superset's "sync columns" brings in.

    It takes the comments of the database, which dbt writes as its YAML has them.
    """
    return " ".join((text or "").split()) or None


def _chart(config: dict[str, Any], state: State) -> dict[str, Any]:
    keys = ("slice_name", "description", "viz_type", "certified_by", "certification_details")
    params = config.get("params") or {}
    return {
        **{key: config.get(key) for key in keys},
        "dataset": state.relation(config.get("dataset_uuid")) or config.get("dataset_uuid"),
        "params": {
            key: value
            for key, value in params.items()
            if key not in DERIVED_PARAMS and (value or key not in ADDED_EMPTY)
        },
    }


def _dashboard(config: dict[str, Any], state: State) -> dict[str, Any]:
    keys = ("dashboard_title", "description", "slug", "css", "published")
    position = config.get("position") or {}
    settings = config.get("metadata") or {}
    charts = chart_uuids(position)
    return {
        **{key: config.get(key) for key in (*keys, "certified_by", "certification_details")},
        "position": {
            key: _without_ids(item) if isinstance(item, dict) else item
            for key, item in position.items()
        },
        **{
            key: settings.get(key)
            for key in (
                "label_colors",
                "color_scheme",
                "refresh_frequency",
                "cross_filters_enabled",
                "filter_bar_orientation",
                "chart_configuration",
                "expanded_slices",
                "timed_refresh_immune_slices",
            )
        },
        "native_filter_configuration": [
            _filter(item, charts, state)
            for item in settings.get("native_filter_configuration") or []
        ],
        "global_chart_configuration": {
            "scope": (settings.get("global_chart_configuration") or {}).get("scope")
        },
    }


def chart_uuids(position: dict[str, Any]) -> dict[int, str]:
    """Return the charts of a layout: their UUIDs by the ids that the layout has for them."""
    return {
        item["meta"]["chartId"]: parse_uuid(item["meta"]["uuid"])
        for item in placed(position)
        if "uuid" in item["meta"]
    }


def _without_ids(item: dict[str, Any]) -> dict[str, Any]:
    meta = {key: value for key, value in item.get("meta", {}).items() if key != "chartId"}
    return {**item, "meta": meta}


def _filter(item: dict[str, Any], charts: dict[int, str], state: State) -> dict[str, Any]:
    scope = item.get("scope") or {}
    excluded = sorted(charts.get(pk, str(pk)) for pk in scope.get("excluded") or [])
    targets = [
        {**target, "datasetUuid": state.relation(uuid) or uuid}
        if (uuid := target.get("datasetUuid"))
        else target
        for target in item.get("targets") or []
    ]
    kept = {k: v for k, v in item.items() if k not in ("chartsInScope", "tabsInScope")}
    return {**kept, "scope": {**scope, "excluded": excluded}, "targets": targets}


def as_json(value: Any) -> str:
    """Return a value as text that is equal for equal values."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
