"""Records of the other departments: rounds, tonnage, calls, collisions, permits, parks.

As with the 311 line, a record is drawn once with its whole history and shown as of a day.
Each function returns the records of one day; `drops` has the file formats.
"""

from __future__ import annotations

import calendar
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from simulator.conditions import (
    SEED,
    WEEKDAY,
    conditions,
    day_generator,
    days_between,
    slowness,
)
from simulator.places import (
    DISTRICT_IDS,
    PARKS,
    POPULATION,
    RECYCLES,
    STREETS,
    points,
)

#: Days after which a record of each kind changes no more.
COLLISION_LIFE = 30
PERMIT_LIFE = 180
PARK_LIFE = 120
BAD_SHARE = 0.003

Record = dict[str, Any]
_SHARE = POPULATION / POPULATION.sum()
_DISTRICTS = np.arange(len(POPULATION))


def rounds(day: date) -> list[Record]:
    """Return the day's collection rounds by district; none on Sundays."""
    today = conditions(day)
    if not today.scheduled.any():
        return []
    rng = day_generator("tonnage", day)
    wrong = rng.random(len(DISTRICT_IDS))
    records = []
    for at, district in enumerate(DISTRICT_IDS):
        missed: object = int(today.missed[at])
        if wrong[at] < BAD_SHARE / 3:
            missed = -1
        elif wrong[at] < BAD_SHARE * 2 / 3:
            missed = "see log"
        records.append(
            {
                "round_id": f"{day:%Y%m%d}-{district}",
                "round_date": day.isoformat(),
                "district": "D00" if BAD_SHARE * 2 / 3 < wrong[at] < BAD_SHARE else district,
                "scheduled_stops": int(today.scheduled[at]),
                "missed_stops": missed,
                "reason": today.reason[at],
            }
        )
    return records


def tonnage(month: date, last_day: date) -> list[Record]:
    """Return the month's tons by district as known on `last_day`; nothing before its end.

    A third of the districts correct their figures in the four weeks after, one of them on the
    first day of the next month. A few rows have typing errors.
    """
    closes = month.replace(day=calendar.monthrange(month.year, month.month)[1])
    if last_day < closes:
        return []
    rng = day_generator("tonnage", month, seed=SEED + 1)
    warmth = conditions(month + timedelta(14)).warmth
    missed = sum(conditions(day).missed for day in days_between(month, closes))
    skipped = missed / np.maximum(1, conditions(date(2023, 1, 2)).scheduled * 26)
    days = closes.day / 30.4
    drift = (month.year - 2023) + (month.month - 1) / 12

    def tons(per_head: float | np.ndarray, noise: float) -> np.ndarray:
        return POPULATION * per_head * days * rng.normal(1.0, noise, len(POPULATION))

    refuse = tons((0.0375 - 0.0006 * drift) * (1 + 0.06 * warmth) / RECYCLES**0.25, 0.02)
    other = tons(0.0042 * (1 + 0.25 * warmth), 0.06)
    paper = tons(0.0048 * RECYCLES, 0.03)
    mixed = tons((0.0040 + 0.0003 * drift) * RECYCLES, 0.03)
    organics = tons((0.0024 + 0.0006 * drift) * (1 + 0.55 * warmth) * RECYCLES, 0.05)
    made = np.stack([refuse * (1 - skipped), other, paper, mixed, organics])
    corrected_on = np.where(rng.random(12) < 0.3, rng.integers(2, 26, 12), 0)
    corrected_on[month.month % 12] = 1
    first_count = made * rng.uniform(0.88, 1.06, made.shape)
    wrong = rng.random(12)
    duplicated = int(rng.integers(12)) if rng.random() < 0.08 else -1
    records = []
    for at, district in enumerate(DISTRICT_IDS):
        corrected = corrected_on[at] and last_day >= closes + timedelta(int(corrected_on[at]))
        figures = made[:, at] if corrected or not corrected_on[at] else first_count[:, at]
        names = ("refuse", "other", "paper", "mixed", "organics")
        record: Record = {"district": district, "month": month}
        record |= {name: round(float(t), 1) for name, t in zip(names, figures, strict=True)}
        record["total"] = round(sum(record[name] for name in names), 1)
        if wrong[at] < 0.004:
            record["refuse"] = -record["refuse"]
        elif wrong[at] < 0.008:
            record["paper"] = "see memo"
        elif wrong[at] < 0.011:
            record["district"] = "D14"
        records.append(record)
        if at == duplicated:
            records.append(dict(record))
    return records


