"""Thresholds on a load as a whole, without a server."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.models import Gate, Reader, Source
from expectations import thresholds
from extract.load import LoadReport
from tests.builders import a_source


def source(gate: Gate, **reader) -> Source:
    return a_source(
        cursor="request_id",
        read=Reader(**{"connector": "csv", "files": ("a.csv",), **reader}),
        gate=gate,
    )


def load(read: int, quarantined: int = 0, **given) -> LoadReport:
    values = dict(
        load_id=7,
        city_id="testville",
        source_id="requests",
        run_id="",
        mode="read",
        state="staged",
        started_at=datetime(2024, 1, 1, tzinfo=UTC),
        finished_at=None,
        rows_read=read,
        rows_accepted=0,
        rows_new=read - quarantined,
        rows_changed=0,
        rows_unchanged=0,
        rows_quarantined=quarantined,
        cursor_before=None,
        cursor_after=None,
        files=[],
        message=None,
        data_docs=None,
    )
    return LoadReport(**{**values, **given})


def passed(outcomes) -> dict[str, bool]:
    return {o.expectation: o.success for o in outcomes}


@pytest.mark.parametrize("read, enough", [(0, False), (9, False), (10, True)])
def test_min_rows(read, enough):
    assert passed(thresholds.volume(source(Gate(min_rows=10)), load(read), None)) == {
        "gate.min_rows": enough
    }


@pytest.mark.parametrize(
    "share, read, fine",
    [
        (0.5, 50, True),
        (0.5, 49, False),
        (0.0, 100, True),
        (0.0, 99, False),
        (1.0, 0, True),
        (0.1, 90, True),
        (0.3, 70, True),
        (0.7, 30, True),
        (0.2, 400, True),
    ],
)
def test_max_drop(share, read, fine):
    of = source(Gate(min_rows=0, max_drop=share))
    assert passed(thresholds.volume(of, load(read), load(100)))["gate.max_drop"] is fine


def files(**rows: int) -> list[dict]:
    return [{"path": f"{name}.csv", "rows": count} for name, count in rows.items()]


@pytest.mark.parametrize(
    "share, now, named",
    [
        (0.1, {"a": 1000, "b": 100}, []),
        (0.1, {"a": 1100, "b": 90}, []),
        (0.1, {"a": 1100, "b": 89}, ["b.csv has 89 rows after 100"]),
        (0.1, {"a": 1200}, ["b.csv is gone"]),
        (0.49, {"a": 1200}, ["b.csv is gone"]),
        (0.1, {"a": 1000, "c": 100}, []),  # another file in its place
        (0.5, {"a": 1000}, []),  # half of the files may be missing
        (1.0, {"a": 100}, []),
        (0.0, {"a": 1005, "b": 95}, []),  # a few rows are no truncation
    ],
)
def test_a_file_that_lost_rows_shows_though_the_sum_hardly_fell(share, now, named):
    before = load(1100, files=files(a=1000, b=100))
    outcome = thresholds.volume(
        source(Gate(max_drop=share)), load(sum(now.values()), files=files(**now)), before
    )[-1]
    assert outcome.success is (not named)
    for text in named:
        assert text in outcome.reason and text in outcome.observed


def test_the_message_of_a_drop_names_the_files_and_the_remedy():
    names = [f"part_{number}" for number in range(5)]
    before = load(500, load_id=3, files=files(**dict.fromkeys(names, 100)))
    after = load(300, files=files(**dict.fromkeys(names, 60)))
    reason = thresholds.volume(source(Gate(max_drop=0.01)), after, before)[-1].reason
    assert reason.startswith(
        "read 300 rows, 40.0 % fewer than the 500 of load 3 (part_0.csv has 60 rows after 100; "
        "part_1.csv has 60 rows after 100; part_2.csv has 60 rows after 100; and 2 more); "
        "gate.max_drop allows 1.0 % fewer"
    )
    assert "raise gate.max_drop in" in reason


def test_a_load_that_had_its_rows_twice_sets_no_measure():
    of = source(Gate(max_drop=0.01))
    twice = load(2200, files=files(a=1000, b=1200))
    once = load(1600, files=files(a=1000, b=600))
    assert thresholds.dropped(thresholds.volume(of, once, twice))
    raw_keys = thresholds.RawKeys(1600, {"a.csv": 1000, "b.csv": 600})
    assert not thresholds.dropped(thresholds.volume(of, once, twice, raw_keys))
    cut = load(1540, files=files(a=1000, b=540))
    reason = thresholds.volume(of, cut, twice, raw_keys)[-1].reason
    assert "3.8 % fewer than the 1600 that raw holds (b.csv has 540 rows after 600)" in reason


def test_a_copy_of_a_file_may_go_again():
    of = source(Gate(max_drop=0.01))
    copied = load(2000, files=files(a=1000, a_copy=1000))
    once = load(1000, files=files(a=1000))
    raw_keys = thresholds.RawKeys(1000, {"a.csv": 1000})
    assert thresholds.dropped(thresholds.volume(of, once, copied))
    assert not thresholds.dropped(thresholds.volume(of, once, copied, raw_keys))


def test_an_increment_is_not_held_to_volume():
    """Only a reader without files reads from a cursor on; a file is read whole."""
    of = Gate(min_rows=10, max_drop=0)
    increment = load(1, cursor_before="2024-01-01")
    portal = source(of, connector="socrata", files=())
    assert thresholds.volume(portal, increment, load(100)) == []
    assert passed(thresholds.volume(portal, load(1), load(100))) == {
        "gate.min_rows": False,
        "gate.max_drop": False,
    }
    assert passed(thresholds.volume(source(of), increment, load(100))) == {
        "gate.min_rows": False,
        "gate.max_drop": False,
    }


@given(
    share=st.integers(0, 100),
    read=st.integers(0, 1000),
    quarantined=st.integers(0, 1000),
    failing=st.integers(0, 1000),
)
def test_max_quarantined_counts_both_kinds(share, read, quarantined, failing):
    quarantined = min(quarantined, read)
    failing = min(failing, read - quarantined)
    outcome = thresholds.quarantined(
        source(Gate(max_quarantined=share / 100)),
        load(read, quarantined),
        failing,
        ["x: is empty (1)"],
    )
    assert outcome.success is ((quarantined + failing) * 100 <= share * read)
    assert outcome.observed == f"{quarantined + failing} of {read} rows"
    assert "x: is empty (1)" in outcome.reason


def test_few_bad_rows_do_not_stop_an_increment():
    portal = source(Gate(max_quarantined=0.02), connector="socrata", files=())
    quiet_night = load(3, cursor_before="2024-01-01")
    assert thresholds.quarantined(portal, quiet_night, 1, []).success
    assert not thresholds.quarantined(portal, load(3), 1, []).success
    flood = load(100, cursor_before="2024-01-01")
    assert not thresholds.quarantined(portal, flood, thresholds.FEW_ROWS + 1, []).success
