import re
import shutil
from pathlib import Path

import pytest
import yaml

from dashboards.check import CheckFailed, check
from dashboards.code import CODE_DIR, DashboardCodeError, load_dashboards, place_uuid
from dashboards.layout import css, metadata, positions
from dashboards.push import form_data
from dashboards.relations import DBT_DIR


@pytest.fixture
def code(tmp_path: Path) -> Path:
    shutil.copytree(CODE_DIR / "city_overview", tmp_path / "city_overview")
    return tmp_path


def edit(path: Path, **changes) -> None:
    said = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**said, **changes}, sort_keys=False, allow_unicode=True))


def refused(code: Path) -> str:
    with pytest.raises(DashboardCodeError) as error:
        load_dashboards(code)
    return str(error.value)


def test_the_code_names_only_what_dbt_documents():
    checked = check()
    assert checked.dashboards >= 1
    assert checked.charts >= 8


def test_dbts_exposure_names_what_the_dashboard_reads():
    (dashboard,) = load_dashboards()
    said = yaml.safe_load((DBT_DIR / "models" / "exposures.yml").read_text())
    (exposure,) = [e for e in said["exposures"] if e["name"] == dashboard.name]
    read = {f"ref('{dataset.table_name}')" for dataset in dashboard.datasets.values()}
    assert set(exposure["depends_on"]) == read
    assert exposure["label"] == dashboard.title


def test_every_chart_has_a_description_without_jargon():
    for dashboard in load_dashboards():
        for chart in dashboard.charts.values():
            assert len(chart.description.split()) >= 5, chart.path
            assert not re.search(r"\b(fct|rpt|dim|dbt|SQL|null)\b", chart.description), chart.path


def test_uuids_are_stable_and_distinct():
    # A UUID that changes would leave the old object behind on every server.
    assert place_uuid("city_overview") == "547944bc-bf69-5822-8e50-089b36925cdd"
    (dashboard,) = load_dashboards()
    parts = [dashboard, *dashboard.charts.values(), *dashboard.datasets.values()]
    assert len({part.uuid for part in parts}) == len(parts)


def test_unknown_key_names_file_and_remedy(code: Path):
    path = code / "city_overview/charts/refuse.yml"
    edit(path, descripton="x")
    assert f"{path}: descripton: is not a known key; did you mean 'description'?" in refused(code)


def test_all_problems_are_told_at_once(code: Path):
    (code / "city_overview/charts/refuse.yml").write_text("title: [")
    edit(code / "city_overview/datasets/city_status.yml", relation="raw.demo__calls")
    said = refused(code)
    assert "refuse.yml: line 1: is not YAML" in said
    assert "city_status.yml: relation: String should match pattern" in said


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
    said = refused(code)
    assert "rows: there is no charts/refuse.yml" in said
    assert "rubbish.yml: no row of dashboard.yml shows it" in said


def test_rows_wider_than_twelve(code: Path):
    path = code / "city_overview/dashboard.yml"
    said = yaml.safe_load(path.read_text())
    said["rows"][0]["cells"][0]["width"] = 11
    said["rows"][0]["cells"].append({"text": "Note", "width": 2})
    path.write_text(yaml.safe_dump(said))
    assert "add up to more than 12" in refused(code)


def test_check_finds_a_column_that_no_model_has(code: Path):
    edit(code / "city_overview/charts/refuse.yml", where={"metrik_id": "refuse_tons_per_1000"})
    with pytest.raises(CheckFailed, match=r"refuse.yml: where: .*'metrik_id'.*did you mean"):
        check(code)


def test_check_finds_a_column_in_a_metric(code: Path):
    path = code / "city_overview/datasets/area_topic_year.yml"
    edit(path, metrics={"n": {"sql": "SUM(nn)", "label": "n"}})
    with pytest.raises(CheckFailed) as error:
        check(code)
    assert "metrics.n.sql: reporting.rpt_area_topic_year has no column 'nn'" in str(error.value)
    assert "area_topic_year.yml has no metric 'net_sentiment'" in str(error.value)


