"""What the push compiles, compares and removes, without a server."""

import io
import zipfile

import httpx
import pytest
import yaml
from sqlalchemy import make_url

from dashboards.bundle import zip_bundle
from dashboards.code import load_code, place_uuid
from dashboards.compare import differences, masked
from dashboards.push import _compare, _prune, _refuse_conflicts, sqlalchemy_uri
from dashboards.state import Asset
from dashboards.superset import Superset, SupersetError

PERSONS = "11111111-2222-4333-8444-555555555555"


class Recorder:
    """Takes the place of a Superset of which only the deletions matter."""

    def __init__(self, charts_on_datasets: int = 0) -> None:
        self.deleted: list[tuple[str, int]] = []
        self.charts = charts_on_datasets

    def delete(self, kind: str, pk: int) -> None:
        self.deleted.append((kind, pk))

    def get(self, path: str) -> dict:
        return {"charts": {"count": self.charts}}

    def reads(self, path: str, **parameters: str) -> bool:
        return True


def by_place(desired):
    return {item.place: item for item in desired}


def changed(desired, state):
    changes = _compare(Recorder(), desired, state)
    return {c.place: (c.action, c.detail) for c in changes.values() if c.action != "unchanged"}


def test_the_bundle_is_one_that_supersets_import_reads(code, compiled):
    desired = compiled(code)
    with zipfile.ZipFile(io.BytesIO(zip_bundle(desired))) as bundle:
        # Superset drops the first folder of each path.
        files = {
            name.partition("/")[2]: yaml.safe_load(bundle.read(name)) for name in bundle.namelist()
        }
    assert files.pop("metadata.yaml") == {"version": "1.0.0", "type": "assets"}
    folders = {name.partition("/")[0] for name in files}
    assert folders == {"databases", "datasets", "charts", "dashboards"}
    uuids = {config["uuid"]: name for name, config in files.items()}
    for name, config in files.items():
        assert config["version"] == "1.0.0"
        if name.startswith("datasets/"):
            assert uuids[config["database_uuid"]].startswith("databases/")
        if name.startswith("charts/"):
            assert uuids[config["dataset_uuid"]].startswith("datasets/")
        if name.startswith("dashboards/"):
            for item in config["position"].values():
                if isinstance(item, dict) and item["type"] == "CHART":
                    assert uuids[item["meta"]["uuid"]].startswith("charts/")


def test_nothing_differs_after_an_import(code, compiled, imported):
    state = imported(compiled(code))
    assert changed(compiled(code, state), state) == {}


def test_on_an_empty_superset_everything_is_created(code, compiled, imported):
    actions = {action for action, _ in changed(compiled(code), imported([])).values()}
    assert actions == {"created"}


@pytest.mark.parametrize(
    ("place", "key", "value", "words"),
    [
        ("city_overview/charts/refuse", "slice_name", "Rubbish", "title"),
        ("city_overview/charts/refuse", "viz_type", "table", "type"),
        ("city_overview/charts/refuse", "params", {}, "params"),
        ("datasets/area_kpi_month", "metrics", [], "metrics"),
        ("datasets/area_kpi_month", "description", "Mine", "description"),
        ("city_overview", "css", "", "css"),
        ("city_overview", "position", {}, "rows"),
        ("city_overview", "slug", "mine", "slug"),
    ],
)
def test_what_somebody_changed_is_found(code, compiled, imported, place, key, value, words):
    state = imported(compiled(code))
    item = by_place(compiled(code))[place]
    state.assets(item.kind)[item.uuid].config[key] = value
    found = changed(compiled(code, state), state)
    assert found[place][0] == "changed"
    assert words in found[place][1].split(", ")


def test_what_superset_adds_of_its_own_is_no_difference(code, compiled, imported):
    state = imported(compiled(code))
    chart = by_place(compiled(code))["city_overview/charts/refuse"]
    state.chart[chart.uuid].config.update(query_context="{}", cache_timeout=60)
    board = by_place(compiled(code))["city_overview"]
    state.dashboard[board.uuid].config["metadata"]["chart_customization_config"] = []
    assert changed(compiled(code, state), state) == {}


