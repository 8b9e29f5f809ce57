"""Whatever the filters say, each number that a chart gets is the warehouse's, or none is shown."""

import copy
import os
import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from dashboards.browser import choose, look, open_dashboard, wait_until_drawn
from dashboards.chromium import ensure
from dashboards.code import Chart, Dashboard, Dataset, Filter, TimeRange, load_dashboards
from dashboards.superset import Superset

#: States drawn in all, a share of them for each page.
STATES = int(os.environ.get("CITYLOOM_FILTER_STATES", "30"))
PAGES = [dashboard.slug for dashboard in load_dashboards()]
SEED = int(os.environ.get("CITYLOOM_FILTER_SEED", "20261126"))
WHOLE_CITY = "Whole city"
#: The relations that change without a build.
LIVE = ("reporting.rpt_service_status", "reporting.rpt_department_source")
#: Charts of residents' comments.
VOICE = (
    "net_sentiment",
    "comments_read",
    "sentiment_shares",
    "worst_topics",
    "sentiment_by_channel",
)
CLEAR = '[data-test="filter-bar__clear-button"]'
APPLY = '[data-test="filter-bar__apply-button"]'
CHOICE = '[data-test="form-item-value"]'

Row = dict[str, Any]


@dataclass(frozen=True)
class Period:
    """From a day to another, which is not in it any more."""

    first: date
    end: date

    def __str__(self) -> str:
        """In Superset's words."""
        return f"{self.first} : {self.end}"


def picked(column: str, scale: float = 1) -> Callable[[list[Row]], Any]:
    """A figure that is in one row: none where there are several."""

    def figure(rows: list[Row]) -> Any:
        (value,) = (row[column] for row in rows) if len(rows) == 1 else (None,)
        return value if value is None or scale == 1 else value / scale

    return figure


def duration(rows: list[Row]) -> Any:
    """Days as milliseconds, to the hour, or below a day to the minute; of one row."""
    days = picked("value")(rows)
    if days is None:
        return None
    return round(days * 24) * 3_600_000 if days >= 1 else round(days * 1440) * 60_000


def added(column: str) -> Callable[[list[Row]], Any]:
    """A sum over rows; none where none is known."""

    def figure(rows: list[Row]) -> Any:
        known = [row[column] for row in rows if row[column] is not None]
        return sum(known) if known else None

    return figure


def net_sentiment(rows: list[Row]) -> Any:
    """Net sentiment over several years."""
    comments = sum(row["n"] for row in rows)
    return sum(row["positives"] - row["negatives"] for row in rows) / comments if comments else None


def complete(part: str, column: str) -> Callable[[list[Row]], Any]:
    """What is in one row, if its month is one that the part's source covers wholly."""
    return lambda rows: picked(column)(rows) if picked(f"{part}_complete")(rows) else None


#: How each metric follows from the rows of its relation, written here a second time.
METRICS: dict[str, dict[str, Callable[[list[Row]], Any]]] = {
    "area_kpi_month": {
        **dict.fromkeys(
            ["value", "refuse", "recycling", "injury_collisions", "missed_stops", "net_sentiment"],
            picked("value"),
        ),
        **dict.fromkeys(["of_hundred", "on_time"], picked("value", 100)),
        "duration": duration,
        "target": picked("target"),
        "n": picked("n"),
    },
    "area_channel_quarter": {"net_sentiment": picked("net_sentiment"), "n": picked("n")},
    "area_department_month": {"requests_opened": added("requests_opened")},
    "area_sentiment_month": {
        **{part: picked(f"{part}_share") for part in ("negative", "neutral", "positive")},
        "n": picked("n"),
    },
    "area_topic_year": {"net_sentiment": net_sentiment, "n": added("n")},
    "district_month": {
        name: complete(part, column)
        for name, part, column in [
            ("requests_opened", "requests", "requests_opened"),
            ("on_time", "due", "closed_on_time_pct"),
            ("requests_due", "due", "requests_due"),
            ("median_days_to_close", "closings", "median_days_to_close"),
            ("refuse_tons_per_1000", "refuse", "refuse_tons_per_1000"),
            ("recycling_rate", "recycling", "recycling_rate"),
            ("missed_stops_per_10000", "rounds", "missed_stops_per_10000"),
            ("injury_collisions_per_10000", "collisions", "injury_collisions_per_10000"),
            ("calls_answered_pct", "calls", "calls_answered_pct"),
            ("comments", "comments", "comments"),
            ("net_sentiment", "comments", "net_sentiment"),
        ]
    },
    "department_month": {
        "backlog": picked("requests_backlog"),
        "backlog_age": picked("median_backlog_age"),
    },
    "peer_standing": {"percentile": picked("percentile")},
    "district_map": {"against_city": picked("drawn_value")},
    "district_scorecard": {
        "median_time_to_close": picked("median_ms_to_close"),
        "on_time": picked("closed_on_time_pct"),
        "net_sentiment": picked("net_sentiment"),
        "comments": picked("comments_n"),
    },
}


