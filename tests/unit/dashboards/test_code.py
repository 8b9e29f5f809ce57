import re
from pathlib import Path

import pytest
import yaml

from dashboards.bundle import event_layers, form_data
from dashboards.check import CheckFailed, check
from dashboards.code import (
    CODE_DIR,
    Dashboard,
    DashboardCodeError,
    Dataset,
    _load_parts,
    indicators,
    load_code,
    load_dashboards,
    place_uuid,
)
from dashboards.layout import (
    HOLDER,
    chart_numbers,
    css,
    metadata,
    not_reached,
    positions,
    selector,
)
from dashboards.relations import DBT_DIR


def edit(path: Path, **changes) -> None:
    content = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**content, **changes}, sort_keys=False, allow_unicode=True))


def overview() -> Dashboard:
    return next(d for d in load_dashboards() if d.name == "city_overview")


def _datasets(folder: Path) -> list[Dataset]:
    problems: list[str] = []
    found = _load_parts(Dataset, folder / "datasets", "datasets", problems)
    assert not problems
    return list(found.values())


def refused(code: Path) -> str:
    with pytest.raises(DashboardCodeError) as error:
        load_dashboards(code)
    return str(error.value)


def test_the_code_names_only_what_dbt_documents():
    checked = check()
    assert checked.dashboards >= 1
    assert checked.charts >= 8


def test_dbts_exposures_name_what_the_dashboards_read():
    content = yaml.safe_load((DBT_DIR / "models" / "exposures.yml").read_text())
    exposures = {item["name"]: item for item in content["exposures"]}
    for dashboard in load_dashboards():
        read = {f"ref('{dataset.table_name}')" for dataset in dashboard.datasets.values()}
        assert set(exposures[dashboard.name]["depends_on"]) == read
        assert exposures[dashboard.name]["label"] == dashboard.title


def test_every_chart_has_a_description_without_jargon():
    for dashboard in load_dashboards():
        for chart in dashboard.charts.values():
            assert len(chart.text.split()) >= 5, chart.path
            assert not re.search(r"\b(fct|rpt|dim|dbt|SQL|null)\b", chart.text), chart.path


def test_uuids_are_stable_and_distinct():
    # A UUID that changes would leave the old object behind on every server.
    assert place_uuid("city_overview") == "547944bc-bf69-5822-8e50-089b36925cdd"
    parts = list(load_code().parts)
    assert len({part.uuid for part in parts}) == len(parts)


def test_unknown_key_names_file_and_remedy(code: Path):
    path = code / "city_overview/charts/refuse.yml"
    edit(path, descripton="x")
    assert f"{path}: descripton: is not a known key; did you mean 'description'?" in refused(code)


def test_all_problems_are_reported_at_once(code: Path):
    (code / "city_overview/charts/refuse.yml").write_text("title: [")
    edit(code / "datasets/city_status.yml", relation="raw.demo__calls")
    problems = refused(code)
    assert "refuse.yml: line 2: is not YAML" in problems
    assert "city_status.yml: relation: must match pattern" in problems


def test_a_file_in_another_encoding(code: Path):
    path = code / "city_overview/charts/refuse.yml"
    path.write_bytes("title: Müll\n".encode("latin-1"))
    assert f"{path}: is not UTF-8 (invalid start byte at byte 8); save it so" in refused(code)


def test_chart_of_a_dataset_that_is_not_there(code: Path):
    edit(code / "city_overview/charts/refuse.yml", dataset="area_kpi_mont")
    assert "there is no datasets/area_kpi_mont.yml; did you mean 'area_kpi_month'?" in refused(code)


def test_chart_that_no_row_shows_and_row_without_chart(code: Path):
    charts = code / "city_overview/charts"
    (charts / "refuse.yml").rename(charts / "rubbish.yml")
    problems = refused(code)
    assert "rows: there is no charts/refuse.yml" in problems
    assert "rubbish.yml: no row of dashboard.yml shows it" in problems


def test_rows_wider_than_twelve(code: Path):
    path = code / "city_overview/dashboard.yml"
    content = yaml.safe_load(path.read_text())
    content["rows"][0]["cells"][0]["width"] = 11
    content["rows"][0]["cells"].append({"text": "Note", "width": 2})
    path.write_text(yaml.safe_dump(content))
    assert "add up to more than 12" in refused(code)


def test_check_finds_a_column_that_no_model_has(code: Path):
    edit(code / "city_overview/charts/refuse.yml", where={"metrik_id": "refuse_tons_per_1000"})
    with pytest.raises(CheckFailed, match=r"refuse.yml: where: .*'metrik_id'.*did you mean"):
        check(code)


