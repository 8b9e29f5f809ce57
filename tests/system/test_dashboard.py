"""The dashboard in a real browser on the real Superset, and the push that keeps it as the code."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bench.server import free_port
from dashboards.browser import (
    PageError,
    choose,
    look,
    open_dashboard,
    problems,
    save_picture,
    wait_until_drawn,
)
from dashboards.chromium import ensure
from dashboards.code import CODE_DIR, load_dashboards, place_uuid
from dashboards.push import PushReport, push
from dashboards.superset import Superset, SupersetError
from dashboards.warehouse import RelationMissing
from tests.axe import findings

pytestmark = pytest.mark.usefixtures("demo")
PICTURES = Path(
    os.environ.get("CITYLOOM_TEST_LOGS") or Path(tempfile.gettempdir()) / "cityloom-pictures"
)
#: No source of the demo city is a sample or old, which that chart says.
NOTHING_TO_NOTE = ["Before you quote a figure: shows no data"]
#: What the page that explains a figure asks for.
ASKED = ("city", "indicator", "district", "period")
NEWEST = "(select newest_full_month from reporting.rpt_city_status where city_id = 'demo')"


@pytest.fixture(scope="module")
def overview():
    return next(d for d in load_dashboards() if d.slug == "city-overview")


@pytest.fixture
def superset(stack) -> Iterator[Superset]:
    settings = stack.settings
    url = settings.url("superset")
    with Superset(url, settings.admin_user, settings.admin_password) as session:
        yield session


@pytest.fixture
def code(tmp_path: Path) -> Path:
    for folder in {path.parent.name for path in CODE_DIR.glob("*/*.yml")}:
        shutil.copytree(CODE_DIR / folder, tmp_path / folder)
    return tmp_path


def push_code(stack, folder: Path = CODE_DIR) -> PushReport:
    settings = stack.settings
    return push(
        settings.url("superset"),
        settings.admin_user,
        settings.admin_password,
        settings.database_url("dashboards"),
        folder,
    )


def opened(stack, **arguments):
    settings = stack.settings
    return open_dashboard(
        settings.url("superset"),
        settings.admin_user,
        settings.admin_password,
        "city-overview",
        executable=ensure(),
        **arguments,
    )


def without_chart(folder: Path, name: str) -> None:
    chart = folder / f"city_overview/charts/{name}.yml"
    (folder / "datasets" / f"{yaml.safe_load(chart.read_text())['dataset']}.yml").unlink()
    chart.unlink()
    path = folder / "city_overview/dashboard.yml"
    content = yaml.safe_load(path.read_text())
    for row in content["rows"]:
        row["cells"] = [c for c in row.get("cells", []) if c.get("chart") != name]
    for item in content["filters"]:
        item["not_on"] = [n for n in item.get("not_on", []) if n != name]
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def by_uuid(superset: Superset, kind: str) -> dict[str, dict]:
    return {item["uuid"]: item for item in superset.items(kind)}


def metrics_of(superset: Superset, dataset: int) -> list[dict]:
    """Return a dataset's metrics as a change of it takes them."""
    keys = ("id", "uuid", "metric_name", "expression", "verbose_name", "d3format", "extra")
    metrics = superset.get(f"/api/v1/dataset/{dataset}")["result"]["metrics"]
    return [{key: m[key] for key in keys} for m in metrics]


def members(superset: Superset) -> set[str]:
    charts = superset.get("/api/v1/dashboard/city-overview/charts")["result"]
    return {chart["slice_name"] for chart in charts}


def test_it_comes_up_whole_and_its_figures_are_the_warehouses(stack, overview):
    with opened(stack) as page:
        charts = look(page)
        save_picture(page, PICTURES / "city-overview.png")
    assert problems(charts) == NOTHING_TO_NOTE
    assert sorted(c.title for c in charts) == sorted(c.title for c in overview.charts.values())
    shown = {chart.title: chart.text for chart in charts}

    opened_requests = stack.value(
        "select count(*) from marts.fct_service_request where city_id = 'demo' "
        f"and date_trunc('month', opened_at) = {NEWEST}"
    )
    assert f"\n{opened_requests:,}\n" in shown["Requests opened"]
    on_time = stack.value(
        "select 100.0 * count(*) filter (where is_closed_on_time) / count(is_closed_on_time) "
        "from marts.fct_service_request where city_id = 'demo' and is_due "
        f"and date_trunc('month', due_at) = {NEWEST}"
    )
    assert f"\n{on_time:.1f}%\n" in shown["Closed on time"]

    ((as_of, comments),) = stack.sql(
        "select (select max(as_of) from marts.fct_kpi where city_id = 'demo'), "
        "(select count(*) from marts.fct_feedback where city_id = 'demo')"
    )
    head = shown["What you are looking at"]
    assert f"{as_of:%d %b %Y, %H:%M}" in head
    assert f"{comments:,}" in head
    assert "(simulated)" in head and "Simulated: this city does not exist" in head


