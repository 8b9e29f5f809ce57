"""From an exported chart or dashboard to the content of its YAML: pure functions of `pull`."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dashboards import layout
from dashboards.bundle import explore_defaults, is_of_events
from dashboards.check import METRIC_KEYS
from dashboards.code import (
    Cell,
    Chart,
    Condition,
    Dashboard,
    Dataset,
    Filter,
    Row,
    TimeRange,
    parse_uuid,
)
from dashboards.compare import DERIVED_PARAMS, EMPTY, as_json
from dashboards.state import placed

#: Keys that Superset's pages add to metrics and filters of a chart for themselves.
ADHOC_NOISE = (
    "optionName",
    "filterOptionName",
    "isExtra",
    "isNew",
    "datasourceWarning",
    "operatorId",
)
GENERATED_CSS = re.compile(rf"\n?{re.escape(layout.BEGIN)}.*?{re.escape(layout.END)}", re.DOTALL)
SIZES = {name: size for size, name in layout.HEADINGS.items()}
BARS = {name: bar for bar, name in layout.FILTER_BARS.items()}
TYPES = {name: kind for kind, name in layout.FILTER_TYPES.items()}


def slug_of(title: str, otherwise: str) -> str:
    """Return the name of a file for a title: small letters, digits and underscores."""
    ascii_title = unicodedata.normalize("NFKD", title.replace("ß", "ss")).encode("ascii", "ignore")
    name = re.sub(r"[^a-z0-9]+", "_", ascii_title.decode().lower()).strip("_")[:50].strip("_")
    return name if re.match(r"[a-z]", name) else f"{otherwise}_{name}".strip("_")


def unique(name: str, taken: Iterable[str]) -> str:
    """Return the name, or with the first number from 2 that is free."""
    used = set(taken)
    return next(
        candidate
        for number in range(1, len(used) + 3)
        if (candidate := name if number == 1 else f"{name}_{number}") not in used
    )


def chart_content(
    config: dict[str, Any], dataset: str, known: Chart | None, written: dict[str, Any]
) -> dict[str, Any]:
    """Return a chart's YAML: `written` with what differs, or all that is not a default.

    `config` is the exported chart; `known` and `written` are the file as it is, if there is one.
    """
    params = config.get("params") or {}
    where, filters = split_filters(params.get("adhoc_filters") or [])
    cleaned = {
        key: clean(value)
        for key, value in params.items()
        if key not in (*DERIVED_PARAMS, "adhoc_filters")
    }
    if filters:
        cleaned["adhoc_filters"] = filters
    if cleaned.get("annotation_layers"):
        cleaned["annotation_layers"] = portable_layers(params)
    found: dict[str, Any] = {
        "title": config["slice_name"],
        "description": config.get("description") or "",
        "dataset": dataset,
        "type": config["viz_type"],
        "where": where,
    }
    defaults = explore_defaults(config["viz_type"])
    if known is None:
        # A chart that a program made, or a copy of one of the code, may lack what Explore writes:
        # it must not be filled in.
        is_filled_in = len(defaults.keys() & params.keys()) > len(defaults) / 2
        defaults = defaults if is_filled_in else {}
        own = {k: v for k, v in cleaned.items() if not _is_default(k, v, defaults)}
        content = {**found, "explore_defaults": is_filled_in or None, "params": own}
        content["uuid"] = config["uuid"]
        order = ("title", "description", "dataset", "type", "explore_defaults", "where", "params")
        return {k: content[k] for k in (*order, "uuid") if content[k] not in EMPTY}
    content = dict(written)
    current = {
        "title": known.title,
        "description": known.description,
        "dataset": known.dataset,
        "type": known.type,
        "where": where_content(known.where),
    }
    for key, value in found.items():
        if key == "description" and value.split() == known.full_description.split():
            continue
        if as_json(current[key]) != as_json(value):
            content[key] = value
    content["params"] = _merged_params(known, cleaned, defaults)
    return {
        k: v
        for k, v in content.items()
        if v not in EMPTY or (k in written and k not in ("where", "params", "description"))
    }


def _merged_params(
    known: Chart, current: dict[str, Any], defaults: dict[str, Any]
) -> dict[str, Any]:
    """Return the file's params with what differs in Superset."""
    params = dict(known.params)
    for key, value in current.items():
        if key in params:
            if as_json(clean(params[key])) != as_json(value):
                params[key] = value
        elif not _is_default(key, value, defaults):
            params[key] = value
    for key in known.params:
        if key in current or known.params[key] in EMPTY:
            continue
        if not (
            known.explore_defaults and as_json(known.params[key]) == as_json(defaults.get(key))
        ):
            del params[key]
    return params


