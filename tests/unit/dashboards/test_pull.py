"""What the pull writes, from what Superset exports, without a server."""

import copy

import pytest
import yaml

from dashboards.bundle import explore_defaults, form_data
from dashboards.check import CheckFailed, check
from dashboards.code import CODE_DIR, Chart, load_code, place_uuid, read_yaml
from dashboards.compare import differences
from dashboards.decompile import chart_content, clean, slug_of, split_filters, unique
from dashboards.pull import pulled_changes
from dashboards.puller import Puller
from dashboards.relations import DBT_DIR
from dashboards.state import Asset
from dashboards.yamlfile import render

PERSONS = "11111111-2222-4333-8444-555555555555"
BOARD = "11111111-2222-4333-8444-666666666666"
DEFAULTS = CODE_DIR / "explore_defaults.yml"
FIRST = {"city_overview": {"City": "Loomfield (simulated)", "District": "Whole city"}}
NO_FILTER = {
    "expressionType": "SIMPLE",
    "clause": "WHERE",
    "subject": "month",
    "operator": "TEMPORAL_RANGE",
    "comparator": "No filter",
}


@pytest.fixture
def state(code, compiled, imported):
    """What Superset has after a push, unlocked for editing."""
    return imported(compiled(code), locked=False)


@pytest.fixture
def pulled(code, relations):
    """Function that pulls everything, or adds objects; returns files, offers and problems."""

    def pull(state, *add, dashboard=None):
        loaded = load_code(code)
        puller = Puller(loaded, state, relations, FIRST)
        for name in add:
            puller.add(name, dashboard)
        if not add:
            for item in loaded.dashboards:
                puller.pull_dashboard(item)
            for dataset in loaded.datasets.values():
                puller.pull_dataset(dataset)
        return puller

    return pull


def diff(puller, code):
    """The lines that a pull takes away and adds, by file."""
    return {
        change.path.relative_to(code).as_posix(): [
            line for line in change.diff(code).splitlines()[2:] if line[0] in "+-"
        ]
        for change in puller.changes()
    }


def chart(state, name):
    return state.chart[place_uuid(f"city_overview/charts/{name}")]


def board(state):
    return state.dashboard[place_uuid("city_overview")]


def text_of(item):
    """The text of a heading in a layout, if it is one."""
    return (item.get("meta") or {}).get("text") if isinstance(item, dict) else None


def persons_chart(state, **changes):
    """A chart as Explore saves it: every control's value, and keys of the page."""
    dataset = state.dataset[place_uuid("datasets/area_kpi_month")]
    config = {
        "slice_name": "Requests by area: Straße & Platz",
        "description": None,
        "viz_type": "pie",
        "params": {
            **explore_defaults("pie"),
            "viz_type": "pie",
            "datasource": "7__table",
            "slice_id": 12,
            "dashboards": [1],
            "groupby": ["area"],
            "metric": "n",
            "row_limit": 5,
            "adhoc_filters": [NO_FILTER],
        },
        "query_context": "{}",
        "dataset_uuid": dataset.uuid,
        "uuid": PERSONS,
        **changes,
    }
    row = {"id": 12, "uuid": PERSONS, "slice_name": config["slice_name"], "dashboards": []}
    state.chart[PERSONS] = Asset("chart", PERSONS, row, config)
    state.listed["chart"].append(row)
    return state.chart[PERSONS]


def with_members(state, *uuids):
    current = board(state)
    state.dashboard[current.uuid] = Asset(
        "dashboard", current.uuid, current.listed, current.config, current.members | set(uuids)
    )
    position = current.config["position"]
    for uuid in uuids:
        key = f"CHART-{uuid[:6]}"
        position["ROW-N"] = {"type": "ROW", "id": "ROW-N", "children": [key], "meta": {}}
        position["GRID_ID"]["children"].append("ROW-N")
        meta = {"chartId": 12, "uuid": uuid, "width": 4, "height": 50, "sliceName": "x"}
        position[key] = {"type": "CHART", "id": key, "children": [], "meta": meta}


