"""The lines by which a load and its gate say what came of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from expectations.outcomes import GateReport
from extract.load import LoadReport

LOAD = LoadReport(
    load_id=7,
    city_id="demo",
    source_id="permits",
    run_id="r",
    mode="read",
    state="accepted",
    started_at=datetime(2024, 1, 1, tzinfo=UTC),
    finished_at=None,
    rows_read=12_345,
    rows_accepted=11,
    rows_new=9,
    rows_changed=2,
    rows_unchanged=12_152,
    rows_quarantined=182,
    cursor_before=None,
    cursor_after=None,
    files=[{"path": f"permits_{n}.csv"} for n in range(5)],
    message=None,
    data_docs=None,
)


def test_a_load_says_what_was_read_and_from_where():
    assert LOAD.summary == (
        "demo/permits, load 7: read 12,345 rows from permits_0.csv, permits_1.csv, permits_2.csv "
        "and 2 more (read): 9 new, 2 changed, 12,152 unchanged, 182 quarantined"
    )
    assert "from no file (read)" in replace(LOAD, files=[]).summary


def test_a_gate_says_what_was_accepted_and_why_rows_were_quarantined():
    reasons = (("status: is empty", 1_200), ("tons: is below 0", 2))
    assert GateReport(LOAD, (), reasons).summary == (
        "demo/permits, load 7: accepted; 11 rows accepted, 12,152 unchanged, 182 quarantined: "
        "status: is empty (1,200); tons: is below 0 (2)"
    )
    assert GateReport(replace(LOAD, rows_quarantined=0)).summary.endswith("0 quarantined")


def test_a_blocked_load_says_why_and_what_to_do():
    blocked = replace(
        LOAD, state="blocked", reason_code="volume_drop", message="half is gone; look at it"
    )
    assert GateReport(blocked).summary == "blocked (volume_drop): half is gone; look at it"