def test_check_finds_a_column_in_a_metric(code: Path):
    path = code / "datasets/area_topic_year.yml"
    edit(path, metrics={"n": {"sql": "SUM(nn)", "label": "n"}})
    with pytest.raises(CheckFailed) as error:
        check(code)
    assert "metrics.n: reporting.rpt_area_topic_year has no column 'nn'" in str(error.value)
    assert "area_topic_year.yml has no metric 'net_sentiment'" in str(error.value)


def test_check_finds_a_relation_that_dbt_does_not_document(code: Path):
    path = code / "datasets/city_status.yml"
    edit(path, relation="reporting.rpt_city_statuz")
    with pytest.raises(CheckFailed, match=r"did you mean reporting.rpt_city_status\? Else add the"):
        check(code)
    edit(path, relation="marts.nothing_of_the_kind")
    with pytest.raises(CheckFailed, match=r"documents no marts.nothing_of_the_kind; add the model"):
        check(code)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("order_by_cols", ['["titel", true]']),
        ("column_config", {"titel": {"visible": False}}),
        ("conditional_formatting", [{"column": "is_stale", "columnFormatting": "titel"}]),
        ("x_axis_sort", "titel"),
        ("tooltip_contents", [{"item_type": "column", "column_name": "titel"}]),
    ],
)
def test_check_finds_what_superset_ignores_without_an_error(code: Path, key, value):
    path = code / "city_overview/charts/freshness.yml"
    edit(path, params={**yaml.safe_load(path.read_text())["params"], key: value})
    with pytest.raises(CheckFailed, match=rf"freshness.yml: params.{key}.*did you mean 'title'\?"):
        check(code)


def test_check_finds_an_order_that_superset_cannot_read(code: Path):
    path = code / "city_overview/charts/freshness.yml"
    edit(path, params={**yaml.safe_load(path.read_text())["params"], "order_by_cols": ["title"]})
    with pytest.raises(CheckFailed, match=r"order_by_cols: 'title' must read like '\[\"column\""):
        check(code)


def test_check_finds_a_filter_that_a_chart_cannot_follow(code: Path):
    path = code / "city_overview/dashboard.yml"
    content = yaml.safe_load(path.read_text())
    district = next(f for f in content["filters"] if f["name"] == "District")
    district["not_on"].remove("freshness")
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(CheckFailed, match=r"no column 'area'; .* not_on: freshness"):
        check(code)


def test_a_period_that_does_not_reach_a_chart_is_reported(code: Path):
    file = code / "city_overview/charts/refuse.yml"
    file.write_text(file.read_text().replace(", month: {time_range: No filter}", ""))
    with pytest.raises(CheckFailed, match=r"Period: does not reach refuse; .*month: \{time_range"):
        check(code)


def test_where_becomes_superset_filters():
    dashboard = overview()
    chart = dashboard.charts["longest_wait"].model_copy(
        update={"where": {"a": ("x", "y"), "b": True, "c": None, "d": 2}}
    )
    filters = form_data(chart)["adhoc_filters"]
    assert [(f["subject"], f["operator"], f.get("comparator")) for f in filters] == [
        ("a", "IN", ["x", "y"]),
        ("b", "IS TRUE", None),
        ("c", "IS NOT NULL", None),
        ("d", "==", 2),
    ]


def test_layout_places_every_chart_once_and_scopes_filters():
    dashboard = overview()
    numbers = chart_numbers(dashboard)
    tree = positions(dashboard)
    placed = [item["meta"]["chartId"] for key, item in tree.items() if key.startswith("CHART-")]
    assert sorted(placed) == sorted(numbers.values())
    for key, item in tree.items():
        if key.startswith("ROW-"):
            assert sum(tree[child]["meta"]["width"] for child in item["children"]) <= 12
    filters = {f["name"]: f for f in metadata(dashboard)["native_filter_configuration"]}
    assert list(filters) == ["City", "District", "Period"]
    # Tiles are of the newest full month, as the table beside them, whatever the timelines' period.
    period = filters["Period"]["scope"]["excluded"]
    tiles = [n for n, chart in dashboard.charts.items() if chart.type == "big_number"]
    assert len(tiles) == 6 and {numbers[name] for name in tiles} <= set(period)
    assert filters["District"]["cascadeParentIds"] == [filters["City"]["id"]]
    assert numbers["freshness"] in filters["District"]["scope"]["excluded"]
    assert numbers["refuse"] not in filters["District"]["scope"]["excluded"]
    assert filters["District"]["defaultDataMask"]["filterState"]["value"] == ["Whole city"]
    # A district that the chosen city does not have goes back to the whole city.
    assert filters["District"]["controlValues"]["defaultToFirstItem"] is True
    assert filters["District"]["requiredFirst"] is False
    assert filters["District"]["sortMetric"] == "area_order"
    assert filters["City"]["controlValues"]["defaultToFirstItem"] is True
    known = metadata(dashboard, {"City": "Loomfield"})
    city = known["native_filter_configuration"][0]
    assert city["controlValues"]["defaultToFirstItem"] is False
    assert city["defaultDataMask"]["filterState"]["value"] == ["Loomfield"]