def test_a_pull_right_after_a_push_changes_nothing(state, pulled, code):
    puller = pulled(state)
    assert diff(puller, code) == {}
    assert (puller.offers(), puller.unsupported.problems, puller.unsupported.notes) == ([], [], [])


def test_edits_of_a_chart_are_a_small_diff_that_keeps_the_comments(state, pulled, code):
    config = chart(state, "refuse").config
    config["slice_name"] = "Rubbish"
    # Saving in Explore writes every control's value.
    config["params"] = {**explore_defaults(config["viz_type"]), **config["params"]}
    config["params"]["y_axis_format"] = ".1f"
    config["params"]["adhoc_filters"][0].update(isNew=False, filterOptionName="filter_x1")
    assert diff(pulled(state), code) == {
        "city_overview/charts/refuse.yml": [
            "-title: Refuse per 1,000 residents",
            "+title: Rubbish",
            '-  y_axis_format: ".0f"',
            '+  y_axis_format: ".1f"',
        ]
    }


def test_a_locked_chart_is_not_taken_back_to_what_was_pushed_before(
    code, compiled, imported, pulled
):
    state = imported(compiled(code))
    path = code / "city_overview/charts/refuse.yml"
    path.write_text(path.read_text().replace("Refuse per", "Household refuse per"))
    assert diff(pulled(state), code) == {}


def test_edits_of_a_dashboard(state, pulled, code):
    config = board(state).config
    config["dashboard_title"] = "The city"
    position = config["position"]
    position["CHART-longest_wait"]["meta"]["width"] = 3
    (heading,) = (key for key in position if (text_of(position[key]) == "Sources"))
    position[heading]["meta"]["text"] = "Where it comes from"
    district = config["metadata"]["native_filter_configuration"][1]
    district["defaultDataMask"]["filterState"]["value"] = ["Harbour"]
    config["metadata"]["label_colors"]["target"] = "#000000"
    config["css"] += "\n.mine { color: red; }"
    assert diff(pulled(state), code) == {
        "city_overview/dashboard.yml": [
            "-title: City overview",
            "+title: The city",
            '-  target: "#8a94a0"',
            '+  target: "#000000"',
            "-    default: Whole city",
            "+    default: Harbour",
            "+  .mine { color: red; }",
            "-      - {chart: longest_wait, width: 4}",
            "+      - {chart: longest_wait, width: 3}",
            "-  - heading: Sources",
            "+  - heading: Where it comes from",
        ]
    }


def test_a_chart_that_somebody_added_to_the_dashboard_comes_in(state, pulled, code):
    persons_chart(state)
    with_members(state, PERSONS)
    name = "requests_by_area_strasse_platz"
    found = diff(pulled(state), code)
    assert found[f"city_overview/charts/{name}.yml"] == [
        '+title: "Requests by area: Straße & Platz"',
        "+dataset: area_kpi_month",
        "+type: pie",
        "+explore_defaults: true",
        "+where:",
        "+  month: {time_range: No filter}",
        "+params:",
        "+  row_limit: 5",
        "+  groupby: [area]",
        "+  metric: n",
        f"+uuid: {PERSONS}",
    ]
    assert found["city_overview/dashboard.yml"] == [
        "+  - height: 50",
        "+    cells:",
        f"+      - {{chart: {name}, width: 4}}",
    ]


def test_what_was_pulled_is_pushed_as_it_was(state, pulled, code):
    made = copy.deepcopy(persons_chart(state).config["params"])
    with_members(state, PERSONS)
    for change in pulled(state).changes():
        change.path.write_text(change.after)
    (pushed,) = [c for c in load_code(code).charts if c.uuid == PERSONS]
    for key in ("viz_type", "datasource", "slice_id", "dashboards"):
        made.pop(key)
    assert {k: v for k, v in form_data(pushed).items() if k != "viz_type"} == made
    assert check(code).charts == len(list(load_code(code).charts))