def calls(day: date) -> list[Record]:
    """Return the calls offered on a day; storms and missed rounds fill the queue."""
    rng = day_generator("calls", day)
    today = conditions(day)
    missed = conditions(day - timedelta(2)).missed
    volume = 108 * WEEKDAY[day.weekday()] * (1 + 0.7 * today.storm + 0.5 * today.snow)
    volume += 0.01 * float(missed.sum())
    hours = np.arange(24)
    shape = (
        np.exp(-(((hours - 10.5) / 2.6) ** 2)) + 0.7 * np.exp(-(((hours - 15) / 2.8) ** 2)) + 0.01
    )
    expected = volume * shape / shape.sum()
    counts = rng.poisson(expected)
    size = int(counts.sum())
    hour = np.repeat(hours, counts)
    # Staffing is for a normal Monday: further calls wait, and some callers hang up.
    load = counts / np.maximum(2.0, 108 * 1.1 * shape / shape.sum())
    mean_wait = 38 * np.exp(1.35 * (np.clip(load, 0.3, 3.2) - 0.6))
    wait = np.floor(rng.exponential(mean_wait[hour])).astype(int)
    answered = rng.random(size) > 1 - np.exp(-wait / 620)
    talk = np.floor(rng.lognormal(5.35, 0.55, size)).astype(int) + 15
    offered = np.sort(hour * 3600 + rng.integers(0, 3600, size))
    queues = ("sanitation", "streets", "parks", "permits", "water", "housing", "safety", "general")
    weights = np.array([0.20, 0.16, 0.07, 0.09, 0.08, 0.09, 0.12, 0.19])
    weights[4] += 0.25 * today.storm
    weights[0] += 0.0001 * float(missed.sum())
    queue = rng.choice(len(queues), size, p=weights / weights.sum())
    districts = rng.choice(12, size, p=_SHARE)
    district_known = rng.random(size) < 0.6
    phone = rng.integers(100, 200, size)
    wrong = rng.random(size)
    stamp, iso = f"{day:%Y%m%d}", day.isoformat()
    records: list[Record] = []
    drawn = zip(
        offered.tolist(),
        queue.tolist(),
        districts.tolist(),
        district_known.tolist(),
        answered.tolist(),
        wait.tolist(),
        talk.tolist(),
        phone.tolist(),
        wrong.tolist(),
        strict=True,
    )
    for number, row in enumerate(drawn, 1):
        second, which, place, has_district, is_answered, waited, talked, caller, fault_roll = row
        clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
        record: Record = {
            "call_id": f"C{stamp}-{number:04d}",
            "offered_at": f"{iso} {clock}",
            "queue": queues[which],
            "district": DISTRICT_IDS[place] if has_district else "",
            "answered": "Y" if is_answered else "N",
            "wait_seconds": waited,
            "talk_seconds": talked if is_answered else "",
            "caller_number": f"308-555-0{caller}",
        }
        records.append(record)
        if fault_roll < BAD_SHARE:
            _break_call(record, int(fault_roll / BAD_SHARE * 5), day)
        elif fault_roll < BAD_SHARE * 1.15:
            records.append(dict(record))
    return records


def _break_call(record: Record, kind: int, day: date) -> None:
    """Give a call one of five faults."""
    if kind == 0:
        record["wait_seconds"] = -record["wait_seconds"] - 1
    elif kind == 1:
        record["wait_seconds"] = "n/a"
    elif kind == 2:
        record["answered"] = "?"
    elif kind == 3:
        record["offered_at"] = f"{day.year}-13-{day.day:02d} 00:00:00"
    else:
        record["district"] = "D77"