def test_css_names_charts_by_their_place_in_the_layout():
    dashboard = overview()
    rules = css(dashboard)
    assert f"{selector('city_status')} " in rules
    assert "chart(" not in rules


def test_a_chart_has_its_own_text_where_there_is_no_data():
    dashboard = overview()
    rules = css(dashboard)
    assert dashboard.charts["net_sentiment"].empty in rules
    assert f"{selector('net_sentiment')} .ant-empty-description::after" in rules
    # One without a text of its own has the dashboard's.
    assert f"{selector('refuse')} .ant-empty" not in rules
    assert f'{HOLDER} .ant-empty-description::after {{ content: "{dashboard.empty}"' in rules


def test_a_chart_says_which_filters_do_not_reach_it():
    dashboard = overview()
    assert not_reached(dashboard, "refuse") == ""
    assert not_reached(dashboard, "district_scorecard") == "Not filtered by District or Period."
    # A tile has no description, and says that all the same; the table of cities is how to choose.
    assert "Not filtered by Period." in css(dashboard).split(selector("requests_opened"))[-1]
    assert not_reached(dashboard, "city_status") == ""


def test_only_the_chart_of_a_filter_of_its_own_speaks_of_it():
    department = next(d for d in load_dashboards() if d.slug == "department")
    cases = next(f for f in department.filters if f.column == "situation")
    assert set(department.placed) - set(cases.not_on) == {"cases"}
    assert cases.default == ("Open, overdue",)
    assert "Cases" in department.charts["cases"].description
    said = {name: not_reached(department, name) for name in department.placed}
    assert {name for name, text in said.items() if text} == {
        *{"departments", "measures", "by_service", "by_district", "sources"}
    }
    assert set(said.values()) == {"", "Not filtered by Period."}


def test_on_a_phone_each_cell_of_a_table_has_its_label():
    rules = css(overview()).splitlines()
    cell = f"{selector('district_scorecard')} td:nth-child"
    labels = [line for line in rules if cell in line]
    assert f"{cell}(2)::before {{ content: " in labels[0]
    # The first is a line's title; columns that only colour others are not shown.
    assert [line for line in labels if "(1)" in line] == []
    assert len(labels) == 8 and 'content: "Comments (n)"' in " ".join(labels)


def test_two_datasets_on_one_relation(code: Path):
    # Superset allows one dataset a relation: two files would change it at every push.
    (code / "datasets/status.yml").write_text("relation: reporting.rpt_city_status\n")
    problems = refused(code)
    assert "status.yml: relation: " in problems
    assert "city_status.yml has reporting.rpt_city_status already" in problems


def test_a_copied_file_with_the_uuid_of_another(code: Path):
    path = code / "city_overview/charts/refuse.yml"
    edit(path, uuid=place_uuid("city_overview/charts/recycling"))
    assert "recycling.yml has" in refused(code)


def test_a_pulled_part_keeps_its_uuid(code: Path):
    uuid = "8f14e45f-ceea-467f-a8ad-0b1c2d3e4f50"
    edit(code / "city_overview/charts/refuse.yml", uuid=uuid.upper())
    (dashboard,) = load_code(code).dashboards
    assert dashboard.charts["refuse"].uuid == uuid
    assert dashboard.charts["refuse"].is_pulled
    assert not dashboard.charts["recycling"].is_pulled


def test_a_filter_without_its_column(code: Path):
    path = code / "city_overview/dashboard.yml"
    content = yaml.safe_load(path.read_text())
    del content["filters"][0]["column"]
    path.write_text(yaml.safe_dump(content))
    assert "filters[0]: a select filter needs a dataset and a column" in refused(code)


def test_a_metric_picks_one_row(code: Path):
    path = code / "datasets/area_kpi_month.yml"
    edit(path, metrics={"value": {"pick": "value"}})
    dataset = next(d for d in _datasets(code) if d.name == "area_kpi_month")
    assert dataset.aggregate("value") == "CASE WHEN COUNT(*) = 1 THEN MAX(value) END"
    edit(path, metrics={"value": {"pick": "value", "sql": "MAX(value)"}})
    assert "metrics.value: a metric has either sql or pick" in refused(code)


def test_no_dataset_writes_out_what_pick_says():
    for dataset in load_code().datasets.values():
        for name, metric in dataset.metrics.items():
            assert "COUNT(*) = 1" not in (metric.sql or ""), f"{dataset.path}: {name}"


