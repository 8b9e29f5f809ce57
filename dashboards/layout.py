"""From rows and filters in YAML to a dashboard's position, metadata and CSS in Superset's bundle.

Nothing here needs an id of Superset's: charts and datasets are named by UUID, which the import
turns into ids, and CSS selects a chart by the id of its place in the layout.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid5

from dashboards.code import NAMESPACE, Cell, Chart, Dashboard, Dataset, Filter, Row, Stacked

#: Superset's heading sizes.
HEADINGS = {"small": "SMALL_HEADER", "medium": "MEDIUM_HEADER", "large": "LARGE_HEADER"}
FILTER_TYPES = {
    "select": "filter_select",
    "time_range": "filter_time",
    "number_range": "filter_range",
}
FILTER_BARS = {"left": "VERTICAL", "top": "HORIZONTAL"}
GRID = ["ROOT_ID", "GRID_ID"]
TRANSPARENT = {"background": "BACKGROUND_TRANSPARENT"}

#: What stands around the rules that are made of the code: a pull takes what is outside of them.
BEGIN = "/* Made from the code: a change here is lost. */"
END = "/* Rules of your own, from here on. */"

#: What holds a chart in the page.
HOLDER = ".dashboard-component-chart-holder"
#: Superset's words where a chart has nothing to draw: a title, and this line below it.
EMPTY = ".ant-empty-description"
#: A chart's description under its title, which Superset would cut off after two lines.
DESCRIPTION = (
    ".header-title { display: block !important; overflow: visible !important; }\n"
    ".header-title::after { display: block; padding-left: 4px; color: #5f6b7a; "
    "font-size: 12px; font-weight: 400; line-height: 1.35; white-space: normal; }"
)

#: Headings close to what they head, titles of one line, a dash for what is not known, and words
#: without a picture where there is nothing to draw.
CARDS = """\
.dashboard-component-header { padding: 4px 0 0; font-size: 20px; font-weight: 600; }
.dashboard-component-chart-holder { border-radius: 8px; }
.header-title { font-size: 15px; font-weight: 600; }
.dt-is-null { font-size: 0; }
.dt-is-null::after { content: "–"; font-size: 12px; }
.ant-empty { display: none; }"""

#: What the other charts say where the filters leave several cities.
ONE_CITY = (
    "body:has(#CHART-{chart} ~ * tbody tr:nth-child(2)) "
    '.dashboard-component-chart-holder:has(> [id^="CHART-"]):not(:has(> #CHART-{chart}))::after '
    '{{ content: "Choose one city under City, then press Apply."; position: absolute; '
    "inset: 40px 0 0; z-index: 5; display: flex; align-items: center; justify-content: center; "
    "text-align: center; padding: 8px; background: #fff; color: #5f6b7a; font-size: 13px; "
    "border-radius: 8px; }}"
)

#: A row that has nothing to show is as low as its texts.
LOW = """\
.grid-row:has(.ant-empty):not(:has(table, canvas, .loading, .dashboard-markdown)) \
:is(.resizable-container, .chart-slice, .dashboard-component-chart-holder), \
.grid-row:has(.ant-empty):not(:has(table, canvas, .loading, .dashboard-markdown)) \
{ height: auto !important; min-height: 0 !important; }
.grid-row:has(.ant-empty):not(:has(table, canvas, .loading, .dashboard-markdown)) \
:is(.dashboard-chart, .chart-container, .slice_container) { height: 56px !important; }"""

#: A row of tables is as tall as they are: no blank space below them, and none scrolls in its card.
TALL = """\
.grid-row:has({anchors}):has(table) {{ height: auto !important; align-items: stretch; }}
.grid-row:has({anchors}):has(table) :is(.chart-slice, .dashboard-chart, .chart-container, \
.slice_container, .superset-chart-table, .superset-chart-table div:has(table)) \
{{ height: auto !important; min-height: 0 !important; }}
.grid-row:has({anchors}):has(table) :is(.resizable-container, \
.dashboard-component-chart-holder) {{ height: 100% !important; min-height: 0 !important; }}"""

#: On a phone, a row of three charts becomes three rows, and what is wider scrolls in its card.
#: Superset gives charts their width from the grid's: three times the screen, less the gaps. A line
#: of a table becomes a list of its cells, each with its label (`_phone_labels`); its head, which
#: Superset measures before it shows a table, is only out of sight.
PHONE = """\
@media (max-width: 700px) {
  body { overflow-x: hidden; }
  .dashboard, .dashboard-content { max-width: 100vw; overflow-x: clip; }
  .grid-container { width: 1056px; min-width: 1056px; }
  .grid-row { flex-wrap: wrap !important; width: calc(100vw - 32px) !important; row-gap: 12px; }
  .grid-row, .grid-row > div { height: auto !important; min-width: 0 !important; }
  .grid-row > div, .grid-row .resizable-container { max-width: 100% !important; }
  .dashboard-component-chart-holder { max-width: 100%; overflow-x: auto; }
  .dashboard-chart:not(:has(table)) { overflow-x: auto !important; }
  .dashboard-component-header { max-width: calc(100vw - 32px); }
  .header-title::after { max-width: calc(100vw - 96px); }
  .ant-empty-description { position: absolute; left: 0; top: 8px; width: min(100%, 100vw - 64px); }
  .dashboard-markdown .resizable-container { height: auto !important; }
  .dashboard-markdown .dashboard-component-chart-holder > * { max-width: calc(100vw - 64px); }
  :is(.resizable-container, .dashboard-component-chart-holder, .chart-slice, .dashboard-chart, \
.chart-container, .slice_container):has(table) \
{ height: auto !important; min-height: 0 !important; }
  .superset-chart-table, .superset-chart-table div:has(table) { width: auto !important; \
max-width: calc(100vw - 64px) !important; height: auto !important; overflow: visible !important; }
  .superset-chart-table :is(colgroup, .cell-bar) { display: none; }
  .superset-chart-table thead { position: absolute; left: 0; top: 0; clip-path: inset(100%); }
  .superset-chart-table :is(table, tbody, tr) { display: block; width: 100% !important; }
  .superset-chart-table tr { padding: 6px 0; border-bottom: 1px solid #d9dee4; }
  .superset-chart-table td { display: flex !important; justify-content: space-between; gap: 12px; \
box-sizing: border-box; width: 100% !important; border: 0 !important; padding: 2px 4px !important; \
text-align: right !important; white-space: normal !important; }
  .superset-chart-table td:first-child { font-weight: 600; text-align: left !important; }
  .superset-chart-table td::before { flex: 0 0 auto; max-width: 45%; text-align: left; \
color: #5f6b7a; font-size: 12px; }
  #main-menu .ant-menu, #main-menu .ant-row > .ant-col:not(:first-child) { display: none; }
}"""


@dataclass(frozen=True)
class Guest:
    """A person's chart that somebody added to a dashboard of the code: it stays, at the foot."""

    uuid: str
    title: str


def positions(dashboard: Dashboard, guests: Sequence[Guest] = ()) -> dict[str, Any]:
    """Return the layout: rows of the code, then a row for every three guests."""
    tree: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "GRID_ID": {"type": "GRID", "id": "GRID_ID", "children": [], "parents": ["ROOT_ID"]},
        "HEADER_ID": {"type": "HEADER", "id": "HEADER_ID", "meta": {"text": dashboard.title}},
    }
    numbers = chart_numbers(dashboard)
    parents = GRID
    for index, tab in enumerate(dashboard.tabs, 1):
        if index == 1:
            tree["ROOT_ID"]["children"] = []
            _add(tree, "TABS-1", "TABS", ["ROOT_ID"], {})
        parents = ["ROOT_ID", "TABS-1", f"TAB-{index}"]
        meta = {"text": tab.title, "defaultText": "Tab title", "placeholder": "Tab title"}
        _add(tree, parents[-1], "TAB", parents[:-1], meta)
    for number, (tab_number, row) in enumerate(_rows(dashboard), 1):
        parents = ["ROOT_ID", "TABS-1", f"TAB-{tab_number}"] if tab_number else GRID
        if row.heading:
            heading = {"text": row.heading, "headerSize": HEADINGS[row.size], **TRANSPARENT}
            _add(tree, f"HEADER-{number}", "HEADER", parents, heading)
        if row.cells:
            _add(tree, f"ROW-{number}", "ROW", parents, TRANSPARENT)
            _add_cells(tree, dashboard, row, [*parents, f"ROW-{number}"], numbers)
    for index, guest in enumerate(guests):
        row_id = f"ROW-GUESTS-{index // 3 + 1}"
        if row_id not in tree:
            _add(tree, row_id, "ROW", parents, TRANSPARENT)
        meta = _chart_meta(guest.uuid, guest.title, len(numbers) + index + 1, 4, 50)
        _add(tree, f"CHART-{guest.uuid}", "CHART", [*parents, row_id], meta)
    return tree


def _rows(dashboard: Dashboard) -> Iterator[tuple[int, Row]]:
    """Yield each row with the number of its tab, 0 without tabs."""
    yield from ((0, row) for row in dashboard.rows)
    for number, tab in enumerate(dashboard.tabs, 1):
        yield from ((number, row) for row in tab.rows)


def chart_numbers(dashboard: Dashboard) -> dict[str, int]:
    """Return the ids that stand for the charts in a bundle: Superset's import replaces them."""
    return {name: number for number, name in enumerate(dashboard.placed, 1)}


def _add_cells(
    tree: dict[str, Any],
    dashboard: Dashboard,
    row: Row,
    parents: list[str],
    numbers: dict[str, int],
) -> None:
    row_number = parents[-1].removeprefix("ROW-")

    def add(item: Cell | Stacked, width: int, height: int, parents: list[str], place: str) -> None:
        if item.chart:
            chart = dashboard.charts[item.chart]
            meta = _chart_meta(chart.uuid, chart.title, numbers[item.chart], width, height)
            _add(tree, f"CHART-{item.chart}", "CHART", parents, meta)
        else:
            meta = {"code": item.text, "width": width, "height": height}
            _add(tree, f"MARKDOWN-{place}", "MARKDOWN", parents, meta)

    for index, cell in enumerate(row.cells, 1):
        place = f"{row_number}-{index}"
        if not cell.stack:
            add(cell, cell.width, cell.height or row.height, parents, place)
            continue
        _add(tree, f"COLUMN-{place}", "COLUMN", parents, {"width": cell.width, **TRANSPARENT})
        above = [*parents, f"COLUMN-{place}"]
        for number, item in enumerate(cell.stack, 1):
            add(item, cell.width, item.height, above, f"{place}-{number}")


def _chart_meta(uuid: str, title: str, number: int, width: int, height: int) -> dict[str, Any]:
    return {"chartId": number, "uuid": uuid, "sliceName": title, "width": width, "height": height}


def _add(
    tree: dict[str, Any], key: str, kind: str, parents: list[str], meta: dict[str, Any]
) -> None:
    item = {"type": kind, "id": key, "children": [], "parents": list(parents), "meta": dict(meta)}
    tree[key] = item
    tree[parents[-1]]["children"].append(key)


def metadata(
    dashboard: Dashboard, first_values: Mapping[str, str | int] | None = None
) -> dict[str, Any]:
    """Return the dashboard's settings: filters, cross filters and colours.

    `first_values` has the value that a filter with `first` starts with, by the filter's name.
    """
    first = first_values or {}
    return {
        "native_filter_configuration": [
            _native_filter(dashboard, item, first.get(item.name)) for item in dashboard.filters
        ],
        "chart_configuration": {},
        "global_chart_configuration": {"scope": {"rootPath": ["ROOT_ID"], "excluded": []}},
        "cross_filters_enabled": dashboard.cross_filters,
        "filter_bar_orientation": FILTER_BARS[dashboard.filter_bar],
        "label_colors": dashboard.colours,
        "color_scheme": dashboard.color_scheme,
        "refresh_frequency": dashboard.refresh_seconds,
        "expanded_slices": {},
        "timed_refresh_immune_slices": [],
    }


def filter_id(dashboard: Dashboard, name: str) -> str:
    """Return a filter's id, the same at every push."""
    return f"NATIVE_FILTER-{uuid5(NAMESPACE, f'{dashboard.subject}/filters/{name}').hex[:21]}"


def _native_filter(
    dashboard: Dashboard, item: Filter, first_value: str | int | None
) -> dict[str, Any]:
    numbers = chart_numbers(dashboard)
    target = {}
    if item.dataset:
        dataset = dashboard.datasets[item.dataset]
        target = {"datasetUuid": dataset.uuid, "column": {"name": item.column}}
    default = first_value if item.first and item.default is None else item.default
    # Superset's own "first value" hides the page until the browser has asked for the values, and
    # under load now and then for ever: it is for a filter that has no value yet.
    ask = item.first and default is None
    # In the browser, a filter goes back to its first value when the one that it has is gone.
    goes_back = item.first and bool(item.after)
    order = {"sortMetric": item.sorted_by} if item.sorted_by else {}
    return {
        **order,
        "id": filter_id(dashboard, item.name),
        "name": item.name,
        "type": "NATIVE_FILTER",
        "filterType": FILTER_TYPES[item.type],
        "targets": [target],
        "scope": {
            "rootPath": ["ROOT_ID"],
            "excluded": sorted(numbers[name] for name in item.not_on if name in numbers),
        },
        "tabsInScope": [],
        "cascadeParentIds": [filter_id(dashboard, name) for name in item.after],
        "defaultDataMask": _data_mask(item, default),
        "controlValues": _control_values(item, first_item=ask or goes_back),
        # Without it the first value is chosen and not applied.
        "requiredFirst": ask,
        "description": item.description,
    }


def _control_values(item: Filter, *, first_item: bool) -> dict[str, Any]:
    if item.type != "select":
        return {"enableEmptyFilter": item.required}
    return {
        "enableEmptyFilter": item.required,
        "defaultToFirstItem": first_item,
        "multiSelect": not item.single,
        "searchAllOptions": False,
        # Only values that exist: a typed one would empty the page.
        "creatable": False,
        "inverseSelection": False,
        "sortAscending": not item.descending,
    }


def _data_mask(item: Filter, default: Any) -> dict[str, Any]:
    """Return the value that a filter starts with, as the page applies it."""
    mask: dict[str, Any] = {"extraFormData": {}, "filterState": {}, "ownState": {}}
    if default is None:
        return mask
    if item.type == "time_range":
        mask["extraFormData"] = {"time_range": default}
        mask["filterState"] = {"value": default}
        return mask
    values = list(default) if isinstance(default, (list, tuple)) else [default]
    if item.type == "number_range":
        low, high = (*values, None)[:2]
        limits = [(">=", low), ("<=", high)]
        mask["extraFormData"] = {
            "filters": [
                {"col": item.column, "op": op, "val": val} for op, val in limits if val is not None
            ]
        }
        mask["filterState"] = {"value": [low, high], "label": f"{low} ≤ x ≤ {high}"}
        return mask
    mask["extraFormData"] = {"filters": [{"col": item.column, "op": "IN", "val": values}]}
    mask["filterState"] = {"value": values, "label": ", ".join(map(str, values))}
    return mask


def css(dashboard: Dashboard) -> str:
    """Return the dashboard's CSS, with `chart(<name>)` as the selector of that chart.

    Rules for phones are added, and those that show each chart's description under its title:
    Superset 6.1 has a setting for it ("show chart description"), but its page asks for a key that
    its API does not send.
    """
    own = re.sub(r"chart\(([a-z0-9_]+)\)", lambda found: selector(found[1]), dashboard.css)
    return "\n".join([own.strip(), BEGIN, *generated_rules(dashboard), END]).strip()


def generated_rules(dashboard: Dashboard) -> list[str]:
    """Return the rules of all cards, for phones, and of the keys that CSS has to bring about."""
    rules = [*CARDS.splitlines(), *LOW.splitlines(), *PHONE.splitlines()]
    if dashboard.one_city:
        rules.append(ONE_CITY.format(chart=dashboard.one_city))
    if dashboard.show_descriptions:
        rules += DESCRIPTION.splitlines()
    if dashboard.empty:
        rules += _empty_rules(HOLDER, dashboard.empty)
    for row in dashboard.all_rows:
        charts = [dashboard.charts[name] for cell in row.cells for name in cell.charts]
        if charts and all(chart.type == "table" for chart in charts):
            anchors = ", ".join(f"#CHART-{chart.name}" for chart in charts)
            rules += TALL.format(anchors=anchors).splitlines()
        for chart in charts:
            place = selector(chart.name)
            text = "" if row.plain else chart.text
            note = not_reached(dashboard, chart.name)
            if dashboard.show_descriptions and (text or note):
                words = _quoted(" ".join(filter(None, [text, note])))
                rules.append(f"{place} .header-title::after {{ content: {words}; }}")
            rules += _phone_labels(chart, dashboard.datasets[chart.dataset])
            if chart.empty:
                rules += _empty_rules(place, chart.empty)
    return rules


def _phone_labels(chart: Chart, dataset: Dataset) -> Iterator[str]:
    """Yield the rules that write a table's labels before its cells on a phone, but the first."""
    if chart.type != "table":
        return
    params = chart.params
    raw = params.get("query_mode") == "raw"
    keys = ["all_columns"] if raw else ["groupby", "metrics"]
    names = [name for key in keys for name in params.get(key) or () if isinstance(name, str)]
    config = params.get("column_config") or {}
    shown = [name for name in names if config.get(name, {}).get("visible") is not False]
    for place, name in enumerate(shown[1:], 2):
        known = dataset.columns.get(name) or dataset.metrics.get(name)
        label = _quoted((known and known.label) or name)
        cell = f"{selector(chart.name)} td:nth-child({place})::before"
        yield f"@media (max-width: 700px) {{ {cell} {{ content: {label}; }} }}"


def not_reached(dashboard: Dashboard, chart: str) -> str:
    """Return a sentence that names the filters which do not reach a chart; empty where all do.

    A filter that reaches one chart alone is that chart's: the others need not say so.
    """
    if chart == dashboard.one_city:
        return ""
    # What a name has in brackets is how the filter is used.
    names = [
        item.name.partition(" (")[0]
        for item in dashboard.filters
        if chart in item.not_on and len(set(dashboard.placed) - set(item.not_on)) > 1
    ]
    return f"Not filtered by {' or '.join(names)}." if names else ""


def _empty_rules(place: str, text: str) -> list[str]:
    """Return the rules that put a text where Superset says that there are no results."""
    return [
        f"{place} p:has(+ {EMPTY}) {{ display: none; }}",
        f"{place} {EMPTY} {{ font-size: 0; }}",
        f"{place} {EMPTY}::after {{ content: {_quoted(text)}; font-size: 13px; }}",
    ]


def selector(chart: str) -> str:
    """Return the CSS selector of a chart: the holder of the anchor that has its layout id."""
    return f"{HOLDER}:has(> #CHART-{chart})"


def _quoted(text: str) -> str:
    """Return a text as a CSS string; `<` would end the style element that holds it."""
    line = " ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + line.replace("<", "\\3c ") + '"'