@dataclass(frozen=True)
class Answer:
    """What a chart gets: figures by their place (x, series) or lines of a table, and the rows.

    `events` has the titles of what happened in the city, on a timeline.
    """

    figures: dict[Any, Any]
    rows: int
    events: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class State:
    """What the filters say: values by the filter's name; a filter that is not in it is cleared."""

    values: dict[str, Any] = field(default_factory=dict)

    def chosen(self, dashboard: Dashboard, chart: str) -> dict[str, Any]:
        """The values that reach a chart, or the period, by column."""
        return {
            str(item.column or time_of(dashboard.charts[chart])): self.values[item.name]
            for item in dashboard.filters
            if item.name in self.values and chart not in item.not_on
        }


def time_of(chart: Chart) -> str:
    """The column of a chart that the page's period is of."""
    (column,) = (name for name, wanted in chart.where.items() if isinstance(wanted, TimeRange))
    return column


@dataclass(frozen=True)
class Shape:
    """By what a chart groups its figures: their place, then series, and the metrics."""

    place: tuple[str, ...]
    series: tuple[str, ...]
    metrics: tuple[str, ...]

    @classmethod
    def of(cls, chart: Chart) -> "Shape":
        """The shape of a chart that has metrics, by its type."""
        params = chart.params
        if chart.type == "bubble_v2":
            return cls((params["entity"],), (), (params["x"], params["y"], params["size"]))
        if chart.type == "deck_polygon":
            shown = (item["column_name"] for item in params["tooltip_contents"])
            return cls((params["line_column"], *shown), (), (params["metric"],))
        groups, metrics = tuple(params.get("groupby") or ()), tuple(params.get("metrics") or ())
        if chart.type == "table":
            return cls(groups, (), metrics)
        return cls((params["x_axis"],), groups, metrics or (params["metric"],))