def test_a_district_chosen_changes_the_figures_to_that_districts(stack, overview):
    city, district, name = stack.sql(
        "select city_name, district_id, district_name "
        "from marts.dim_district inner join marts.dim_city using (city_id) "
        "where city_id = 'demo' order by dim_district.population desc limit 1"
    )[0]
    with opened(stack, filters=choose(overview, City=city, District=name)) as page:
        charts = look(page)
    assert problems(charts) == NOTHING_TO_NOTE
    shown = {chart.title: chart.text for chart in charts}
    requests = stack.value(
        f"select count(*) from marts.fct_service_request where city_id = 'demo' "
        f"and district_id = '{district}' and date_trunc('month', opened_at) = {NEWEST}"
    )
    assert f"\n{requests:,}\n" in shown["Requests opened"]
    # Districts stand beside each other whichever is chosen.
    assert name in shown["Districts against target"]


#: Script that keeps the words that a page draws; a chart's are on no element of it.
KEEP_WORDS = """
const draw = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
  (this.canvas.words ??= []).push(text);
  return draw.call(this, text, ...place);
};
"""
#: Script that returns them, by the chart's title.
READ_WORDS = """
() => Object.fromEntries(
  [...document.querySelectorAll('.dashboard-component-chart-holder')].map(holder => [
    holder.querySelector('.header-title')?.innerText ?? '',
    [...holder.querySelectorAll('canvas')].flatMap(canvas => canvas.words ?? []),
  ]))
"""


@pytest.mark.parametrize("width", [1440, 390])
def test_timelines_have_the_events_of_their_own_city(stack, nyc, overview, width):
    events = stack.sql("select city_id, title from reporting.rpt_event")
    titles = {city: {title for of, title in events if of == city} for city in ("demo", "nyc")}
    assert len(titles["demo"]) >= 4 and len(titles["nyc"]) >= 4
    assert not titles["demo"] & titles["nyc"]
    for city, other in (("demo", "nyc"), ("nyc", "demo")):
        name = stack.value(f"select city_name from marts.dim_city where city_id = '{city}'")
        with opened(stack, filters=choose(overview, City=name), width=width) as page:
            page.add_init_script(KEEP_WORDS)
            page.reload()
            wait_until_drawn(page)
            timelines = [overview.charts[name].title for name in ("refuse", "recycling")]
            # New York's tonnage ends in 2020, so that not all of its events are on its lines.
            wanted = len(titles["demo"]) if city == "demo" else 4
            # A chart has its words some time after its canvas, on a busy machine a long one.
            deadline = time.monotonic() + 120
            while True:
                drawn = page.evaluate(READ_WORDS)
                found = [titles[city] & set(drawn[title]) for title in timelines]
                if all(len(shown) >= wanted for shown in found) or time.monotonic() > deadline:
                    break
                page.wait_for_timeout(500)
            save_picture(page, PICTURES / f"events-{city}-{width}.png")
        assert all(len(shown) >= wanted for shown in found), (city, found)
        everywhere = {word for words in drawn.values() for word in words}
        assert not titles[other] & everywhere