@pytest.mark.parametrize("viz_type", sorted(read_yaml(DEFAULTS)["types"]))
def test_every_type_is_pushed_as_explore_saved_it(viz_type, tmp_path):
    params = {
        **explore_defaults(viz_type),
        "viz_type": viz_type,
        "datasource": "3__table",
        "metric": "n",
        "show_legend": "changed",
        "adhoc_filters": [NO_FILTER],
    }
    config = {"slice_name": "Any", "viz_type": viz_type, "params": params, "uuid": PERSONS}
    content = chart_content(config, "area_kpi_month", None, {})
    assert set(content["params"]) <= {"metric", "show_legend"}
    given = {"name": "any", "subject": "any", "path": tmp_path}
    pushed = form_data(Chart.model_validate({**content, **given}))
    assert pushed == {k: v for k, v in params.items() if k != "datasource"}


def test_a_copy_of_a_chart_of_the_code_is_not_filled_with_defaults(state, code):
    """It was never saved in Explore: what it does not name must stay unnamed."""
    ours = chart(state, "requests_by_department").config
    config = {**ours, "uuid": PERSONS, "slice_name": "Copy"}
    content = chart_content(config, "area_department_month", None, {})
    assert "explore_defaults" not in content
    # On a dashboard with events, a push adds them to the copy, too.
    assert "annotation_layers" not in content["params"]
    given = {"name": "any", "subject": "any", "path": code}
    pushed = form_data(Chart.model_validate({**content, **given}), place_uuid("datasets/event"))
    kept = {k: v for k, v in ours["params"].items() if v not in ([], None)}
    kept.pop("datasource")
    assert {k: v for k, v in pushed.items() if v != []} == kept


def test_a_type_without_known_defaults_keeps_all_that_is_set():
    params = {"viz_type": "deck_hex", "js_columns": ["a"], "zoom": 11, "empty": [], "none": None}
    config = {"slice_name": "Any", "viz_type": "deck_hex", "params": params, "uuid": PERSONS}
    assert chart_content(config, "area_kpi_month", None, {})["params"] == {
        "js_columns": ["a"],
        "zoom": 11,
    }


def test_a_persons_chart_is_offered_and_added_by_its_title(state, pulled, code):
    made = persons_chart(state)
    assert [(o.kind, o.title, o.add) for o in pulled(state).offers()] == [
        ("chart", made.title, "12")
    ]
    puller = pulled(state, made.title)
    assert set(diff(puller, code)) == {
        "city_overview/charts/requests_by_area_strasse_platz.yml",
        "city_overview/dashboard.yml",
    }
    assert puller.offers() == []


def test_a_filter_whose_column_the_chart_does_not_have_leaves_it_alone(state, pulled, code):
    dataset = state.dataset[place_uuid("datasets/service_status")]
    persons_chart(
        state,
        dataset_uuid=dataset.uuid,
        viz_type="table",
        params={"query_mode": "raw", "all_columns": ["title"]},
    )
    for change in pulled(state, "12").changes():
        change.path.write_text(change.after)
    filters = {f.name: f for f in load_code(code).dashboards[0].filters}
    name = "requests_by_area_strasse_platz"
    assert name in filters["District"].not_on
    assert name not in filters["City"].not_on
    check(code)


def test_a_filter_is_kept_from_charts_of_its_own_page_only(state, relations):
    """The pages "Department" and "All measures" have a chart `measures` each, of two relations."""
    puller = Puller(load_code(CODE_DIR), state, relations, FIRST)
    reaches = {"type": "select", "column": "department_name"}
    assert not puller._cannot_follow("department", "measures", reaches)
    assert puller._cannot_follow("all_measures", "measures", reaches)