def test_a_tile_and_the_table_beside_it_are_of_one_month():
    for chart in overview().charts.values():
        if chart.type == "big_number":
            assert chart.where["newest_is_known"] is True, chart.path
            assert "newest full month" in chart.empty


def test_a_line_has_a_gap_where_a_month_or_a_quarter_is_not_known():
    lines = [
        chart
        for dashboard in load_dashboards()
        for chart in dashboard.charts.values()
        if chart.type == "echarts_timeseries_line"
    ]
    assert len(lines) > 8
    for chart in lines:
        rule = {"P1M": "MS", "P3M": "QS"}[chart.params["time_grain_sqla"]]
        gaps = chart.params.get("resample_rule"), chart.params.get("resample_method")
        assert gaps == (rule, "asfreq"), chart.path


def test_every_page_asks_for_one_city(code: Path):
    for dashboard in load_dashboards():
        assert dashboard.one_city in dashboard.charts
        assert "Choose one city" not in dashboard.css
        (rule,) = [line for line in css(dashboard).splitlines() if "Choose one city under" in line]
        assert f"#CHART-{dashboard.one_city} ~ * tbody tr:nth-child(2)" in rule
    edit(code / "city_overview/dashboard.yml", one_city="nothing")
    assert "dashboard.yml: one_city: no row shows 'nothing'" in refused(code)


def test_every_filter_that_depends_on_the_city_goes_back_or_has_several_values():
    """A district of the city before would blank the page, or show another city's of that name."""
    for dashboard in load_dashboards():
        filters = {f["name"]: f for f in metadata(dashboard)["native_filter_configuration"]}
        for item in dashboard.filters:
            if item.column in ("area", "district_name"):
                assert item.after == ("City",) and item.first, dashboard.path
                assert filters[item.name]["controlValues"]["defaultToFirstItem"] is True


def test_a_row_that_is_empty_is_low_and_one_of_tables_as_tall_as_they_are():
    rules = css(overview())
    assert ".grid-row:has(.ant-empty):not(:has(table, canvas" in rules
    assert ".grid-row:has(#CHART-measures):has(table)" in rules
    # A chart needs the height that the code gives it.
    assert ".grid-row:has(#CHART-refuse" not in rules
    assert ".grid-row:has(#CHART-sentiment_shares, #CHART-worst_topics)" not in rules


def test_what_an_indicator_means_is_written_once(compiled, code: Path):
    desired = {item.place: item.config for item in compiled(code)}
    meaning = indicators()["closed_on_time_pct"].meaning
    for chart in overview().charts.values():
        assert meaning not in chart.description
    shown = desired["city_overview/charts/closed_on_time"]["description"]
    assert shown.startswith(meaning)
    assert "Unit: %, higher is better. Definition: closed_on_time_pct, version 2, since" in shown
    metrics = {m["metric_name"]: m for m in desired["datasets/area_kpi_month"]["metrics"]}
    assert metrics["on_time"]["description"].startswith(meaning)
    # The grey line is the page's own.
    assert overview().charts["refuse"].text.endswith("0. The grey line is the target.")


def test_every_timeline_has_the_events_of_its_page_and_nothing_else_has(compiled):
    of_events = {
        item.uuid
        for item in compiled(CODE_DIR)
        if item.kind == "chart" and item.config["params"].get("annotation_layers")
    }
    timelines = {
        chart.uuid
        for chart in load_code().charts
        if "time_grain_sqla" in chart.params and not chart.type.startswith("big_number")
    }
    assert of_events == timelines
    assert len(timelines) >= 12


def test_the_same_events_are_drawn_as_lines_and_bands():
    """Superset gives a layer the rows of its name."""
    band, line = event_layers(place_uuid("datasets/event"))
    assert (band["annotationType"], line["annotationType"]) == ("INTERVAL", "EVENT")
    assert band["name"] == line["name"]
    assert band["value"] == line["value"] == place_uuid("datasets/event")
    assert line["showLabel"] and not band["showLabel"]


def test_a_page_whose_events_are_no_dataset_or_lack_a_column(code: Path):
    edit(code / "city_overview/dashboard.yml", events="evnt")
    assert "events: there is no datasets/evnt.yml; did you mean 'event'?" in refused(code)
    edit(code / "city_overview/dashboard.yml", events="city_status")
    with pytest.raises(CheckFailed, match=r"dashboard.yml: events: .*no column 'first_day'"):
        check(code)


def test_a_metric_of_an_indicator_that_is_not_declared(code: Path):
    path = code / "datasets/area_kpi_month.yml"
    path.write_text(path.read_text().replace("indicator: recycling_rate", "indicator: recycling"))
    assert "metrics.recycling.indicator: no indicator 'recycling' is declared" in refused(code)
