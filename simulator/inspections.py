"""Inspections of rented homes: a first visit, and further ones until the home passes."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np

from simulator.conditions import day_generator, slowness
from simulator.places import DISTRICT_IDS, POPULATION, SLOWNESS, STREETS

#: Days after a first visit on which its case changes no more.
LIFE = 150
BAD_SHARE = 0.003
_MOST_VISITS = 4

Record = dict[str, Any]


def inspections(day: date, last_day: date) -> list[Record]:
    """Return the visits, made by `last_day`, of the cases whose first visit was on a day.

    None at weekends. A home that failed is visited again, later where everything takes longer.
    """
    if day.weekday() >= 5:
        return []
    rng = day_generator("inspections", day)
    weights = POPULATION * SLOWNESS
    size = int(rng.poisson(9.0))
    records: list[Record] = []
    for number, place in enumerate(rng.choice(12, size, p=weights / weights.sum()).tolist(), 1):
        streets = STREETS[place]
        home = f"{int(rng.integers(1, 980))} {streets[int(rng.integers(len(streets)))]}"
        visited, passes = day, 0.74 - 0.16 * (SLOWNESS[place] - 1)
        gaps = np.ceil(17 * slowness(day)[place] * rng.lognormal(0, 0.5, _MOST_VISITS)).astype(int)
        rolls = rng.random((_MOST_VISITS, 2))
        for visit in range(_MOST_VISITS):
            if visited > last_day or (visited - day).days > LIFE - 2:
                break
            fate, wrong = rolls[visit].tolist()
            result = "no entry" if fate > 0.95 else "passed" if fate < passes else "failed"
            record: Record = {
                "visit_number": f"I{day:%Y%m%d}-{number:02d}-{visit + 1}",
                "case_number": f"{day:%Y%m%d}-{number:02d}",
                "visited_on": visited.isoformat(),
                "kind": "first" if visit == 0 else "again",
                "district": DISTRICT_IDS[place],
                "address": home,
                "result": result,
            }
            if wrong < BAD_SHARE:
                fault = int(wrong / BAD_SHARE * 3)
                if fault == 0:
                    record["result"] = "pased"
                elif fault == 1:
                    record["visited_on"] = f"{day.year}-02-31"
                else:
                    record["district"] = "D31"
            records.append(record)
            if BAD_SHARE <= wrong < BAD_SHARE * 1.3:
                records.append(dict(record))
            if result == "passed":
                break
            visited += timedelta(int(gaps[visit]))
            while visited.weekday() >= 5:
                visited += timedelta(1)
            passes = 0.66
    return records
