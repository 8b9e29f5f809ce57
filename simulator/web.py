"""The city's web site: visits by section and day, and what became of each form that was begun."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from simulator.conditions import WEEKDAY, conditions, day_generator
from simulator.places import DISTRICT_IDS, POPULATION

BAD_SHARE = 0.008
#: Visits of a section on a usual day.
SECTIONS = {
    "home": 620,
    "trash": 210,
    "pay": 180,
    "report": 140,
    "permits": 95,
    "parks": 80,
    "meetings": 45,
    "jobs": 60,
}


class Form(NamedTuple):
    """One form: who answers it, how often it is begun a day, minutes to fill in, share given up."""

    name: str
    department: str
    daily: float
    minutes: float
    abandoned: float


FORMS = (
    Form("report_problem", "service_center", 16.0, 4.0, 0.16),
    Form("bulky_pickup", "sanitation", 9.0, 3.0, 0.10),
    Form("pay_bill", "water", 12.0, 5.0, 0.12),
    Form("permit_application", "permits", 7.0, 22.0, 0.41),
    Form("rental_complaint", "housing", 4.0, 9.0, 0.28),
)
#: From this day on the permit form asks half as much.
SHORTER_FORM = date(2025, 3, 1)

Record = dict[str, Any]
_SHARE = POPULATION / POPULATION.sum()


def visits(day: date) -> list[Record]:
    """Return the day's visits by section; on a few days the site fails, and pages are errors."""
    rng = day_generator("web_visits", day)
    today = conditions(day)
    busy = WEEKDAY[day.weekday()] * (1 + 0.5 * today.storm + 0.9 * today.snow)
    growth = 1 + 0.06 * ((day.year - 2023) + day.timetuple().tm_yday / 365)
    outage = rng.random() < 0.012
    records: list[Record] = []
    for section, usual in SECTIONS.items():
        number = int(rng.poisson(usual * busy * growth))
        views = number + int(rng.poisson(number * 1.4))
        errors = int(rng.binomial(views, 0.14 if outage else 0.006))
        record: Record = {
            "day": f"{day:%m/%d/%Y}",
            "section": section,
            "visits": number,
            "page_views": views,
            "errors": errors,
        }
        wrong = rng.random()
        if wrong < BAD_SHARE:
            fault = int(wrong / BAD_SHARE * 4)
            if fault == 0:
                record["visits"] = -record["visits"]
            elif fault == 1:
                record["errors"] = "n/a"
            elif fault == 2:
                record["section"] = "(not set)"
            else:
                record["day"] = f"13/{day.day:02d}/{day.year}"
        records.append(record)
        if BAD_SHARE <= wrong < BAD_SHARE * 2:
            records.append(dict(record))
    return records


def form_sessions(day: date) -> list[Record]:
    """Return the forms that were begun on a day."""
    rng = day_generator("web_forms", day)
    busy = WEEKDAY[day.weekday()]
    drawn = []
    for form in FORMS:
        for _ in range(int(rng.poisson(form.daily * busy))):
            drawn.append((int(rng.integers(0, 86_400)), form))
    drawn.sort(key=lambda one: one[0])
    records: list[Record] = []
    for number, (second, form) in enumerate(drawn, 1):
        is_short = form.name == "permit_application" and day >= SHORTER_FORM
        shorter = 0.5 if is_short else 1.0
        fate = rng.random()
        took = form.minutes * shorter * rng.lognormal(0.0, 0.5) * 60
        abandoned = form.abandoned * (0.6 if is_short else 1.0)
        outcome = (
            "abandoned" if fate < abandoned else "failed" if fate < abandoned + 0.02 else "sent"
        )
        if outcome == "abandoned":
            took *= rng.uniform(0.05, 0.9)
        begun = datetime(day.year, day.month, day.day) + timedelta(seconds=second)
        record: Record = {
            "session_id": f"F{day:%Y%m%d}-{number:03d}",
            "form": form.name,
            "department": form.department,
            "district": DISTRICT_IDS[int(rng.choice(12, p=_SHARE))] if rng.random() < 0.7 else "",
            "started_at": begun.isoformat(" "),
            "ended_at": (begun + timedelta(seconds=int(took) + 1)).isoformat(" "),
            "outcome": outcome,
        }
        wrong = rng.random()
        if wrong < BAD_SHARE:
            fault = int(wrong / BAD_SHARE * 4)
            if fault == 0:
                record["outcome"] = "timeout?"
            elif fault == 1:
                record["ended_at"] = "unknown"
            elif fault == 2:
                record["district"] = "D00"
            else:
                record["form"] = ""
        records.append(record)
        if BAD_SHARE <= wrong < BAD_SHARE * 1.4:
            records.append(dict(record))
    return records
