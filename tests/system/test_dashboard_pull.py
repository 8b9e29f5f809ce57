"""What an analyst makes in Superset's pages, pulled into YAML and pushed to an empty Superset."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import yaml

from dashboards.browser import FLAGS, log_in
from dashboards.bundle import Desired, zip_bundle
from dashboards.chromium import ensure
from dashboards.code import CODE_DIR, load_code, place_uuid
from dashboards.pull import PullReport, pull
from dashboards.puller import PullRefused
from dashboards.push import PushReport, push
from dashboards.state import DATABASE_UUID, Asset, read_state
from dashboards.superset import Superset, SupersetError

pytestmark = pytest.mark.usefixtures("demo")
TITLE = "Requests: departments, one by one"
CHART = "city_overview/charts/requests_departments_one_by_one.yml"
WAIT = 120_000


@pytest.fixture
def superset(stack) -> Iterator[Superset]:
    with Superset(*login(stack)) as session:
        yield session


@pytest.fixture
def code(tmp_path: Path) -> Path:
    for folder in {path.parent.name for path in CODE_DIR.glob("*/*.yml")}:
        shutil.copytree(CODE_DIR / folder, tmp_path / folder)
    return tmp_path


@pytest.fixture(autouse=True)
def put_back(stack):
    """Superset has what the code says before each test, and after it."""
    push_code(stack, CODE_DIR, discard_edits=True)
    yield
    push_code(stack, CODE_DIR, discard_edits=True)


def login(stack) -> tuple[str, str, str]:
    settings = stack.settings
    return settings.url("superset"), settings.admin_user, settings.admin_password


def push_code(stack, folder: Path, **options: bool) -> PushReport:
    return push(*login(stack), stack.settings.database_url("dashboards"), folder, **options)


def pull_code(stack, folder: Path, **options) -> PullReport:
    return pull(*login(stack), stack.settings.database_url("dashboards"), folder, **options)


def actions(report: PushReport) -> dict[str, str]:
    return {c.place: c.action for c in report.changes if c.action not in ("unchanged", "kept")}


def exported(superset: Superset, code: Path, title: str) -> Asset:
    state = read_state(superset, load_code(code), everything=True)
    (asset,) = [
        a
        for kind in ("chart", "dashboard")
        for a in state.assets(kind).values()
        if a.title == title
    ]
    return asset


def empty(superset: Superset) -> None:
    """Leave nothing in Superset, as after its first start."""
    for kind in ("dashboard", "chart", "dataset", "database"):
        for item in list(superset.items(kind)):
            superset.delete(kind, int(item["id"]))


def make_chart(stack, dataset: int, title: str, dashboard: str) -> None:
    """Make a table of a metric by a column in Explore, as a person does, on a dashboard."""
    from playwright.sync_api import Page, TimeoutError, sync_playwright

    url, user, password = login(stack)

    def pick(page: Page, prompt: str, tab: str, name: str) -> None:
        page.get_by_text(prompt).first.click()
        popover = page.locator(".ant-popover:not(.ant-popover-hidden)").last
        popover.get_by_role("tab", name=tab).click()
        popover.get_by_role("combobox").first.fill(name)
        choose(page, name)
        popover.get_by_role("button", name="Save").click()

    def choose(page: Page, name: str) -> None:
        choices = page.locator(".ant-select-dropdown:not(.ant-select-dropdown-hidden)")
        choices.get_by_text(name, exact=True).last.click()

    def open_save_dialog(page: Page) -> None:
        name = page.locator('[data-test="new-chart-name"]')
        for _ in range(5):  # a click while the page draws the chart can be lost
            with contextlib.suppress(TimeoutError):
                page.locator('[data-test="query-save-button"]').click(timeout=WAIT / 5)
                name.wait_for(timeout=WAIT / 5)
            if name.is_visible():
                return

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(ensure()), args=list(FLAGS))
        try:
            page = browser.new_page(viewport={"width": 1600, "height": 1000}, locale="en-GB")
            page.set_default_timeout(WAIT)
            log_in(page, url, user, password)
            place = f"viz_type=table&datasource_id={dataset}&datasource_type=table"
            page.goto(f"{url}/explore/?{place}")
            pick(page, "Drop columns here or click", "Simple", "Department")
            pick(page, "Drop columns/metrics here or click", "Saved", "Requests opened")
            with page.expect_response(lambda answer: "/api/v1/chart/data" in answer.url):
                page.get_by_role("button", name="Create chart").click()
            open_save_dialog(page)
            page.locator('[data-test="new-chart-name"]').fill(title)
            # From the list as it opens: a name that is typed is offered as a new dashboard, too.
            page.locator(".ant-modal").get_by_role("combobox").first.click()
            choose(page, dashboard)
            with page.expect_response(
                lambda answer: "/api/v1/chart/" in answer.url and answer.request.method == "POST"
            ) as saved:
                page.locator('[data-test="btn-modal-save"]').click()
            assert saved.value.ok
        finally:
            browser.close()


def rename_dashboard(stack, slug: str, title: str) -> None:
    """Change a dashboard's title in its page, as a person does."""
    from dashboards.browser import open_dashboard

    with open_dashboard(*login(stack), slug, executable=ensure()) as page:
        page.set_default_timeout(WAIT)
        page.locator('[data-test="edit-dashboard-button"]').click()
        box = page.locator('[data-test="editable-title-input"]').first
        box.click()
        box.fill(title)
        box.press("Enter")
        with page.expect_response(
            lambda answer: "/api/v1/dashboard/" in answer.url and answer.request.method == "PUT"
        ) as saved:
            page.locator('[data-test="header-save-button"]').click()
        assert saved.value.ok