def collisions(day: date, last_day: date) -> list[Record]:
    """Return the day's collisions as reported by `last_day`; some injuries show up later."""
    rng = day_generator("collisions", day)
    today = conditions(day)
    size = int(
        rng.poisson(
            9.6 * (1.1 if day.weekday() < 5 else 0.8) * (1 + 0.5 * today.storm + 0.6 * today.snow)
        )
    )
    weights = _SHARE * np.array([1.5, 0.9, 1.0, 1.1, 1.2, 0.9, 1.2, 1.0, 0.7, 1.1, 0.6, 0.8])
    district = rng.choice(12, size, p=weights / weights.sum())
    hour = np.clip(
        np.where(rng.random(size) < 0.4, rng.normal(8, 2, size), rng.normal(17, 3, size)), 0, 23.9
    )
    latitude, longitude = points(rng, district)
    injured = rng.poisson(0.32, size)
    killed = (rng.random(size) < 0.0035).astype(int)
    vehicles = 1 + rng.poisson(0.95, size)
    more = np.where(rng.random(size) < 0.03, rng.integers(1, 3, size), 0)
    after = rng.integers(3, COLLISION_LIFE - 2, size)
    roll = rng.random((size, 5))
    causes = ("distraction", "speed", "failure to yield", "weather", "red light", "unknown")
    records: list[Record] = []
    for at in range(size):
        streets = STREETS[district[at]]
        street = int(roll[at, 0] * len(streets))
        cross = (street + 1 + int(roll[at, 1] * (len(streets) - 1))) % len(streets)
        revised = last_day >= day + timedelta(int(after[at]))
        minute = int(hour[at] * 60)
        record: Record = {
            "collision_id": f"{day:%Y%m%d}-{at + 1:03d}",
            "occurred_at": f"{day:%d/%m/%Y} {minute // 60:02d}:{minute % 60:02d}",
            "street": streets[street],
            "cross_street": streets[cross],
            "district": DISTRICT_IDS[district[at]] if roll[at, 2] > 0.05 else "",
            "latitude": latitude[at] if roll[at, 3] > 0.02 else "",
            "longitude": longitude[at] if roll[at, 3] > 0.02 else "",
            "vehicles": int(vehicles[at]),
            "persons_injured": int(injured[at] + (more[at] if revised else 0)),
            "persons_killed": int(killed[at]),
            "contributing_factor": causes[int(roll[at, 1] * 977) % len(causes)],
        }
        wrong = roll[at, 4]
        if wrong < BAD_SHARE:
            fault = int(wrong / BAD_SHARE * 5)
            if fault == 0:
                record["persons_injured"] = -1
            elif fault == 1:
                record["persons_injured"] = "two"
            elif fault == 2:
                record["occurred_at"] = f"31/02/{day.year} 10:15"
            elif fault == 3:
                record["district"] = "D42"
            else:
                # A semicolon typed into the street shifts every field after it.
                record["street"] = f"{record['street']}; {record['cross_street']}"
        records.append(record)
        if BAD_SHARE <= wrong < BAD_SHARE * 1.3:
            records.append(dict(record))
    return records


@dataclass(frozen=True)
class _Application:
    """A permit application with its whole history; `rounds`: days after it, of each review.

    A round is the day on which the city received the plans, and that on which it answered.
    """

    number: str
    kind: str
    place: int
    started: int
    decided: int
    ending: str
    valuation: int
    rounds: list[tuple[int, int]]
    roll: list[float]

    def status(self, age: int) -> str:
        """Return the mainframe's state of an application of so many days."""
        if age >= self.decided:
            return self.ending
        return "RV" if age >= self.started else "AP"