def test_a_persons_metric_that_a_chart_uses_comes_with_it(state, pulled, code):
    dataset = state.dataset[place_uuid("datasets/area_kpi_month")]
    mine = {"metric_name": "highest", "expression": "MAX(value)", "verbose_name": "Highest"}
    dataset.config["metrics"].append(mine)
    made = persons_chart(state)
    made.config["params"]["metric"] = "highest"
    assert ("metric", "area_kpi_month.highest") in [
        (offer.kind, offer.add) for offer in pulled(state).offers()
    ]
    assert diff(pulled(state, "12"), code)["datasets/area_kpi_month.yml"] == [
        "+  highest: {sql: MAX(value), label: Highest}"
    ]


def test_annotation_layers_that_superset_would_not_import_are_left_out(state, pulled, code):
    made = persons_chart(state)
    formula = {"name": "Goal", "annotationType": "FORMULA", "value": "5"}
    event = {"name": "Storms", "annotationType": "EVENT", "value": 3}
    made.config["params"]["annotation_layers"] = [formula, event]
    puller = pulled(state, "12")
    assert puller.unsupported.notes == [
        f"{made.title}: annotation layers other than formulas are left out"
    ]
    (content,) = [c for path, c in puller.files.items() if path.parent.name == "charts"]
    assert content["params"]["annotation_layers"] == [formula]


def test_events_are_the_pushs_and_no_edit_of_a_timeline(state, pulled, code):
    ours = chart(state, "refuse").config["params"]
    assert [layer["annotationType"] for layer in ours["annotation_layers"]] == ["INTERVAL", "EVENT"]
    chart(state, "refuse").listed["is_managed_externally"] = False
    puller = pulled(state)
    assert puller.unsupported.notes == []
    assert diff(puller, code) == {}
    # What somebody added beside them is taken.
    formula = {"name": "Goal", "annotationType": "FORMULA", "value": "5"}
    ours["annotation_layers"].append(formula)
    (content,) = [content for path, content in pulled(state).files.items() if path.stem == "refuse"]
    assert content["params"]["annotation_layers"] == [formula]


def test_the_metric_that_superset_makes_itself_is_not_offered(state, pulled):
    dataset = state.dataset[place_uuid("datasets/area_kpi_month")]
    assert "count" in {m["metric_name"] for m in dataset.config["metrics"]}
    assert pulled(state).offers() == []


def test_labels_and_metrics_changed_on_a_dataset(state, pulled, code):
    config = state.dataset[place_uuid("datasets/area_kpi_month")].config
    for column in config["columns"]:
        if column["column_name"] == "area":
            column.update(verbose_name="Quarter", description="Mine")
        if column["column_name"] == "value":
            column.update(verbose_name="")
    for metric in config["metrics"]:
        if metric["metric_name"] == "refuse":
            metric.update(d3format=",d")
    refuse = "{pick: value, indicator: refuse_tons_per_1000, label: Refuse"
    assert diff(pulled(state), code) == {
        "datasets/area_kpi_month.yml": [
            "-  area: {label: District}",
            "+  area: {label: Quarter, description: Mine}",
            "-  value: {label: Value}",
            f'-  refuse: {refuse}, format: ".1f"}}',
            f'+  refuse: {refuse}, format: ",d"}}',
        ]
    }


def test_column_comments_that_superset_synced_are_no_edit(state, compiled, pulled, code):
    config = state.dataset[place_uuid("datasets/area_kpi_month")].config
    wrapped = {
        column["column_name"]: column["description"].replace(" ", "\n", 1) + "\n"
        for column in config["columns"]
        if column["description"]
    }
    assert wrapped
    for column in config["columns"]:
        column["description"] = wrapped.get(column["column_name"])
    assert diff(pulled(state), code) == {}
    (desired,) = [d for d in compiled(code, state) if d.place == "datasets/area_kpi_month"]
    assert differences(desired, state.dataset[desired.uuid], state) == []