class Warehouse:
    """The rows behind the charts, read once."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._rows: dict[str, list[Row]] = {}

    def rows(self, relation: str, condition: str = "true") -> list[Row]:
        """The rows of a relation; read again where it is a view that follows the loads."""
        query = f"select * from {relation} where {condition}"
        if query not in self._rows or relation in LIVE:
            with psycopg.connect(self.url, row_factory=dict_row) as connection:
                self._rows[query] = connection.execute(query).fetchall()
        return self._rows[query]

    def options(self, item: Filter, dashboard: Dashboard) -> dict[str, list[Any]]:
        """What can be chosen in a filter, by city."""
        found = defaultdict(set)
        for row in self.rows(dashboard.datasets[str(item.dataset)].relation):
            found[row["city_name"]].add(row[str(item.column)])
        return {city: sorted(values) for city, values in sorted(found.items())}

    def draw(self, dashboard: Dashboard, by_lot: random.Random) -> State:
        """A state of the filters by lot: whole, in part cleared, or of two that do not fit."""
        selects = [item for item in dashboard.filters if item.type == "select"]
        options = {item.name: self.options(item, dashboard) for item in selects}
        cities = list(options["City"])
        city, other = by_lot.choice(cities), by_lot.choice(cities)
        values: dict[str, Any] = {}
        for item in dashboard.filters:
            if item.type == "time_range" and by_lot.random() < 0.7:
                first = date(by_lot.choice([2019, 2023, 2024]), by_lot.choice([1, 2, 6]), 1)
                values[item.name] = Period(first, first + timedelta(by_lot.choice([45, 200, 800])))
        for item in selects:
            luck = by_lot.random()
            of = options[item.name].get(other if luck < 0.2 else city, [])
            if luck > 0.8 or not of:
                continue
            count = 1 if item.single else min(by_lot.choice([1, 2]), len(of))
            values[item.name] = [city] if item.name == "City" else by_lot.sample(of, count)
            if item.default in of and 0.4 < luck < 0.6:
                values[item.name] = [item.default]
        return State(values)

    def answers(
        self, chart: Chart, dataset: Dataset, choices: list[dict[str, Any]]
    ) -> list[Answer]:
        """What a chart should get when the filters that reach it have these values, by column."""
        extra = [
            item["sqlExpression"]
            for item in chart.params.get("adhoc_filters", [])
            if item["clause"] == "WHERE"
        ]
        rows = self.rows(dataset.relation, " and ".join(["true", *extra]))
        of_chart = selected(rows, chart.where)
        return [self._answer(chart, dataset, selected(of_chart, chosen)) for chosen in choices]

    def events(self, chart: Chart, chosen: dict[str, list[Any]]) -> list[str]:
        """The titles of what happened in the one city that a timeline shows."""
        if not chart.is_timeline or len(chosen.get("city_name", [])) != 1:
            return []
        departments = chosen.get("department_name")
        return sorted(
            row["title"]
            for row in self.rows("reporting.rpt_event")
            if row["city_name"] in chosen["city_name"]
            and (not departments or row["department_name"] in (None, *departments))
        )

    def _answer(self, chart: Chart, dataset: Dataset, rows: list[Row]) -> Answer:
        params = chart.params
        if params.get("query_mode") == "raw":
            lines = [tuple(plain(row[name]) for name in params["all_columns"]) for row in rows]
            return Answer({line: lines.count(line) for line in lines}, len(rows))
        shape = Shape.of(chart)
        refused = any(len({row[column] for row in rows}) > 1 for column in dataset.one)
        several = dataset.area and len({row[dataset.area] for row in rows}) > 1
        groups: dict[tuple, list[Row]] = defaultdict(list)
        for row in rows:
            groups[tuple(row[name] for name in (*shape.place, *shape.series))].append(row)
        figures = {}
        for place, members in groups.items():
            counted = [row for row in members if row[dataset.area] == "*"] if several else members
            for metric in shape.metrics:
                value = None if refused else METRICS[dataset.name][metric](counted)
                if value is not None:
                    name = place[-1] if shape.series else metric
                    at = tuple(plain(part) for part in place[: len(shape.place)])
                    figures[at, name] = plain(value)
        return Answer(figures, len(rows))


def selected(rows: list[Row], conditions: Mapping[str, Any]) -> list[Row]:
    """The rows that meet all conditions, by column."""
    for column, condition in conditions.items():
        rows = [row for row in rows if matches(row[column], condition)]
    return rows


def matches(value: Any, condition: Any) -> bool:
    """Whether a value meets a condition of a chart's `where`, or is one of a filter's."""
    if isinstance(condition, TimeRange):
        assert condition.time_range == "No filter"
        return True
    if isinstance(condition, Period):
        day = value.date() if isinstance(value, datetime) else value
        return value is not None and condition.first <= day < condition.end
    if condition is None:
        return value is not None
    if isinstance(condition, bool):
        return value is condition
    return value in (condition if isinstance(condition, (list, tuple)) else [condition])


def plain(value: Any) -> Any:
    """A value in one spelling: numbers to 9 digits, times in milliseconds, as the API has them."""
    if isinstance(value, date):
        moment = value if isinstance(value, datetime) else datetime.combine(value, time())
        value = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return value
    # Times of this century have 13 digits before the point.
    return round(value) if abs(value) > 1e11 else float(f"{value:.9g}")


@dataclass
class Page:
    """The requests that a dashboard's page made for its charts, to be asked again."""

    dashboard: Dashboard
    requests: dict[str, dict[str, Any]]

    def answers(
        self, superset: Superset, chart: Chart, choices: list[dict[str, Any]]
    ) -> list[Answer]:
        """What a chart gets from Superset when the filters have these values, in one request."""
        body = copy.deepcopy(self.requests[chart.name])
        (asked,) = body["queries"]
        columns = {item.column for item in self.dashboard.filters} - set(chart.where)
        others = [item for item in asked["filters"] if item["col"] not in columns]
        body["queries"] = [
            {
                **asked,
                "filters": others
                + [
                    {"col": column, "op": "IN", "val": values}
                    for column, values in chosen.items()
                    if not isinstance(values, Period)
                ],
                # As the page sends it: the server gives it to the chart's condition on time.
                "time_range": next(
                    (str(value) for value in chosen.values() if isinstance(value, Period)), None
                ),
            }
            for chosen in choices
        ]
        answer = superset._http.post("/api/v1/chart/data", json=body)
        assert answer.is_success, answer.text
        results = answer.json()["result"]
        return [read_answer(chart, result) for result in results]


