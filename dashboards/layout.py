"""From rows and filters in YAML to what Superset keeps of a dashboard: positions and metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid5

from dashboards.code import NAMESPACE, Dashboard, Filter, Row

#: Superset's heading sizes.
HEADINGS = {"small": "SMALL_HEADER", "medium": "MEDIUM_HEADER", "large": "LARGE_HEADER"}


#: Superset's words where a chart has nothing to draw: a title, and this line below it.
EMPTY = ".ant-empty-description"
#: A chart's description under its title, which Superset would cut off after two lines.
DESCRIPTION = (
    ".header-title { display: block !important; overflow: visible !important; }\n"
    ".header-title::after { display: block; padding-left: 4px; color: #5f6b7a; "
    "font-size: 12px; font-weight: 400; line-height: 1.35; white-space: normal; }"
)


def positions(dashboard: Dashboard, chart_ids: dict[str, int]) -> dict[str, Any]:
    """Return the layout; `chart_ids` maps the charts' names to their ids in Superset."""
    tree: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "GRID_ID": {"type": "GRID", "id": "GRID_ID", "children": [], "parents": ["ROOT_ID"]},
        "HEADER_ID": {"type": "HEADER", "id": "HEADER_ID", "meta": {"text": dashboard.title}},
    }
    for number, row in enumerate(dashboard.rows, 1):
        if row.heading:
            _add(
                tree,
                f"HEADER-{number}",
                "HEADER",
                ["ROOT_ID", "GRID_ID"],
                {
                    "text": row.heading,
                    "headerSize": HEADINGS[row.size],
                    "background": "BACKGROUND_TRANSPARENT",
                },
            )
        if row.cells:
            _add_row(tree, dashboard, row, number, chart_ids)
    return tree


def _add_row(
    tree: dict[str, Any], dashboard: Dashboard, row: Row, number: int, chart_ids: dict[str, int]
) -> None:
    row_id = f"ROW-{number}"
    _add(tree, row_id, "ROW", ["ROOT_ID", "GRID_ID"], {"background": "BACKGROUND_TRANSPARENT"})
    above = ["ROOT_ID", "GRID_ID", row_id]
    for place, cell in enumerate(row.cells, 1):
        size = {"width": cell.width, "height": row.height}
        if cell.chart:
            chart = dashboard.charts[cell.chart]
            meta = {
                "chartId": chart_ids[cell.chart],
                "uuid": chart.uuid,
                "sliceName": chart.title,
                **size,
            }
            _add(tree, f"CHART-{cell.chart}", "CHART", above, meta)
        else:
            meta = {"code": cell.text, **size}
            _add(tree, f"MARKDOWN-{number}-{place}", "MARKDOWN", above, meta)


def _add(
    tree: dict[str, Any], key: str, kind: str, parents: list[str], meta: dict[str, Any]
) -> None:
    tree[key] = {"type": kind, "id": key, "children": [], "parents": parents, "meta": meta}
    tree[parents[-1]]["children"].append(key)


def metadata(
    dashboard: Dashboard,
    chart_ids: dict[str, int],
    dataset_ids: dict[str, int],
    first_values: Mapping[str, str | int] | None = None,
) -> dict[str, Any]:
    """Return the dashboard's settings: filters, cross filters and colours.

    `first_values` has the value that a filter with `first` starts with, by the filter's name.
    """
    known = first_values or {}
    everywhere = sorted(chart_ids[name] for name in dashboard.placed)
    return {
        "native_filter_configuration": [
            _native_filter(
                dashboard,
                item,
                chart_ids,
                dataset_ids,
                known.get(item.name) if item.first else item.default,
            )
            for item in dashboard.filters
        ],
        "chart_configuration": {},
        "global_chart_configuration": {
            "scope": {"rootPath": ["ROOT_ID"], "excluded": []},
            "chartsInScope": everywhere,
        },
        "cross_filters_enabled": True,
        "label_colors": dashboard.colours,
        "color_scheme": "",
        "refresh_frequency": 0,
        "expanded_slices": {},
        "timed_refresh_immune_slices": [],
    }