@pytest.mark.parametrize("width", [1440, 390])
def test_a_figure_opens_the_page_that_explains_it(stack, width):
    with opened(stack, width=width) as page:
        link = page.locator("tr", has_text="Closed on time").get_by_text("explain").first
        link.scroll_into_view_if_needed()
        link.click()
        page.wait_for_url("**/explain/?*")
        text = page.locator("main").inner_text()
        found = findings(page)
        asked = {name: page.locator(f"[name={name}]").input_value() for name in ASKED}
        page.get_by_text("Show 100").click()
        page.wait_for_url("**rows=100*")
        rows = page.locator("[aria-label=Records] tbody tr").count()
    assert found == []
    options = ("--city", asked["city"], "--district", asked["district"])
    command = ("kpi", "explain", asked["indicator"], *options, "--period", asked["period"])
    told = json.loads(stack.command(*command, "--json").stdout)
    assert told["definition"]["name"] == "Closed on time" and told["value"]["district_id"] == "*"
    value = told["value"]
    assert f"{value['value']:.1f} %" in text and f"{value['n']:,}" in text
    for said in (
        told["definition"]["meaning"],
        told["events"][0]["service_request_id"],
        told["sources"][0]["loads"][0]["files"][0]["path"],
        told["quarantine"][0]["reason"],
    ):
        assert said in text
    assert rows == min(100, value["n"])


def test_a_click_on_a_bar_empties_no_chart(stack):
    with opened(stack) as page:
        holder = page.locator(".dashboard-component-chart-holder", has_text="wait longest")
        box = holder.locator("canvas").first.bounding_box()
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 30)
        page.wait_for_timeout(3000)
        wait_until_drawn(page)
        assert problems(look(page)) == NOTHING_TO_NOTE


def test_on_a_phone_every_card_is_as_wide_as_the_screen_at_most(stack):
    with opened(stack, width=390) as page:
        assert problems(look(page)) == NOTHING_TO_NOTE
        cards = page.evaluate(
            "() => [...document.querySelectorAll('.dashboard-component-chart-holder')]"
            ".map(card => card.getBoundingClientRect()).map(box => [box.left, box.width])"
        )
        tiles = page.locator(".superset-legacy-chart-big-number .header-line")
        sizes = [
            float(tile.evaluate("e => parseFloat(getComputedStyle(e).fontSize)"))
            for tile in tiles.all()
        ]
        wide = page.evaluate("document.documentElement.scrollWidth")
        warning = page.get_by_text("Simulated: this city does not exist").bounding_box()
    assert all(left >= 0 and left + width <= 390 and width >= 150 for left, width in cards)
    assert wide == 390
    assert warning["x"] >= 0 and warning["x"] + warning["width"] <= 390
    assert min(sizes) >= 20


def test_a_picture_of_a_short_page_ends_with_its_last_card(stack, tmp_path):
    settings = stack.settings
    login = settings.url("superset"), settings.admin_user, settings.admin_password
    path = tmp_path / "page.png"
    with open_dashboard(*login, "all-measures", executable=ensure()) as page:
        save_picture(page, path)
        window = page.viewport_size["height"]
        bottoms = page.evaluate(
            "() => [...document.querySelectorAll('.dashboard-component-chart-holder')]"
            ".map(card => card.getBoundingClientRect().bottom)"
        )
    height = int.from_bytes(path.read_bytes()[20:24], "big")
    assert max(bottoms) <= height <= max(bottoms) + 40 < window


def test_a_second_push_changes_nothing(stack):
    stack.command("dashboards", "push")
    output = stack.command("dashboards", "push").stdout
    assert output.startswith("0 created, 0 changed, ")
    assert ", 0 removed" in output


def test_what_was_changed_by_hand_is_set_back(stack, superset, overview):
    push_code(stack)
    chart = by_uuid(superset, "chart")[overview.charts["refuse"].uuid]
    dataset = by_uuid(superset, "dataset")[overview.datasets["area_kpi_month"].uuid]
    board = superset.get("/api/v1/dashboard/city-overview")["result"]
    superset.put("chart", chart["id"], {"slice_name": "Rubbish", "viz_type": "table"})
    superset.put("dataset", dataset["id"], {"metrics": []})
    superset.put("dashboard", board["id"], {"css": "", "position_json": "{}"})

    report = push_code(stack)
    changed = {c.place: c.detail for c in report.changes if c.action == "changed"}
    assert changed == {
        "city_overview/charts/refuse": "title, type",
        "datasets/area_kpi_month": "metrics",
        "city_overview": "css, rows",
    }
    assert (
        by_uuid(superset, "chart")[chart["uuid"]]["slice_name"] == overview.charts["refuse"].title
    )
    assert push_code(stack).count("changed") == 0