def read_answer(chart: Chart, result: dict[str, Any]) -> Answer:
    """The figures in an answer of Superset's chart data API."""
    params, data = chart.params, result["data"]
    if params.get("query_mode") == "raw":
        lines = [tuple(plain(row[name]) for name in params["all_columns"]) for row in data]
        return Answer({line: lines.count(line) for line in lines}, len(lines))
    place = Shape.of(chart).place
    figures = {
        (tuple(plain(row[part]) for part in place), name): plain(value)
        for row in data
        for name, value in row.items()
        if name not in place and value is not None
    }
    layers = (result.get("annotation_data") or {}).values()
    titles = [record["short_descr"] for layer in layers for record in layer["records"]]
    # One line has the titles of those that are close to it.
    events = sorted(title for several in titles if several for title in several.split("\n"))
    return Answer(figures, len(data), events)


def with_others(got: Answer, wanted: Answer) -> Answer:
    """What a chart should get that adds up the series which it does not show."""
    shown = {name for _, name in got.figures}
    figures: dict[Any, Any] = defaultdict(float)
    for (place, name), value in wanted.figures.items():
        figures[place, name if name in shown else "Others"] += value
    return Answer(dict(figures), wanted.rows)


def differences(got: Answer, wanted: Answer, chart: Chart) -> list[str]:
    """Return a line for each figure that differs, or is missing without a limit on lines."""
    if chart.params.get("group_others_when_limit_reached"):
        wanted = with_others(got, wanted)
    lines = [
        f"{place}: shows {value}, the warehouse has {wanted.figures.get(place)}"
        for place, value in got.figures.items()
        if wanted.figures.get(place) != value
    ]
    missing = [place for place in wanted.figures if place not in got.figures]
    limit = chart.params.get("row_limit") or 10_000
    if missing and not chart.params.get("limit") and len(got.figures) < limit:
        lines.append(f"{len(missing)} figures are missing, {missing[0]} for one")
    return lines


@pytest.fixture(scope="module")
def overview() -> Dashboard:
    (dashboard,) = (d for d in load_dashboards() if d.slug == "city-overview")
    return dashboard


@pytest.fixture(scope="module")
def cities(stack, request) -> Warehouse:
    """The demo city and New York, where its files are."""
    request.getfixturevalue("demo")
    request.getfixturevalue("nyc")
    stack.command("dashboards", "push")
    return Warehouse(stack.settings.database_url("analyst"))


def names_of(cities: Warehouse) -> list[str]:
    """The demo city's name and New York's."""
    names = {row["city_id"]: row["city_name"] for row in cities.rows("reporting.rpt_city_status")}
    return [names["demo"], names["nyc"]]


def opened(stack, dashboard: Dashboard, **choices: str) -> AbstractContextManager:
    settings = stack.settings
    login = settings.url("superset"), settings.admin_user, settings.admin_password
    filters = choose(dashboard, **choices) if choices else ""
    return open_dashboard(*login, dashboard.slug, executable=ensure(), filters=filters)


def requests_of(page, dashboard: Dashboard, superset: Superset) -> Page:
    """Reload a page and keep what it asks for its charts."""
    bodies: list[dict[str, Any]] = []

    def keep(request) -> None:
        if "/api/v1/chart/data" in request.url:
            bodies.append(request.post_data_json)

    page.on("request", keep)
    page.reload()
    wait_until_drawn(page)
    page.remove_listener("request", keep)
    names = {chart.uuid: chart.name for chart in dashboard.charts.values()}
    ids = {item["id"]: names.get(item["uuid"]) for item in superset.items("chart")}
    found = {ids.get(body["form_data"].get("slice_id")): body for body in bodies}
    requests = {str(name): body for name, body in found.items() if name}
    assert sorted(requests) == sorted(dashboard.charts)
    return Page(dashboard, requests)