def test_a_dataset_with_a_date_names_its_time_column():
    """Superset's "sync columns" takes the first date for a dataset that has none."""
    dated = set()
    for path in (DBT_DIR / "models").rglob("*.yml"):
        for model in read_yaml(path).get("models") or []:
            types = [str(column.get("data_type")) for column in model.get("columns") or []]
            if any(kind.startswith(("date", "timestamp")) for kind in types):
                dated.add(model["name"])
    datasets = [d for d in load_code(CODE_DIR).datasets.values() if d.table_name in dated]
    assert len(datasets) > 5
    assert [d.name for d in datasets if d.time_column is None] == []


def test_a_persons_dashboard_comes_in_whole(state, pulled, code):
    persons_chart(state)
    config = {
        "dashboard_title": "Mayor's morning",
        "slug": None,
        "css": ".dashboard-chart-id-12 { border: 0; }",
        "position": {
            "ROOT_ID": {"type": "ROOT", "children": ["GRID_ID"]},
            "GRID_ID": {"type": "GRID", "children": ["HEADER-a", "ROW-b"]},
            "HEADER-a": {
                "type": "HEADER",
                "meta": {"text": "Today", "headerSize": "SMALL_HEADER"},
            },
            "ROW-b": {"type": "ROW", "children": ["CHART-c", "MARKDOWN-d"], "meta": {}},
            "CHART-c": {
                "type": "CHART",
                "id": "CHART-c",
                "meta": {"chartId": 12, "uuid": PERSONS, "width": 8, "height": 60},
            },
            "MARKDOWN-d": {
                "type": "MARKDOWN",
                "meta": {"code": "# Note\nby hand", "width": 4, "height": 30},
            },
        },
        "metadata": {
            "native_filter_configuration": [
                {
                    "id": "NATIVE_FILTER-x",
                    "type": "NATIVE_FILTER",
                    "name": "When",
                    "filterType": "filter_time",
                    "targets": [{}],
                    "scope": {"rootPath": ["ROOT_ID"], "excluded": []},
                    "defaultDataMask": {"filterState": {"value": "Last year"}},
                    "controlValues": {"enableEmptyFilter": False},
                }
            ],
            "color_scheme": "lyftColors",
        },
        "uuid": BOARD,
    }
    row = {"id": 5, "uuid": BOARD, "slug": None, "dashboard_title": config["dashboard_title"]}
    state.dashboard[BOARD] = Asset("dashboard", BOARD, row, config, frozenset({PERSONS}))
    found = {
        change.path.relative_to(code).as_posix(): change.after
        for change in pulled(state, "Mayor's morning").changes()
    }
    assert "mayor_s_morning/charts/requests_by_area_strasse_platz.yml" in found
    assert found["mayor_s_morning/dashboard.yml"] == (
        'title: "Mayor\'s morning"\n'
        "slug: mayor-s-morning\n"
        "color_scheme: lyftColors\n"
        "show_descriptions: false\n"
        "filters:\n"
        "  - {name: When, type: time_range, default: Last year}\n"
        "rows:\n"
        "  - {heading: Today, size: small}\n"
        "  - height: 60\n"
        "    cells:\n"
        "      - {chart: requests_by_area_strasse_platz, width: 8}\n"
        "      - text: |\n"
        "          # Note\n"
        "          by hand\n"
        "        width: 4\n"
        "        height: 30\n"
        "css: |\n"
        "  chart(requests_by_area_strasse_platz) { border: 0; }\n"
        f"uuid: {BOARD}\n"
    )


def test_a_chart_that_left_the_layout_leaves_the_code(state, pulled, code):
    position = board(state).config["position"]
    row = position["CHART-sentiment_by_channel"]["parents"][-1]
    position[row]["children"].remove("CHART-sentiment_by_channel")
    del position["CHART-sentiment_by_channel"]
    (change, *_) = changes = pulled(state).changes()
    assert (change.path.name, change.action) == ("sentiment_by_channel.yml", "removed")
    for change in changes:
        if change.after is None:
            change.path.unlink()
        else:
            change.path.write_text(change.after)
    assert "sentiment_by_channel" not in load_code(code).dashboards[0].charts


