"""A dataset's metrics on rows of several cities, areas and measures: right, or nothing."""

import psycopg
import pytest

from dashboards.code import load_code

TABLE = "kpi_month"
#: City, district, measure, month, value.
ROWS = [
    ("a", "*", "on_time", "2024-01-01", 67.8),
    ("a", "north", "on_time", "2024-01-01", 85.9),
    ("a", "south", "on_time", "2024-01-01", 50.0),
    ("a", "*", "opened", "2024-01-01", 3500),
    ("a", "*", "on_time", "2024-02-01", 70.0),
    ("a", "north", "on_time", "2024-02-01", 90.0),
    # Only city b, and only one district, have this month.
    ("b", "*", "on_time", "2023-12-01", 99.0),
    ("b", "east", "on_time", "2023-12-01", 99.5),
]


@pytest.fixture(scope="module")
def connection(warehouse):
    with psycopg.connect(warehouse.url) as connection:
        connection.execute(
            f"create temp table {TABLE} (city_id text, district_id text, metric_id text, "
            "month date, value double precision)"
        )
        with connection.cursor() as cursor:
            cursor.executemany(f"insert into {TABLE} values (%s, %s, %s, %s, %s)", ROWS)
        yield connection


@pytest.fixture(scope="module")
def value():
    """The metric of the code that picks a KPI's value."""
    return load_code().datasets["area_kpi_month"].expression("value")


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("city_id = 'a' and metric_id = 'on_time' and district_id = '*'", {1: 67.8, 2: 70.0}),
        ("city_id = 'a' and metric_id = 'on_time' and district_id = 'north'", {1: 85.9, 2: 90.0}),
        # No district is chosen: the whole city, not the best district.
        ("city_id = 'a' and metric_id = 'on_time'", {1: 67.8, 2: 70.0}),
        # Several districts are no area.
        ("city_id = 'a' and metric_id = 'on_time' and district_id <> '*'", {1: None, 2: None}),
        # No city, or no measure: nothing, also in months that only one of them has.
        ("metric_id = 'on_time' and district_id = '*'", {12: None, 1: None, 2: None}),
        ("metric_id = 'on_time'", {12: None, 1: None, 2: None}),
        ("city_id = 'a' and district_id = '*'", {1: None, 2: None}),
        ("true", {12: None, 1: None, 2: None}),
    ],
)
def test_a_value_is_of_one_city_measure_and_area_or_nothing(connection, value, where, expected):
    rows = connection.execute(
        f"select extract(month from month)::int, {value} from {TABLE} where {where} group by month"
    ).fetchall()
    assert dict(rows) == expected


def test_months_are_not_merged_into_a_year(connection, value):
    rows = connection.execute(
        f"select {value} from {TABLE} where city_id = 'a' and metric_id = 'on_time' "
        "and district_id = '*' group by date_trunc('year', month)"
    ).fetchall()
    assert rows == [(None,)]


def test_a_sum_without_a_district_counts_nobody_twice(connection):
    dataset = load_code().datasets["area_department_month"]
    sql = dataset.expression("requests_opened").replace("requests_opened", "value")
    city = f"select {sql} from {TABLE} where city_id = 'a' and metric_id = 'on_time'"
    assert connection.execute(city).fetchall() == [(137.8,)]
    assert connection.execute(f"{city} and district_id = 'north'").fetchall() == [(175.9,)]
    assert connection.execute(f"select {sql} from {TABLE}").fetchall() == [(None,)]


def test_every_aggregate_of_several_areas_is_guarded():
    """No metric of a relation with rows of a district and of the whole city is left to the page."""
    unguarded = {
        f"{dataset.name}.{name}"
        for dataset in load_code().datasets.values()
        for name in dataset.metrics
        if "OVER ()" not in dataset.expression(name)
    }
    assert unguarded == {"area_kpi_month.area_order"}
