"""The capital plan: what each project has committed and spent, and when it is to end, by month."""

from __future__ import annotations

import calendar
from datetime import date, timedelta
from typing import Any

import numpy as np

from simulator.conditions import SEED
from simulator.places import DISTRICT_IDS, SLOWNESS

PROJECTS = 72
BAD_SHARE = 0.004
DEPARTMENTS = ("transport", "water", "parks", "housing", "sanitation", "safety")

Record = dict[str, Any]


def reports(month: date, last_day: date) -> list[Record]:
    """Return the projects under way in a month, as reported on its last day; nothing before it."""
    closes = month.replace(day=calendar.monthrange(month.year, month.month)[1])
    if last_day < closes:
        return []
    records: list[Record] = []
    for number in range(1, PROJECTS + 1):
        record = _project(number, closes)
        if record is None:
            continue
        rng = np.random.default_rng([SEED, 72, number, closes.toordinal()])
        wrong = rng.random()
        if wrong < BAD_SHARE:
            fault = int(wrong / BAD_SHARE * 3)
            if fault == 0:
                record["spent"] = -1
            elif fault == 1:
                record["expected_end"] = "TBD"
            else:
                record["district"] = "D20"
        records.append(record)
        if BAD_SHARE <= wrong < BAD_SHARE * 2:
            records.append(dict(record))
    return records


def _project(number: int, closes: date) -> Record | None:
    """Return a project as it stands on a month's last day; None before its start, after its end."""
    rng = np.random.default_rng([SEED, 71, number])
    starts = date(2021, 9, 1) + timedelta(int(rng.integers(0, 1460)))
    planned_days = int(rng.integers(260, 980))
    budget = round(float(rng.lognormal(14.3, 0.9)), -3)
    place = int(rng.integers(0, 14))  # the last two of fourteen are of the whole city
    department = DEPARTMENTS[int(rng.integers(len(DEPARTMENTS)))]
    slow = float(SLOWNESS[place]) if place < 12 else 1.0
    slip = float(rng.normal(0.16 * slow, 0.14))
    planned_end = starts + timedelta(planned_days)
    last_end = planned_end + timedelta(int(planned_days * max(slip, -0.05)))
    if closes < starts or closes > last_end + timedelta(31):
        return None
    # What a project knows of its slip grows as it goes on.
    known = min(1.0, (closes - starts).days / max(1, (last_end - starts).days))
    expected = planned_end + timedelta(int((last_end - planned_end).days * known**1.5))
    committed = budget * min(1.0, 0.35 + 0.8 * known)
    spent = committed * min(1.0, known**1.4)
    return {
        "project": f"CP{number:03d}",
        "reported_on": closes.isoformat(),
        "department": department,
        "district": DISTRICT_IDS[place] if place < 12 else "",
        "budget": int(budget),
        "committed": int(committed),
        "spent": int(spent),
        "planned_end": planned_end.isoformat(),
        "expected_end": expected.isoformat(),
    }