def test_a_pull_right_after_a_push_changes_nothing(stack, code):
    assert pull_code(stack, code).files == []
    assert pull_code(stack, code, dashboard="city-overview").files == []
    output = stack.command("dashboards", "pull", "--dry-run").stdout
    assert output.startswith("the code has all that was changed in Superset")


def test_a_chart_made_in_explore_becomes_code_and_the_same_chart_elsewhere(stack, superset, code):
    (dataset,) = [
        d for d in superset.items("dataset") if d["table_name"] == "rpt_area_department_month"
    ]
    make_chart(stack, int(dataset["id"]), TITLE, "City overview")
    made = exported(superset, code, TITLE)

    # A push before the pull leaves it on the dashboard, at the foot.
    push_code(stack, code)
    (board,) = [d for d in superset.items("dashboard") if d["slug"] == "city-overview"]
    assert made.uuid in exported(superset, code, board["dashboard_title"]).members

    report = pull_code(stack, code)
    assert [change.path.relative_to(code).as_posix() for change in report.files] == [
        CHART,
        "city_overview/dashboard.yml",
    ]
    assert (code / CHART).read_text() == (
        f'title: "{TITLE}"\n'
        "dataset: area_department_month\n"
        "type: table\n"
        "explore_defaults: true\n"
        "where:\n"
        "  month: {time_range: No filter}\n"
        "params:\n"
        "  query_mode: aggregate\n"
        "  groupby: [department_name]\n"
        "  metrics: [requests_opened]\n"
        f"uuid: {made.uuid}\n"
    )
    added = [line for line in report.files[1].diff(code).splitlines() if line[0] in "+-"]
    assert added[2:] == [
        "+  - height: 50",
        "+    cells:",
        "+      - {chart: requests_departments_one_by_one, width: 4}",
    ]
    assert pull_code(stack, code).files == []

    # The same object is the code's now: no second one.
    place = CHART.removesuffix(".yml")
    assert actions(push_code(stack, code))[place] == "changed"
    assert actions(push_code(stack, code)) == {}
    assert exported(superset, code, TITLE).pk == made.pk

    empty(superset)
    report = push_code(stack, code)
    assert set(actions(report).values()) == {"created"}
    again = exported(superset, code, TITLE)
    assert again.uuid == made.uuid
    assert form_data(again) == form_data(made)
    assert pull_code(stack, code, dashboard="city-overview").files == []
    assert actions(push_code(stack, code)) == {}


def form_data(chart: Asset) -> dict:
    """What the chart shows: without the ids of one server, and an order that means nothing."""
    params = chart.config["params"]
    ids = ("datasource", "dashboards", "temporal_columns_lookup", "annotation_layers", "slice_id")
    return {
        "viz_type": chart.config["viz_type"],
        **{k: v for k, v in params.items() if k not in ids},
        "adhoc_filters": sorted(params["adhoc_filters"], key=lambda f: f["subject"]),
    }


def test_an_unlocked_dashboard_keeps_its_edits_until_they_are_code(stack, superset, code):
    stack.command("dashboards", "unlock", "city-overview")
    rename_dashboard(stack, "city-overview", "City overview, edited")

    # As the publish does it, every night.
    kept = push_code(stack, code)
    assert [c.place for c in kept.changes if c.action == "kept" and "edited" in c.detail] == [
        "city_overview"
    ]
    assert exported(superset, code, "City overview, edited")

    report = pull_code(stack, code)
    added = [line for line in report.diff.splitlines() if line[0] in "+-"]
    assert added[2:] == ["-title: City overview", '+title: "City overview, edited"']

    push_code(stack, code, lock=True)
    assert exported(superset, code, "City overview, edited").is_locked
    assert actions(push_code(stack, code)) == {}