@pytest.mark.parametrize("slug", PAGES)
def test_in_any_state_of_the_filters_each_figure_is_the_warehouses(stack, cities, slug):
    dashboard = next(d for d in load_dashboards() if d.slug == slug)
    settings = stack.settings
    login = settings.url("superset"), settings.admin_user, settings.admin_password
    by_lot = random.Random(SEED)
    states = [cities.draw(dashboard, by_lot) for _ in range(STATES // len(PAGES))]
    wrong = []
    with Superset(*login) as superset:
        with opened(stack, dashboard) as browser:
            page = requests_of(browser, dashboard, superset)
        for chart in dashboard.charts.values():
            of_states = [state.chosen(dashboard, chart.name) for state in states]
            choices = [c for i, c in enumerate(of_states) if c not in of_states[:i]]
            dataset = dashboard.datasets[chart.dataset]
            wanted = cities.answers(chart, dataset, choices)
            got = page.answers(superset, chart, choices)
            if dataset.relation in LIVE and got != wanted:
                # A scheduled load ended between the two.
                wanted = cities.answers(chart, dataset, choices)
                got = page.answers(superset, chart, choices)
            for chosen, shown, right in zip(choices, got, wanted, strict=True):
                found = differences(shown, right, chart)
                if shown.events != (events := cities.events(chart, chosen)):
                    found.append(f"shows the events {shown.events}, not {events}")
                # Without a row Superset says in the words of `empty` that there is nothing. Rows
                # without a figure may be those of several cities: the page says that, see below.
                if shown.rows and not shown.figures and "city_name" in chosen:
                    found.append("is blank and does not say why")
                wrong += [f"{chart.name} with {chosen}: {line}" for line in found]
    assert not wrong, f"CITYLOOM_FILTER_SEED={SEED}: " + "\n".join(wrong[:20])


def test_clear_all_leaves_no_figure_of_several_cities(stack, cities, overview):
    with opened(stack, overview) as page:
        page.locator(CLEAR).click()
        page.wait_for_timeout(2000)
        wait_until_drawn(page)
        shown = {chart.title: chart.text for chart in look(page)}
        said = page.evaluate(
            "() => [...document.querySelectorAll('.dashboard-component-chart-holder')]"
            ".map(e => getComputedStyle(e, '::after').content)"
        )
    assert all(name in shown[overview.charts["city_status"].title] for name in names_of(cities))
    assert said.count('"Choose one city under City, then press Apply."') == len(shown) - 1


def test_a_period_reaches_the_timelines_and_no_tile(stack, cities, overview):
    demo, _ = names_of(cities)
    answers: dict[str, list[Row]] = {}

    def keep(response) -> None:
        if "/api/v1/chart/data" in response.url:
            answers[response.request.post_data_json["form_data"].get("slice_id")] = response.json()

    with opened(stack, overview, City=demo, Period="2023-02-01 : 2023-05-01") as page:
        page.on("response", keep)
        page.reload()
        wait_until_drawn(page)
        # What a reader sees in the filter, and on what it does not reach.
        shown = page.locator(CHOICE).last.inner_text()
        page.remove_listener("response", keep)
    assert "2023-02-01" in shown
    login = stack.settings.url("superset"), stack.settings.admin_user, stack.settings.admin_password
    with Superset(*login) as superset:
        ids = {item["uuid"]: item["id"] for item in superset.items("chart")}
    months = {
        name: sorted({row["month"] for row in answers[ids[chart.uuid]]["result"][0]["data"]})
        for name, chart in overview.charts.items()
        if name in ("refuse", "closed_on_time")
    }
    drawn = [datetime.fromtimestamp(month / 1000, UTC).date() for month in months["refuse"]]
    assert drawn == [date(2023, 2, 1), date(2023, 3, 1), date(2023, 4, 1)]
    assert len(months["closed_on_time"]) > 12


#: Charts that New York has nothing for: of its newest full month too few requests were closed.
WITHOUT = {
    "city-overview": (*VOICE, "closed_on_time", "days_to_close"),
    "voice-and-work": (
        "sentiment_and_work",
        "missed_by_month",
        "sentiment_by_month",
        "relations",
    ),
}


@pytest.mark.parametrize("slug", WITHOUT)
def test_another_city_begins_with_its_whole_city(stack, cities, slug):
    dashboard = next(d for d in load_dashboards() if d.slug == slug)
    demo, nyc = names_of(cities)
    district = next(
        row["area"]
        for row in cities.rows("reporting.rpt_area_kpi_month")
        if row["city_name"] == demo and row["district_id"] != "*"
    )
    with opened(stack, dashboard, City=demo, District=district) as page:
        page.locator(CHOICE).first.locator(".ant-select").first.click()
        page.keyboard.type(nyc)
        page.keyboard.press("Enter")
        page.locator(CHOICE).nth(1).get_by_text(WHOLE_CITY).wait_for()
        page.locator(APPLY).click()
        page.wait_for_timeout(2000)
        wait_until_drawn(page)
        charts = look(page)
    # New York has no residents' comments and no collection rounds, which its charts say.
    without = {dashboard.charts[name].title for name in WITHOUT[slug]}
    assert {chart.title for chart in charts if chart.problem} == without
    city_table = dashboard.charts[str(dashboard.one_city)].title
    assert nyc in next(c.text for c in charts if c.title == city_table)


def test_a_value_that_does_not_exist_cannot_be_typed(stack, cities, overview):
    with opened(stack, overview) as page:
        page.locator(CHOICE).first.locator(".ant-select").first.click()
        page.keyboard.type("Atlantis")
        page.keyboard.press("Enter")
        page.wait_for_timeout(1000)
        assert page.locator(APPLY).is_disabled()
        assert overview.charts["city_status"].title in {c.title for c in look(page) if c.drawn}
