"""A timeline has the events of the city that its page shows, as far as its reader may read them."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import psycopg
import pytest

from dashboards.bundle import event_layers
from dashboards.code import place_uuid

#: By reader, the events of the first city and of the second: here `rpt_event` is of the tier
#: `department`.
SHOWN = {
    "analyst": (["Strike\nMarathon"], ["Blizzard"]),
    "cio": (["Strike\nMarathon"], ["Blizzard"]),
    "data_engineer": (["Strike\nMarathon"], ["Blizzard"]),
    "head": (["Strike"], []),
    "department_head": ([], []),
    "reader_open": ([], []),
}


def cities(*names: str) -> list[dict]:
    return [{"col": "city_name", "op": "IN", "val": list(names)}]


LOOMFIELD, NEW_YORK = cities("Loomfield"), cities("New York")


def line(superset, user, filters, **query):
    """Return what a timeline gets."""
    asked = {
        "columns": [
            {
                **{"expressionType": "SQL", "sqlExpression": "month", "label": "month"},
                **{"columnType": "BASE_AXIS", "timeGrain": "P1M"},
            }
        ],
        "metrics": [{"expressionType": "SQL", "sqlExpression": "max(value)", "label": "value"}],
        "filters": filters,
        "extras": {"time_grain_sqla": "P1M"},
        "annotation_layers": event_layers(place_uuid("rpt_event")),
        **query,
    }
    status, answer = superset.chart(user, "rpt_line", **asked)
    assert status == 200, answer
    (result,) = answer["result"]
    return result


def titles(superset, user, filters, **query):
    """Return the titles of events on a timeline."""
    found = line(superset, user, filters, **query)["annotation_data"]
    assert set(found) == {""}
    return [record["short_descr"] for record in found[""]["records"]]


def test_each_reader_gets_the_citys_events_that_the_reader_may_read(superset):
    """From the widest role to the narrowest and twice, so that each could get the one before's."""
    for _ in range(2):
        for user, (of_first, of_second) in SHOWN.items():
            assert titles(superset, user, LOOMFIELD) == of_first, user
            assert titles(superset, user, NEW_YORK) == of_second, user


@pytest.mark.parametrize(
    "filters",
    [
        [],
        cities("Loomfield", "New York"),
        [*LOOMFIELD, *NEW_YORK],
        cities("Elsewhere"),
        [{"col": "city_name", "op": "LIKE", "val": "Loom%"}],
    ],
)
def test_without_one_city_there_is_no_event(superset, filters):
    assert titles(superset, "cio", LOOMFIELD) == ["Strike\nMarathon"]
    assert titles(superset, "cio", filters) == []


def test_an_event_is_at_the_points_of_its_months(superset):
    def moments(**query):
        result = line(superset, "head", LOOMFIELD, **query)
        (event,) = result["annotation_data"][""]["records"]
        return [
            datetime.fromtimestamp(event[key] / 1000, UTC).date().isoformat()
            for key in ("start_dttm", "end_dttm")
        ]

    assert moments() == ["2024-03-01", "2024-05-01"]
    assert moments(extras={"time_grain_sqla": "P3M"}) == ["2024-01-01", "2024-04-01"]
    assert moments(extras={"time_grain_sqla": "P1Y"}) == ["2024-01-01", "2024-01-01"]
    assert moments(extras={}) == ["2024-03-14", "2024-05-02"]


def test_titles_that_would_be_written_over_each_other_are_one(superset, postgres):
    """Of a year, a title takes nine days."""
    with psycopg.connect(postgres.url) as connection:
        connection.execute(
            "insert into reporting.rpt_event "
            "select 'nyc', 'New York', 'dsny', null, day, null, title from (values "
            "(date '2024-02-08', 'Thaw'), (date '2024-02-25', 'Flood'), "
            "(date '2024-11-28', 'Frost'), (date '2024-12-02', 'Gale')) as event (day, title)"
        )
        connection.execute("select access.note_built('reporting.rpt_event')")
    time.sleep(1.1)  # for which what was read of the builds holds
    try:
        assert titles(superset, "cio", NEW_YORK) == ["Blizzard\nThaw\nFlood", "Frost", "Gale"]
        # Without a grain each has its own line: the last of those that are close has the titles.
        lines = titles(superset, "cio", NEW_YORK, extras={})
        # What is after the chart's last point has none with it.
        assert lines == ["", "Blizzard\nThaw", "Flood", "Frost", "Gale"]
    finally:
        with psycopg.connect(postgres.url) as connection:
            connection.execute(
                "delete from reporting.rpt_event where title in ('Thaw', 'Flood', 'Frost', 'Gale')"
            )
            connection.execute("select access.note_built('reporting.rpt_event')")
        time.sleep(1.1)


def test_a_kept_answer_has_its_own_citys_events_until_they_change(superset, postgres):
    def changed(statement):
        with psycopg.connect(postgres.url) as connection:
            connection.execute(statement)
            connection.execute("select access.note_built('reporting.rpt_event')")
        time.sleep(1.1)  # for which what was read of the builds holds

    for filters, shown in ((LOOMFIELD, "Strike\nMarathon"), (NEW_YORK, "Blizzard")):
        line(superset, "cio", filters)
        kept = line(superset, "cio", filters)
        assert kept["is_cached"] is True
        (event,) = kept["annotation_data"][""]["records"]
        assert event["short_descr"] == shown
    try:
        # The table that the line shows was not built again.
        changed("update reporting.rpt_event set title = 'Snow' where title = 'Blizzard'")
        assert titles(superset, "cio", NEW_YORK) == ["Snow"]
    finally:
        changed("update reporting.rpt_event set title = 'Blizzard' where title = 'Snow'")


def test_postgresql_refuses_events_that_a_layer_asks_for_and_the_reader_may_not_read(superset):
    """A reader may put any dataset into a layer."""
    layers = event_layers(place_uuid("rpt_secret_event"))
    query = {"columns": ["month"], "filters": LOOMFIELD, "annotation_layers": layers}
    status, answer = superset.chart("data_engineer", "rpt_line", **query)
    assert "secret event" in str(answer), status
    status, answer = superset.chart("reader_open", "rpt_line", **query)
    assert status == 400
    assert "permission denied for table rpt_secret_event" in answer["message"]


def test_a_dataset_of_events_that_is_gone_is_named(superset):
    layers = event_layers(place_uuid("rpt_gone"))
    query = {"columns": ["month"], "filters": LOOMFIELD, "annotation_layers": layers}
    status, answer = superset.chart("cio", "rpt_line", **query)
    assert status == 400
    assert "Events: " in answer["message"]