def _applications(day: date) -> list[_Application]:
    """Return the permits applied for on a day; none at weekends."""
    if day.weekday() >= 5:
        return []
    rng = day_generator("permits", day)
    size = int(rng.poisson(13.2 * (1 + 0.25 * conditions(day).warmth)))
    district = rng.choice(12, size, p=_SHARE)
    kinds = ("BLDG", "ELEC", "PLUM", "MECH", "DEMO", "SIGN")
    kind = rng.choice(6, size, p=[0.34, 0.24, 0.17, 0.13, 0.04, 0.08])
    base = np.array([26, 6, 7, 9, 34, 12])[kind]
    value = np.array([10.3, 7.9, 8.1, 8.8, 9.4, 7.6])[kind]
    slow = slowness(day)[district] ** 0.5
    decided = np.ceil(base * slow * rng.lognormal(0, 0.6, size)).astype(int)
    decided = np.array([_to_workday(day, one) for one in decided.tolist()], int)
    started = np.minimum(1 + rng.poisson(2, size), decided)
    ending = np.searchsorted([0.90, 0.96], rng.random(size))
    valuation = np.floor(rng.lognormal(value, 0.9)).astype(int)
    cycles = 1 + rng.poisson(0.02 * decided)
    roll = rng.random((size, 3))
    splits = day_generator("plan_reviews", day)
    return [
        _Application(
            number=f"P{day:%Y%m%d}{at + 1:03d}",
            kind=kinds[kind[at]],
            place=int(district[at]),
            started=int(started[at]),
            decided=int(decided[at]),
            ending=("IS", "DN", "WD")[ending[at]],
            valuation=int(valuation[at]),
            rounds=_rounds_of_review(splits, day, int(decided[at]), int(cycles[at])),
            roll=roll[at].tolist(),
        )
        for at in range(size)
    ]


def _to_workday(day: date, after: int) -> int:
    """Return days after a day, the next Monday's where they end at a weekend."""
    return after + {5: 2, 6: 1}.get((day + timedelta(after)).weekday(), 0)


def _rounds_of_review(
    rng: np.random.Generator, day: date, days: int, cycles: int
) -> list[tuple[int, int]]:
    """Split the days up to a decision into the city's rounds and the applicant's time between."""
    # The city's first round is the longest; in between, the applicant draws again.
    weights = np.array([3.0, *[1.8, 1.5] * (cycles - 1)])
    ends = np.rint(np.cumsum(rng.dirichlet(weights * 2)) * days).astype(int).tolist()
    ends = [min(_to_workday(day, end), days) for end in ends[:-1]] + [days]
    return list(zip([0, *ends[1::2]], ends[::2], strict=True))


def _age(day: date, last_day: date) -> int:
    """Return the days since an application, up to those after which its record changes no more."""
    return min((last_day - day).days, PERMIT_LIFE - 2)


def permits(day: date, last_day: date) -> list[Record]:
    """Return the applications of a day as they stand on `last_day`; none at weekends."""
    age = _age(day, last_day)
    records: list[Record] = []
    for one in _applications(day):
        streets = STREETS[one.place]
        street = f"{1 + int(one.roll[0] * 979)} {streets[int(one.roll[1] * len(streets))]}"
        status = one.status(age)
        issued = day + timedelta(one.decided) if status == "IS" else None
        begun = sum(received <= age for received, _ in one.rounds)
        record: Record = {
            "permit_number": one.number,
            "permit_type": one.kind,
            "status": status,
            "district": DISTRICT_IDS[one.place],
            "address": _plain(street),
            "applied_on": f"{day:%Y%m%d}",
            "issued_on": f"{issued:%Y%m%d}" if issued else "00000000",
            "valuation": one.valuation,
            "review_cycles": 0 if status == "AP" else begun,
        }
        wrong = one.roll[2]
        if wrong < BAD_SHARE:
            fault = int(wrong / BAD_SHARE * 4)
            if fault == 0:
                record["valuation"] = -1
            elif fault == 1:
                record["valuation"] = "UNKNOWN"
            elif fault == 2:
                record["applied_on"] = f"{day.year}1345"
            else:
                record["district"] = "D13"
        records.append(record)
        if BAD_SHARE <= wrong < BAD_SHARE * 1.3:
            # Entered twice: the second record is the one that counts.
            records.append(record | {"valuation": one.valuation + 500})
    return records