def test_check_finds_a_relation_that_dbt_does_not_document(code: Path):
    path = code / "city_overview/datasets/city_status.yml"
    edit(path, relation="reporting.rpt_city_statuz")
    with pytest.raises(CheckFailed, match=r"did you mean reporting.rpt_city_status\? Else add the"):
        check(code)
    edit(path, relation="marts.nothing_of_the_kind")
    with pytest.raises(CheckFailed, match=r"documents no marts.nothing_of_the_kind; add the model"):
        check(code)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("order_by_cols", ['["titel", true]']),
        ("column_config", {"titel": {"visible": False}}),
        ("conditional_formatting", [{"column": "is_stale", "columnFormatting": "titel"}]),
        ("x_axis_sort", "titel"),
    ],
)
def test_check_finds_what_superset_would_pass_over_in_silence(code: Path, key, said):
    path = code / "city_overview/charts/freshness.yml"
    edit(path, params={**yaml.safe_load(path.read_text())["params"], key: said})
    with pytest.raises(CheckFailed, match=rf"freshness.yml: params.{key}.*did you mean 'title'\?"):
        check(code)


def test_check_finds_an_order_that_superset_cannot_read(code: Path):
    path = code / "city_overview/charts/freshness.yml"
    edit(path, params={**yaml.safe_load(path.read_text())["params"], "order_by_cols": ["title"]})
    with pytest.raises(CheckFailed, match=r"order_by_cols: 'title' must read like '\[\"column\""):
        check(code)


def test_check_finds_a_filter_that_a_chart_cannot_follow(code: Path):
    path = code / "city_overview/dashboard.yml"
    said = yaml.safe_load(path.read_text())
    district = next(f for f in said["filters"] if f["name"] == "District")
    district["not_on"].remove("freshness")
    path.write_text(yaml.safe_dump(said))
    with pytest.raises(CheckFailed, match=r"no column 'area'; .* not_on: freshness"):
        check(code)


def test_where_becomes_superset_filters():
    (dashboard,) = load_dashboards()
    chart = dashboard.charts["longest_wait"].model_copy(
        update={"where": {"a": ("x", "y"), "b": True, "c": None, "d": 2}}
    )
    filters = form_data(chart, 7)["adhoc_filters"]
    assert [(f["subject"], f["operator"], f.get("comparator")) for f in filters] == [
        ("a", "IN", ["x", "y"]),
        ("b", "IS TRUE", None),
        ("c", "IS NOT NULL", None),
        ("d", "==", 2),
    ]
    assert form_data(chart, 7)["datasource"] == "7__table"


def test_layout_places_every_chart_once_and_scopes_filters():
    (dashboard,) = load_dashboards()
    charts = {name: number for number, name in enumerate(dashboard.charts, 100)}
    datasets = {name: number for number, name in enumerate(dashboard.datasets, 1)}
    tree = positions(dashboard, charts)
    placed = [item["meta"]["chartId"] for key, item in tree.items() if key.startswith("CHART-")]
    assert sorted(placed) == sorted(charts.values())
    for key, item in tree.items():
        if key.startswith("ROW-"):
            assert sum(tree[child]["meta"]["width"] for child in item["children"]) <= 12
    filters = {
        f["name"]: f for f in metadata(dashboard, charts, datasets)["native_filter_configuration"]
    }
    assert list(filters) == ["City", "District", "Year (empty: all)"]
    assert filters["District"]["cascadeParentIds"] == [filters["City"]["id"]]
    assert charts["freshness"] in filters["District"]["scope"]["excluded"]
    assert charts["freshness"] not in filters["District"]["chartsInScope"]
    assert filters["District"]["defaultDataMask"]["filterState"]["value"] == ["Whole city"]
    assert filters["City"]["controlValues"]["defaultToFirstItem"] is True
    known = metadata(dashboard, charts, datasets, {"City": "Loomfield"})
    city = known["native_filter_configuration"][0]
    assert city["controlValues"]["defaultToFirstItem"] is False
    assert city["defaultDataMask"]["filterState"]["value"] == ["Loomfield"]


def test_css_names_charts_by_their_ids():
    (dashboard,) = load_dashboards()
    charts = {name: number for number, name in enumerate(dashboard.charts, 100)}
    rules = css(dashboard, charts)
    assert f".dashboard-chart-id-{charts['city_status']} " in rules
    assert "chart(" not in rules


def test_a_chart_says_in_its_own_words_that_there_is_nothing():
    (dashboard,) = load_dashboards()
    charts = {name: number for number, name in enumerate(dashboard.charts, 100)}
    rules = css(dashboard, charts)
    assert dashboard.charts["net_sentiment"].empty in rules
    place = f".dashboard-chart-id-{charts['net_sentiment']} .ant-empty-description::after"
    assert place in rules
    assert f".dashboard-chart-id-{charts['refuse']} .ant-empty" not in rules