def _is_default(key: str, value: Any, defaults: dict[str, Any]) -> bool:
    if key in defaults:
        return as_json(defaults[key]) == as_json(value)
    return value in EMPTY


def clean(value: Any) -> Any:
    """Return form data without what Superset's pages add to metrics and columns for themselves."""
    if isinstance(value, list):
        return [clean(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("expressionType") not in ("SIMPLE", "SQL"):
        return value
    kept = {k: v for k, v in value.items() if k not in ADHOC_NOISE and v not in (None, False)}
    if isinstance(kept.get("column"), dict):
        kept["column"] = {"column_name": kept["column"]["column_name"]}
    return dict(sorted(kept.items()))


def own_layers(params: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a chart's annotation layers without those of events, which the push adds."""
    return [one for one in params.get("annotation_layers") or [] if not is_of_events(one)]


def portable_layers(params: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the annotation layers that Superset's import keeps: formulas, which need no id."""
    return [one for one in own_layers(params) if one.get("annotationType") == "FORMULA"]


def split_filters(
    filters: list[dict[str, Any]],
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a chart's filters as `where`, and those that `where` cannot express."""
    where: dict[str, Any] = {}
    rest = []
    for item in filters:
        subject = item.get("subject")
        simple = item.get("expressionType") == "SIMPLE" and item.get("clause") == "WHERE"
        condition = _condition(item) if simple else None
        if isinstance(subject, str) and subject not in where and condition is not None:
            where[subject] = condition[0]
        else:
            rest.append(clean(item))
    return where, rest


def _condition(item: dict[str, Any]) -> tuple[Any] | None:
    """Return the condition of `where` for a filter, in a tuple, or None where there is none."""
    operator, value = item.get("operator"), item.get("comparator")
    if operator == "TEMPORAL_RANGE":
        return ({"time_range": value},) if isinstance(value, str) else None
    if operator == "IN" and isinstance(value, list):
        return (value,)
    if operator == "==" and isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return (value,)
    return {"IS NOT NULL": (None,), "IS TRUE": (True,), "IS FALSE": (False,)}.get(str(operator))


def where_content(where: dict[str, Condition]) -> dict[str, Any]:
    """Return `where` as the YAML has it."""
    return {
        column: condition.model_dump()
        if isinstance(condition, TimeRange)
        else list(condition)
        if isinstance(condition, tuple)
        else condition
        for column, condition in where.items()
    }


def metric_names(params: dict[str, Any]) -> set[str]:
    """Return the dataset's metrics that form data names."""
    values = [params.get(key) for key in METRIC_KEYS]
    flat = [item for value in values for item in (value if isinstance(value, list) else [value])]
    return {item for item in flat if isinstance(item, str)}


def metric_content(metric: dict[str, Any], known: Dataset | None = None) -> dict[str, Any]:
    """Return a metric in the words of the YAML, without what is not set.

    `known` is the dataset of the code that has it: SQL as its push wrote it is in the file's words.
    """
    name, found = metric["metric_name"], metric["expression"]
    how: dict[str, Any] = {"sql": found}
    description = metric.get("description") or None
    if known is not None:
        ours = known.metrics[name]
        how["indicator"] = ours.indicator
        if found == known.expression(name):
            how |= ours.model_dump(include={"sql", "pick"})
        if description == ours.full_description:
            description = ours.description
    return without_none(
        {
            **how,
            "label": metric.get("verbose_name") or None,
            "format": metric.get("d3format") or None,
            "description": description,
        }
    )


def without_none(content: dict[str, Any]) -> dict[str, Any]:
    """Return the keys that have a value."""
    return {key: value for key, value in content.items() if value is not None}


def filter_content(
    item: dict[str, Any], dataset: str | None, titles: dict[str, str], excluded: list[str]
) -> dict[str, Any]:
    """Return a dashboard's filter in the YAML's words, without what is a default."""
    controls = item.get("controlValues") or {}
    kind = TYPES[item["filterType"]]
    column = next((t["column"]["name"] for t in item["targets"] if t.get("column")), None)
    default = ((item.get("defaultDataMask") or {}).get("filterState") or {}).get("value")
    if kind == "select" and isinstance(default, list):
        default = default[0] if len(default) == 1 else default
    content = {
        "name": item["name"],
        "type": kind,
        "description": item.get("description") or "",
        "dataset": dataset,
        "column": column,
        "single": not controls.get("multiSelect", False) if kind == "select" else True,
        "required": bool(controls.get("enableEmptyFilter")),
        "default": default,
        "first": bool(controls.get("defaultToFirstItem")),
        "sorted_by": item.get("sortMetric"),
        "descending": controls.get("sortAscending") is False,
        "after": [titles[key] for key in item.get("cascadeParentIds") or [] if key in titles],
        "not_on": excluded,
    }
    fields = Filter.model_fields
    return {
        key: value
        for key, value in content.items()
        if value not in EMPTY and (fields[key].is_required() or value != fields[key].default)
    }


def settings(
    config: dict[str, Any],
    position: dict[str, Any],
    names: dict[str, str],
    known: Dashboard | None,
) -> dict[str, Any]:
    """Return colours, refresh, cross filters and CSS of a dashboard in the YAML's words."""
    found = config.get("metadata") or {}
    css = config.get("css") or ""
    return {
        "colours": found.get("label_colors") or {},
        "color_scheme": found.get("color_scheme") or "",
        "refresh_seconds": found.get("refresh_frequency") or 0,
        "cross_filters": found.get("cross_filters_enabled", True) is not False,
        "filter_bar": BARS.get(found.get("filter_bar_orientation") or "", "left"),
        "show_descriptions": layout.DESCRIPTION in css,
        "css": known.css if known and css == layout.css(known) else _own_css(css, position, names),
    }


def _own_css(css: str, position: dict[str, Any], names: dict[str, str]) -> str:
    """Return a dashboard's CSS without the generated rules, with `chart(<name>)` as selectors."""
    text = GENERATED_CSS.sub("", css).strip()
    for item in placed(position):
        name = names.get(parse_uuid(item["meta"]["uuid"])) if "uuid" in item["meta"] else None
        if name:
            anchor = f".dashboard-component-chart-holder:has(> #{item['id']})"
            text = text.replace(anchor, f"chart({name})")
            pattern = rf"\.dashboard-chart-id-{item['meta']['chartId']}\b"
            text = re.sub(pattern, f"chart({name})", text)
    return f"{text}\n" if text else ""


def row_parts(row: Row) -> list[str]:
    """Return a row as the layout has it, as text: its heading, then its cells."""
    parts = [_heading(row.heading, row.size)] if row.heading else []
    if row.cells:
        parts.append(_row([_code_cell(cell, row.height) for cell in row.cells]))
    return [as_json(part) for part in parts]


def _code_cell(cell: Cell, row_height: int) -> dict[str, Any]:
    if cell.stack:
        return {
            "stack": [item.model_dump(exclude_none=True) for item in cell.stack],
            "width": cell.width,
        }
    found = cell.model_dump(exclude_none=True, exclude={"stack"})
    return {**found, "height": cell.height or row_height}


@dataclass
class Unsupported:
    """What the YAML cannot express: `problems` refuse the object, `notes` name what is left out."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def layout_rows(
    title: str,
    position: dict[str, Any],
    names: dict[str, str],
    unsupported: Unsupported,
    parent: str = "GRID_ID",
) -> list[dict[str, Any]]:
    """Return the rows of a layout, with the charts that `names` maps from UUID to file's name.

    `title` is the dashboard's, for what is added to `unsupported`; `parent` is the id of a tab.
    """
    grid = [position[key] for key in (position.get(parent) or {}).get("children", [])]
    rows = [_layout_row(title, item, position, names, unsupported) for item in grid]
    return [row for row in rows if row]


def charts_in(rows: list[dict[str, Any]]) -> set[str]:
    """Return the names of the charts in rows of the YAML."""
    cells = [cell for row in rows for cell in row.get("cells", [])]
    items = [item for cell in cells for item in (cell, *cell.get("stack", []))]
    return {item["chart"] for item in items if "chart" in item}


def layout_tabs(position: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the tabs of a layout that is all tabs: their titles and ids in the layout."""
    root = [position[key] for key in (position.get("ROOT_ID") or {}).get("children", [])]
    tabs = [position[key] for item in root if item["type"] == "TABS" for key in item["children"]]
    return [((tab.get("meta") or {}).get("text") or "Tab", tab["id"]) for tab in tabs]


def _layout_row(
    title: str,
    item: dict[str, Any],
    position: dict[str, Any],
    names: dict[str, str],
    unsupported: Unsupported,
) -> dict[str, Any]:
    meta = item.get("meta") or {}
    if item["type"] == "HEADER":
        return _heading(meta.get("text") or " ", SIZES.get(meta.get("headerSize", ""), "medium"))
    children = [position[key] for key in item["children"]] if item["type"] == "ROW" else [item]
    cells = [_layout_cell(title, child, position, names, unsupported) for child in children]
    return _row([cell for cell in cells if cell])


def _layout_cell(
    title: str,
    item: dict[str, Any],
    position: dict[str, Any],
    names: dict[str, str],
    unsupported: Unsupported,
) -> dict[str, Any]:
    meta = item.get("meta") or {}
    size = {"width": int(meta.get("width", 12)), "height": int(meta.get("height", 50))}
    if item["type"] == "CHART":
        name = names.get(parse_uuid(meta["uuid"])) if "uuid" in meta else None
        return {"chart": name, **size} if name else {}
    if item["type"] == "MARKDOWN":
        return {"text": meta.get("code") or " ", **size}
    if item["type"] == "DIVIDER":
        unsupported.notes.append(f"{title}: a divider is left out")
        return {}
    if item["type"] == "COLUMN":
        children = [position[key] for key in item["children"]]
        cells = [_layout_cell(title, child, position, names, unsupported) for child in children]
        stack = [{k: v for k, v in cell.items() if k != "width"} for cell in cells if cell]
        return {"stack": stack, "width": size["width"]} if stack else {}
    unsupported.problems.append(
        f"dashboard {title!r}: has a {item['type'].lower()} inside a row or a column, which the "
        "YAML cannot express; put its charts side by side in rows, and pull again"
    )
    return {}


def _heading(text: str, size: str) -> dict[str, Any]:
    return {"heading": text} if size == "medium" else {"heading": text, "size": size}


def _row(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """Return cells as a row: the height that most have is the row's; nothing without cells."""
    if not cells:
        return {}
    default = Row.model_fields["height"].default
    heights = Counter(cell["height"] for cell in cells if "height" in cell) or {default: 1}
    height = max(heights, key=lambda value: heights[value])
    shorter = [
        {key: value for key, value in cell.items() if (key, value) != ("height", height)}
        for cell in cells
    ]
    row: dict[str, Any] = {"cells": shorter}
    return row if height == default else {"height": height, **row}


def merged_rows(
    found: list[dict[str, Any]], known: Sequence[Row], written: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the rows of a layout; those that the file has already, as it has them (`written`)."""
    parts = [row_parts(row) for row in known]
    plain = {cell.chart for row in known if row.plain for cell in row.cells if cell.chart}
    rows: list[dict[str, Any]] = []
    index = 0
    while index < len(found):
        for number, part in enumerate(parts):
            if part and [as_json(row) for row in found[index : index + len(part)]] == part:
                rows.append(written[number])
                index += len(part)
                parts[number] = []
                break
        else:
            row = found[index]
            if plain & {cell.get("chart") for cell in row.get("cells", [])}:
                row = {**row, "plain": True}
            rows.append(row)
            index += 1
    return rows