def plan_reviews(day: date, last_day: date) -> list[Record]:
    """Return the rounds of review, begun by `last_day`, of the permits applied for on a day."""
    age = _age(day, last_day)
    rng = day_generator("plan_review_faults", day)
    records: list[Record] = []
    for one in _applications(day):
        for at, (received, answered) in enumerate(one.rounds):
            wrong = rng.random()
            if received > age:
                continue
            is_last = at == len(one.rounds) - 1
            is_answered = answered <= age
            answer = {"IS": "approved", "DN": "denied", "WD": "withdrawn"}[one.ending]
            record: Record = {
                "permit_number": one.number,
                "round": at + 1,
                "district": DISTRICT_IDS[one.place],
                "received_on": (day + timedelta(received)).isoformat(),
                "answered_on": (day + timedelta(answered)).isoformat() if is_answered else "",
                "answer": (answer if is_last else "corrections") if is_answered else "",
            }
            if wrong < BAD_SHARE:
                fault = int(wrong / BAD_SHARE * 3)
                if fault == 0:
                    record["answer"] = "see notes"
                elif fault == 1:
                    record["received_on"] = f"{day.year}-02-30"
                else:
                    record["district"] = "D31"
            records.append(record)
            if BAD_SHARE <= wrong < BAD_SHARE * 1.3:
                records.append(dict(record))
    return records


def park_orders(day: date, last_day: date) -> list[Record]:
    """Return the work orders written on a day as they stand on `last_day`."""
    rng = day_generator("parks", day)
    today = conditions(day)
    before = conditions(day - timedelta(1))
    size = int(
        rng.poisson(
            (9.5 if day.weekday() < 5 else 3.0) * (1 + 0.4 * today.warmth + 0.6 * before.storm)
        )
    )
    kinds = (
        "tree",
        "mowing",
        "playground",
        "litter",
        "graffiti",
        "water feature",
        "path",
        "lighting",
    )
    weights = np.array([0.16, 0.20, 0.13, 0.19, 0.08, 0.05, 0.11, 0.08])
    weights[0] += 0.5 * (today.storm + before.storm)
    weights[1] *= 1 + 0.9 * today.warmth
    kind = rng.choice(8, size, p=weights / weights.sum())
    district = rng.choice(12, size, p=_SHARE)
    pace = np.array([9, 4, 12, 2, 6, 15, 14, 10])[kind] * slowness(day)[district]
    took = np.ceil(pace * rng.lognormal(0, 0.6, size)).astype(int)
    hours = np.round(rng.gamma(2.0, 2.2, size), 1)
    roll = rng.random((size, 4))
    records: list[Record] = []
    for at in range(size):
        park = PARKS[district[at]]
        over = took[at] <= PARK_LIFE - 2 and last_day >= day + timedelta(int(took[at]))
        planned = last_day >= day + timedelta(int(took[at] // 2))
        cancelled = roll[at, 0] < 0.03
        status = ("cancelled" if cancelled else "completed") if over else "open"
        if not over and planned:
            status = "scheduled"
        done = over and not cancelled
        record: Record = {
            "work_order_id": f"WO{day:%Y%m%d}-{at + 1:02d}",
            "district": DISTRICT_IDS[district[at]],
            "park": park[int(roll[at, 1] * len(park))],
            "kind": kinds[kind[at]],
            "status": status,
            "opened_on": day.isoformat(),
            "completed_on": (day + timedelta(int(took[at]))).isoformat() if done else None,
            "crew_hours": float(hours[at]) if done else None,
        }
        wrong = roll[at, 2]
        if wrong < BAD_SHARE:
            fault = int(wrong / BAD_SHARE * 4)
            if fault == 0:
                record["crew_hours"] = -3.5
            elif fault == 1:
                record["opened_on"] = f"{day.year}-13-01"
            elif fault == 2:
                record["district"] = "D21"
            else:
                record["crew_hours"] = "half a day"
        records.append(record)
        if BAD_SHARE <= wrong < BAD_SHARE * 1.3:
            records.append(dict(record))
    return records


def months_of(year: int) -> Iterator[date]:
    """Return the first day of each month of a year."""
    return (date(year, month, 1) for month in range(1, 13))


def _plain(text: str) -> str:
    """Return a street as the mainframe stores it: capitals, no accents."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().upper()