def test_a_dataset_of_an_earlier_place_is_taken_over(code, compiled, imported):
    """Before, a dataset lay in its dashboard's folder, which made its UUID another."""
    desired = compiled(code)
    state = imported(desired)
    item = by_place(desired)["datasets/city_status"]
    old_place = "city_overview/datasets/city_status"
    now = state.dataset.pop(item.uuid)
    mark = {"certified_by": "Cityloom", "details": f"Kept as code in dashboards/{old_place}"}
    before = Asset(
        "dataset",
        place_uuid(old_place),
        {**now.listed, "uuid": place_uuid(old_place), "extra": {"certification": mark}},
        {**now.config, "uuid": place_uuid(old_place), "extra": {"certification": mark}},
    )
    state.dataset[before.uuid] = before
    assert before.place == old_place
    for chart in state.chart.values():
        if chart.config["dataset_uuid"] == item.uuid:
            chart.config["dataset_uuid"] = before.uuid

    _refuse_conflicts(load_code(code), state)
    assert changed(compiled(code, state), state) == {
        "datasets/city_status": ("changed", "certification, uuid")
    }
    # Not removed: it is the dataset of the code, under another name.
    assert _prune(Recorder(), load_code(code), state) == []


def test_a_persons_metric_and_calculated_column_stay_in_the_bundle(code, compiled, imported):
    state = imported(compiled(code))
    dataset = by_place(compiled(code))["datasets/city_status"]
    config = state.dataset[dataset.uuid].config
    config["metrics"].append({"metric_name": "mine", "expression": "SUM(1)", "d3format": ",d"})
    config["columns"].append({"column_name": "half", "expression": "requests_n / 2"})
    again = by_place(compiled(code, state))["datasets/city_status"]
    assert changed(compiled(code, state), state) == {}
    assert [m for m in again.config["metrics"] if m["metric_name"] == "mine"] == [
        {"metric_name": "mine", "expression": "SUM(1)", "d3format": ",d"}
    ]
    assert [c["column_name"] for c in again.config["columns"] if c.get("expression")] == ["half"]


def test_a_metric_that_left_the_code_leaves_the_bundle(code, compiled, imported):
    state = imported(compiled(code))
    path = code / "datasets/area_kpi_month.yml"
    content = yaml.safe_load(path.read_text())
    del content["metrics"]["n"]
    path.write_text(yaml.safe_dump(content))
    dataset = by_place(compiled(code, state))["datasets/area_kpi_month"]
    assert "n" not in {m["metric_name"] for m in dataset.config["metrics"]}
    assert changed(compiled(code, state), state) == {
        "datasets/area_kpi_month": ("changed", "metrics")
    }


def test_a_persons_chart_on_a_dashboard_of_the_code_stays_at_its_foot(code, compiled, imported):
    state = imported(compiled(code))
    board = by_place(compiled(code))["city_overview"]
    current = state.dashboard[board.uuid]
    state.listed["chart"].append({"id": 9, "uuid": PERSONS, "slice_name": "Mine"})
    state.dashboard[board.uuid] = Asset(
        "dashboard", current.uuid, current.listed, current.config, current.members | {PERSONS}
    )
    again = by_place(compiled(code, state))["city_overview"]
    assert again.config["position"][f"CHART-{PERSONS}"]["meta"]["sliceName"] == "Mine"
    grid = again.config["position"]["GRID_ID"]["children"]
    assert grid[:-1] == board.config["position"]["GRID_ID"]["children"]
    assert changed(compiled(code, state), state) == {"city_overview": ("changed", "rows")}


def test_what_left_the_code_goes_users_before_what_they_use(code, compiled, imported):
    state = imported(compiled(code))
    remove_topics(code)
    superset = Recorder()
    changes = _prune(superset, load_code(code), state)
    assert [(c.kind, c.place, c.action) for c in changes] == [
        ("chart", "city_overview/charts/worst_topics", "removed"),
        ("dataset", "datasets/area_topic_year", "removed"),
    ]
    assert [kind for kind, _ in superset.deleted] == ["chart", "dataset"]


def test_what_people_still_use_is_kept(code, compiled, imported):
    state = imported(compiled(code))
    remove_topics(code)
    chart = state.chart[place_uuid("city_overview/charts/worst_topics")]
    chart.listed["dashboards"].append({"id": 77})
    superset = Recorder(charts_on_datasets=1)
    kept = {c.place: c.detail for c in _prune(superset, load_code(code), state)}
    assert kept == {
        "city_overview/charts/worst_topics": "1 dashboard(s) that people made still use it",
        "datasets/area_topic_year": "1 chart(s) that people made still use it",
    }
    assert superset.deleted == []