def into_tabs(code):
    """Let the dashboard of the code have tabs, and two charts on top of each other."""
    path = code / "city_overview/dashboard.yml"
    content = yaml.safe_load(path.read_text())
    rows = content.pop("rows")
    cells = [row.get("cells", []) for row in rows]
    (number,) = [i for i, row in enumerate(cells) if {"chart": "worst_topics", "width": 6} in row]
    rows[number] = {
        "height": 80,
        "cells": [
            {"chart": "sentiment_shares", "width": 6},
            {"width": 6, "stack": [{"chart": "worst_topics"}, {"text": "Below", "height": 20}]},
        ],
    }
    content["tabs"] = [{"title": "Now", "rows": rows[:3]}, {"title": "More", "rows": rows[3:]}]
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def test_tabs_and_stacks_come_back_as_they_were(code, compiled, imported, pulled):
    into_tabs(code)
    state = imported(compiled(code), locked=False)
    position = board(state).config["position"]
    assert position["ROOT_ID"]["children"] == ["TABS-1"]
    assert position["CHART-worst_topics"]["parents"][:3] == ["ROOT_ID", "TABS-1", "TAB-2"]
    assert diff(pulled(state), code) == {}


def test_an_edit_in_a_tab(code, compiled, imported, pulled):
    into_tabs(code)
    state = imported(compiled(code), locked=False)
    position = board(state).config["position"]
    position["TAB-2"]["meta"]["text"] = "Details"
    position["CHART-worst_topics"]["meta"]["height"] = 60
    path = code / "city_overview/dashboard.yml"
    expected = yaml.safe_load(path.read_text())
    expected["tabs"][1]["title"] = "Details"
    cells = [cell for row in expected["tabs"][1]["rows"] for cell in row.get("cells", [])]
    (stack,) = [cell["stack"] for cell in cells if "stack" in cell]
    stack[0]["height"] = 60
    (change,) = pulled(state).changes()
    assert yaml.safe_load(change.after) == expected


def test_a_filter_of_one_tab_leaves_the_charts_of_the_others_alone(
    code, compiled, imported, pulled
):
    into_tabs(code)
    state = imported(compiled(code), locked=False)
    filters = board(state).config["metadata"]["native_filter_configuration"]
    filters[1]["scope"]["rootPath"] = ["TAB-2"]
    (change,) = pulled(state).changes()
    change.path.write_text(change.after)
    (dashboard,) = load_code(code).dashboards
    district = dashboard.filters[1]
    first_tab = [name for row in dashboard.tabs[0].rows for c in row.cells for name in c.charts]
    assert set(first_tab) <= set(district.not_on)
    assert "refuse" not in district.not_on


def test_tabs_inside_a_row_are_refused_with_the_remedy(state, pulled):
    position = board(state).config["position"]
    position["TABS-1"] = {"type": "TABS", "id": "TABS-1", "children": []}
    position["ROW-1"]["children"].append("TABS-1")
    (problem,) = pulled(state).unsupported.problems
    assert "has a tabs inside a row" in problem and "side by side" in problem


def test_a_dataset_that_is_a_query_is_refused_with_the_remedy(state, pulled):
    made = persons_chart(state)
    dataset = state.dataset[made.config["dataset_uuid"]]
    dataset.listed["sql"] = "select 1"
    (problem, *_) = pulled(state, "12").unsupported.problems
    assert "is not a relation of marts or reporting" in problem
    assert "Swap dataset" in problem


def test_a_relation_that_dbt_does_not_document_is_refused(state, pulled, code):
    made = persons_chart(state)
    row = {
        "id": 70,
        "uuid": BOARD,
        "schema": "marts",
        "table_name": "fct_by_hand",
        "sql": None,
        "database": {"uuid": place_uuid("warehouse")},
        "extra": None,
    }
    state.dataset[BOARD] = Asset("dataset", BOARD, row, {"columns": [], "metrics": []})
    made.config["dataset_uuid"] = BOARD
    for change in pulled(state, "12").changes():
        change.path.write_text(change.after)
    with pytest.raises(CheckFailed, match=r"dbt documents no marts.fct_by_hand"):
        check(code)