def test_columns_synced_by_superset_are_no_edit(stack, superset, code):
    """Superset does so, unless told not to, whenever somebody saves a dataset in its pages."""
    for dataset in list(superset.items("dataset")):
        answer = superset._ask("PUT", f"/api/v1/dataset/{dataset['id']}/refresh")
        assert answer.is_success, answer.text
    assert pull_code(stack, code).files == []
    assert actions(push_code(stack, code)) == {}


def test_a_persons_metric_is_offered_and_added(stack, superset, code):
    dataset = next(d for d in superset.items("dataset") if d["table_name"] == "rpt_city_status")
    metrics = superset.get(f"/api/v1/dataset/{dataset['id']}")["result"]["metrics"]
    keys = ("id", "uuid", "metric_name", "expression", "verbose_name", "d3format", "extra")
    before = [{key: metric[key] for key in keys} for metric in metrics]
    mine = {"metric_name": "comments", "expression": "SUM(comments_n)", "verbose_name": "Comments"}
    superset.put("dataset", int(dataset["id"]), {"metrics": [*before, mine]})
    try:
        listed = json.loads(stack.command("dashboards", "pull", "--dry-run", "--json").stdout)
        assert listed["files"] == []
        assert {"kind": "metric", "title": "comments", "add": "city_status.comments"} in listed[
            "not_in_code"
        ]
        pull_code(stack, code, add=["city_status.comments"])
        content = yaml.safe_load((code / "datasets/city_status.yml").read_text())
        assert content["metrics"] == {"comments": {"sql": "SUM(comments_n)", "label": "Comments"}}
        assert actions(push_code(stack, code)) == {"datasets/city_status": "changed"}
        assert actions(push_code(stack, code)) == {}
    finally:
        superset.put("dataset", int(dataset["id"]), {"metrics": before})


def test_a_chart_on_a_query_of_somebodys_own_is_refused(stack, superset, code):
    (database,) = [d for d in superset.items("database") if d["uuid"] == DATABASE_UUID]
    query = {"database": int(database["id"]), "schema": "marts", "table_name": "my query"}
    dataset = superset.post("dataset", {**query, "sql": "select 1 as one"})
    chart = superset.post(
        "chart",
        {
            "slice_name": "Of my query",
            "viz_type": "table",
            "datasource_id": dataset,
            "datasource_type": "table",
            "params": json.dumps({"query_mode": "raw", "all_columns": ["one"]}),
        },
    )
    try:
        with pytest.raises(PullRefused, match=r"'Of my query'.*'my query' is not a relation of"):
            pull_code(stack, code, add=["Of my query"], dashboard="city-overview")
        assert pull_code(stack, code).files == []
    finally:
        superset.delete("chart", chart)
        superset.delete("dataset", dataset)


def test_an_import_that_fails_changes_nothing(stack, superset, code):
    state = read_state(superset, load_code(code))
    dataset = state.dataset[place_uuid("datasets/city_status")]
    changed = {**dataset.config, "description": "Half written", "database_uuid": DATABASE_UUID}
    chart = dict(state.chart[place_uuid("city_overview/charts/refuse")].config)
    chart["dataset_uuid"] = "00000000-0000-4000-8000-000000000000"
    bundle = zip_bundle(
        [
            Desired("dataset", "datasets/city_status", dataset.uuid, changed),
            Desired("chart", "city_overview/charts/refuse", str(chart["uuid"]), chart),
        ]
    )
    with pytest.raises(SupersetError, match="nothing was changed"):
        superset.import_assets(bundle)
    after = read_state(superset, load_code(code))
    assert after.dataset[dataset.uuid].config == dataset.config


def test_the_warehouses_password_is_not_in_supersets_log_of_actions(stack, superset):
    empty(superset)
    push_code(stack, CODE_DIR)
    settings = stack.settings
    secret = settings.secret("postgres_dashboards")
    with psycopg.connect(settings.database_url("superset")) as connection:
        found = connection.execute(
            "select count(*) from logs where json like %s", [f"%{secret}%"]
        ).fetchone()
    assert found == (0,)
    logs = [path.read_text(errors="replace") for path in (stack.home / "logs").glob("superset*")]
    assert logs and not any(secret in log for log in logs)