def filter_id(dashboard: Dashboard, name: str) -> str:
    """Return a filter's id, the same at every push."""
    return f"NATIVE_FILTER-{uuid5(NAMESPACE, f'{dashboard.subject}/filters/{name}').hex[:21]}"


def _native_filter(
    dashboard: Dashboard,
    item: Filter,
    chart_ids: dict[str, int],
    dataset_ids: dict[str, int],
    default: str | int | None,
) -> dict[str, Any]:
    # Superset's own "first value" hides the page until the browser has asked for the values, and
    # under load now and then for ever: it is for a filter that has no value yet.
    ask = item.first and default is None
    excluded = sorted(chart_ids[name] for name in item.not_on if name in chart_ids)
    reached = [name for name in dashboard.placed if name not in item.not_on]
    mask: dict[str, Any] = {"extraFormData": {}, "filterState": {}, "ownState": {}}
    if default is not None:
        mask["extraFormData"] = {"filters": [{"col": item.column, "op": "IN", "val": [default]}]}
        mask["filterState"] = {"value": [default], "label": str(default)}
    return {
        "id": filter_id(dashboard, item.name),
        "name": item.name,
        "type": "NATIVE_FILTER",
        "filterType": "filter_select",
        "targets": [{"datasetId": dataset_ids[item.dataset], "column": {"name": item.column}}],
        "scope": {"rootPath": ["ROOT_ID"], "excluded": excluded},
        "chartsInScope": sorted(chart_ids[name] for name in reached),
        "tabsInScope": [],
        "cascadeParentIds": [filter_id(dashboard, name) for name in item.after],
        "defaultDataMask": mask,
        "controlValues": {
            "enableEmptyFilter": item.required,
            "defaultToFirstItem": ask,
            "multiSelect": not item.single,
            "searchAllOptions": False,
            "inverseSelection": False,
            "sortAscending": not item.descending,
        },
        # Without it the first value is chosen and not applied.
        "requiredFirst": ask,
        "description": item.description,
    }


def css(dashboard: Dashboard, chart_ids: dict[str, int]) -> str:
    """Return the dashboard's CSS, with `chart(<name>)` as the selector of that chart.

    Rules that show each chart's description under its title are added: Superset 6.1 means to
    ("show chart description"), but its page asks for a key that its API does not send.
    """

    def selector(found: re.Match[str]) -> str:
        # A chart that the layout has lost takes its rules with it: they match nothing.
        return _selector(chart_ids.get(found[1], 0))

    rules = [re.sub(r"chart\(([a-z0-9_]+)\)", selector, dashboard.css).strip(), DESCRIPTION]
    for row in dashboard.rows:
        for cell in row.cells:
            if cell.chart and not row.plain:
                text = _quoted(dashboard.charts[cell.chart].description)
                title = f"{_selector(chart_ids[cell.chart])} .header-title::after"
                rules.append(f"{title} {{ content: {text}; }}")
            if cell.chart and (empty := dashboard.charts[cell.chart].empty):
                chart = _selector(chart_ids[cell.chart])
                said = f"content: {_quoted(empty)}; font-size: 13px;"
                rules.append(f"{chart} p:has(+ {EMPTY}) {{ display: none; }}")
                rules.append(f"{chart} {EMPTY} {{ font-size: 0; }}")
                rules.append(f"{chart} {EMPTY}::after {{ {said} }}")
    return "\n".join(rules)


def _selector(chart_id: int) -> str:
    return f".dashboard-chart-id-{chart_id}"


def _quoted(text: str) -> str:
    """Return a text as a CSS string; `<` would end the style element that holds it."""
    line = " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + line.replace("<", "\\3c ") + '"'