def test_a_name_that_nothing_has_is_answered_with_what_there_is(state, pulled):
    persons_chart(state)
    (problem,) = pulled(state, "Requets").unsupported.problems
    assert problem == "nothing that people made in Superset is called 'Requets'; there is: '12'"


def test_an_edit_is_seen_by_the_push(state, code, relations):
    loaded = load_code(code)
    (dashboard,) = loaded.dashboards
    assert pulled_changes(loaded, state, relations, FIRST, dashboard) == []
    chart(state, "refuse").config["slice_name"] = "Rubbish"
    (path,) = pulled_changes(loaded, state, relations, FIRST, dashboard)
    assert path.name == "refuse.yml"


def test_filters_that_where_can_express_and_others():
    custom = {"expressionType": "SQL", "clause": "WHERE", "sqlExpression": "n > 3", "isNew": True}
    several = {"expressionType": "SIMPLE", "clause": "WHERE", "subject": "n", "operator": ">"}
    where, rest = split_filters(
        [
            {**NO_FILTER, "comparator": "Last year"},
            {**NO_FILTER, "subject": "area", "operator": "IN", "comparator": ["a", "b"]},
            {**NO_FILTER, "subject": "is_late", "operator": "IS TRUE", "comparator": None},
            {**NO_FILTER, "subject": "target", "operator": "IS NOT NULL"},
            {**NO_FILTER, "subject": "year", "operator": "==", "comparator": 2026},
            {**several, "comparator": 5, "filterOptionName": "filter_abc"},
            custom,
        ]
    )
    assert where == {
        "month": {"time_range": "Last year"},
        "area": ["a", "b"],
        "is_late": True,
        "target": None,
        "year": 2026,
    }
    assert rest == [
        dict(sorted({**several, "comparator": 5}.items())),
        {"clause": "WHERE", "expressionType": "SQL", "sqlExpression": "n > 3"},
    ]


def test_a_metric_of_a_chart_alone_loses_ids_and_option_names():
    found = clean(
        {
            "expressionType": "SIMPLE",
            "column": {"id": 71, "column_name": "n", "type": "BIGINT", "uuid": "x"},
            "aggregate": "SUM",
            "sqlExpression": None,
            "hasCustomLabel": False,
            "label": "SUM(n)",
            "optionName": "metric_zs9",
        }
    )
    assert found == {
        "aggregate": "SUM",
        "column": {"column_name": "n"},
        "expressionType": "SIMPLE",
        "label": "SUM(n)",
    }


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Calls by hour", "calls_by_hour"),
        ("Öffentlicher Raum & Straßen", "offentlicher_raum_strassen"),
        ("311: calls", "chart_311_calls"),
        ("Κλήσεις", "chart"),
        ("x" * 80, "x" * 50),
    ],
)
def test_names_of_files(title, name):
    assert slug_of(title, "chart") == name


def test_a_name_that_is_taken_gets_a_number():
    assert unique("calls", {"calls", "calls_2"}) == "calls_3"


@pytest.mark.parametrize(
    "path", [p for p in sorted(CODE_DIR.rglob("*.yml")) if p.stem != "explore_defaults"], ids=str
)
def test_a_file_that_does_not_differ_is_written_as_it_was(path):
    text = path.read_text()
    assert render(yaml.safe_load(text), text) == text


def test_a_changed_file_keeps_comments_order_and_style():
    before = (
        "# Why this is here.\n"
        'b: "x"  # beside\n'
        "a:\n"
        "  # What it means.\n"
        "  - {c: 1, d: 2}\n"
        "  - {c: 3, d: 4}\n"
    )
    after = render({"b": "x", "a": [{"c": 1, "d": 5}, {"c": 3, "d": 4}], "e": [1, 2]}, before)
    assert after == before.replace("d: 2", "d: 5") + "e: [1, 2]\n"