def test_a_copy_with_our_certification_is_not_ours(code, compiled, imported):
    """As "Save as" does it: the same certification, another UUID."""
    state = imported(compiled(code))
    ours = state.chart[place_uuid("city_overview/charts/refuse")]
    copied = Asset("chart", PERSONS, {**ours.listed, "uuid": PERSONS}, ours.config)
    assert ours.place == "city_overview/charts/refuse"
    assert copied.place is None


def test_a_copy_of_a_pulled_chart_is_not_ours(code, compiled, imported):
    path = code / "city_overview/charts/refuse.yml"
    path.write_text(path.read_text() + f"uuid: {PERSONS}\n")
    ours = imported(compiled(code)).chart[PERSONS]
    assert ours.place == "city_overview/charts/refuse"
    another = PERSONS.replace("1", "9")
    assert Asset("chart", another, {**ours.listed, "uuid": another}, {}).place is None


def test_a_persons_dashboard_with_our_slug_is_refused(code, compiled, imported):
    state = imported(compiled(code))
    (row,) = state.listed["dashboard"]
    row["uuid"] = PERSONS
    with pytest.raises(SupersetError, match="slug: 'city-overview' is the address of 'City over"):
        _refuse_conflicts(load_code(code), state)


def test_a_persons_database_with_our_name_is_refused(code, compiled, imported):
    """Superset's import would take it over, because names of databases are unique."""
    state = imported(compiled(code))
    state.listed["database"].append({"database_name": "Cityloom warehouse", "uuid": PERSONS})
    with pytest.raises(SupersetError, match="'Cityloom warehouse' that somebody made; rename"):
        _refuse_conflicts(load_code(code), state)


def test_an_unlocked_chart_is_locked_again(code, compiled, imported):
    state = imported(compiled(code), locked=False)
    chart = by_place(compiled(code))["city_overview/charts/refuse"]
    assert differences(chart, state.chart[chart.uuid], state) == ["lock"]


def remove_topics(code):
    (code / "datasets/area_topic_year.yml").unlink()
    (code / "city_overview/charts/worst_topics.yml").unlink()
    path = code / "city_overview/dashboard.yml"
    content = yaml.safe_load(path.read_text())
    for row in content["rows"]:
        row["cells"] = [c for c in row.get("cells", []) if c.get("chart") != "worst_topics"]
    path.write_text(yaml.safe_dump(content, sort_keys=False))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://dashboards:secret@127.0.0.1:15432/warehouse",
        "postgresql://dashboards:s%3A%2F@db.example:5432/warehouse?sslmode=require&application_name=c",
        "postgresql://dashboards:secret@[::1]:5432/warehouse?options=-c%20work_mem%3D1MB",
    ],
)
def test_address_is_compared_as_superset_shows_it(url):
    """Superset shows it as SQLAlchemy writes it, the password as ten X's."""
    uri = sqlalchemy_uri(url)
    assert masked(uri) == make_url(uri).set(password="X" * 10).render_as_string(False)


@pytest.mark.parametrize(("status", "reads"), [(200, True), (422, False), (500, False)])
def test_a_database_that_superset_cannot_enter_is_no_error_of_the_push(status, reads):
    """Superset answers 500 when the warehouse refuses its password: the push gives it anew."""
    superset = answering(httpx.Response(status, json={}))
    assert superset.reads("/api/v1/database/1/schemas/", q="(force:!t)") is reads


def test_a_refused_import_names_the_file_and_that_nothing_changed():
    problems = {"charts/x.yaml": {"params": ["Not a valid mapping type."]}, "issue_codes": []}
    error = {"message": "Error importing assets", "extra": problems}
    superset = answering(httpx.Response(422, json={"errors": [error]}))
    with pytest.raises(SupersetError) as refused:
        superset.import_assets(b"")
    assert "nothing was changed" in str(refused.value)
    assert "charts/x.yaml" in str(refused.value)
    assert "issue_codes" not in str(refused.value)


def answering(response: httpx.Response) -> Superset:
    superset = Superset("http://127.0.0.1:1", "admin", "secret")
    transport = httpx.MockTransport(lambda request: response)
    superset._http = httpx.Client(base_url=superset.url, transport=transport)
    return superset