def test_a_chart_that_left_the_code_leaves_superset_and_a_persons_stays(
    stack, superset, overview, code
):
    push_code(stack)
    ours = overview.charts["worst_topics"]
    current = by_uuid(superset, "chart")[ours.uuid]
    # As "Save as" does it: the same settings and certification, another UUID.
    copied = superset.post(
        "chart",
        {
            "slice_name": "My topics",
            "viz_type": current["viz_type"],
            "params": current["params"],
            "datasource_id": current["datasource_id"],
            "datasource_type": "table",
            "certified_by": current["certified_by"],
            "certification_details": current["certification_details"],
        },
    )
    try:
        without_chart(code, "worst_topics")
        report = push_code(stack, code)
        actions = {(c.kind, c.place): c.action for c in report.changes if c.action != "unchanged"}
        assert actions == {
            ("dashboard", "city_overview"): "changed",
            ("chart", "city_overview/charts/worst_topics"): "removed",
            ("dataset", "datasets/area_topic_year"): "kept",
        }
        charts = superset.items("chart")
        names = {c["id"]: c["slice_name"] for c in charts}
        assert ours.title not in names.values()
        assert names[copied] == "My topics"
        assert members(superset) == {c.title for c in overview.charts.values()} - {ours.title}
    finally:
        superset.delete("chart", copied)
    # No chart uses the dataset any more: it goes, too.
    assert push_code(stack, code).count("removed") == 1
    assert place_uuid("datasets/area_topic_year") not in by_uuid(superset, "dataset")

    back = push_code(stack)
    assert (back.count("created"), back.count("removed")) == (2, 0)
    assert members(superset) == {c.title for c in overview.charts.values()}


def test_a_persons_metric_and_dashboard_stay(stack, superset, overview):
    push_code(stack)
    dataset = by_uuid(superset, "dataset")[overview.datasets["city_status"].uuid]
    before = metrics_of(superset, dataset["id"])
    mine = {"metric_name": "mine", "expression": "COUNT(*)"}
    superset.put("dataset", dataset["id"], {"metrics": [*before, mine]})
    board = superset.post("dashboard", {"dashboard_title": "Mine"})
    try:
        assert push_code(stack).count("changed") == 0
        current = superset.get(f"/api/v1/dataset/{dataset['id']}")["result"]
        assert "mine" in {m["metric_name"] for m in current["metrics"]}
        assert "Mine" in {d["dashboard_title"] for d in superset.items("dashboard")}
    finally:
        superset.delete("dashboard", board)
        superset.put("dataset", dataset["id"], {"metrics": before})


def test_superset_reads_the_warehouse_as_its_reader_only(stack, superset):
    (database,) = [d for d in superset.items("database") if d["uuid"] == place_uuid("warehouse")]
    current = superset.get(f"/api/v1/database/{database['id']}/connection")["result"]
    assert "//dashboards:XXXXXXXXXX@" in current["sqlalchemy_uri"]
    assert current["allow_dml"] is False
    assert stack.settings.secret("postgres_dashboards") not in json.dumps(current)


def test_a_login_refused_in_the_browser_is_reported(stack):
    url = stack.settings.url("superset")
    arguments = {"executable": ensure(), "timeout": 60}
    with (
        pytest.raises(PageError, match="refuses the login of 'admin' in the browser"),
        open_dashboard(url, "admin", "not the password", "city-overview", **arguments),
    ):
        pass


def test_errors_name_the_remedy(stack, code):
    settings = stack.settings
    url, warehouse = settings.url("superset"), settings.database_url("dashboards")
    with pytest.raises(SupersetError, match=r"refuses the login of 'admin'.*cityloom up"):
        push(url, "admin", "not the password", warehouse)
    nowhere = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(SupersetError, match=r"no server answers at .*cityloom up"):
        push(nowhere, "admin", settings.admin_password, warehouse)

    path = code / "datasets/city_status.yml"
    path.write_text(path.read_text().replace("rpt_city_status", "rpt_city_never_built"))
    with pytest.raises(RelationMissing, match=r"no relation reporting.rpt_city_never_built"):
        push_code(stack, code)
    assert push_code(stack).count("removed") == 0
