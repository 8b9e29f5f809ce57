"""The conditions of a day: weather, collection rounds, how fast the departments work.

Everything is a function of the seed and the day alone, so that any stretch of days can be
drawn again without the days before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from math import cos, pi

import numpy as np

from simulator.places import POPULATION, SLOWNESS

SEED = 20230101
FIRST_DAY = date(2023, 1, 1)

#: A random stream for each source, so that a change of one leaves the others as they were.
STREAMS = (
    "conditions",
    "requests",
    "calls",
    "collisions",
    "permits",
    "parks",
    "comments",
    "tonnage",
    "writers",
    "contacts",
    "web_visits",
    "web_forms",
    "inspections",
    "plan_reviews",
    "plan_review_faults",
)
# Activity by weekday, Monday first.
WEEKDAY = (1.22, 1.12, 1.08, 1.05, 1.02, 0.82, 0.69)
_HOUSEHOLD = 2.4
_ROUNDS_A_WEEK = 6


def day_generator(stream: str, day: date, *, seed: int = SEED) -> np.random.Generator:
    """Return the stream's random generator for that day."""
    return np.random.default_rng([seed, STREAMS.index(stream), day.toordinal()])


@dataclass(frozen=True)
class Conditions:
    """Weather and rounds of one day.

    `storm` and `snow` are 0 on most days and about 1 on a bad one; `warmth` runs from -1 in
    mid-January to 1 in mid-July; `scheduled` and `missed` are stops by district.
    """

    day: date
    storm: float
    snow: float
    warmth: float
    scheduled: np.ndarray
    missed: np.ndarray
    reason: tuple[str, ...]


@cache
def conditions(day: date) -> Conditions:
    """Return the day's conditions."""
    rng = day_generator("conditions", day)
    warmth = -cos(2 * pi * (day.timetuple().tm_yday - 15) / 365.25)
    storm_roll, snow_roll = rng.random(2)
    strength = rng.gamma(3.0, 0.35)
    storm = strength if storm_roll < 0.035 + 0.035 * max(warmth, 0.0) else 0.0
    snow = strength if warmth < -0.35 and snow_roll < 0.13 else 0.0
    rounds = day.weekday() < _ROUNDS_A_WEEK
    scheduled = np.rint(POPULATION / _HOUSEHOLD / _ROUNDS_A_WEEK).astype(int) * rounds
    few = rng.poisson(1.5 * SLOWNESS)
    share = rng.uniform(0.06, 0.30, len(POPULATION))
    # A truck breaks down, a crew is short: more often where everything takes longer.
    failed = rng.random(len(POPULATION)) < 0.022 * SLOWNESS + 0.10 * snow + 0.04 * storm
    missed = np.where(failed, np.rint(scheduled * share).astype(int), few) * rounds
    causes = ("snow",) if snow else ("flooded street",) if storm else ("truck", "crew", "blocked")
    picked = rng.integers(len(causes), size=len(POPULATION))
    reason = tuple(
        causes[which] if bad and rounds else "" for which, bad in zip(picked, failed, strict=True)
    )
    return Conditions(day, storm, snow, warmth, scheduled, missed, reason)


@cache
def slowness(day: date) -> np.ndarray:
    """Return a factor by district: how much longer than usual the work takes.

    Cedar Flats lost a contractor in 2024 for half a year; Ironworks had a second crew from
    July 2025 on; backlog follows storms; the rest varies with the
    seasons, each district at its own time.
    """
    angle = 2 * np.pi * (day.toordinal() / 365.25 + np.arange(12) / 12)
    factor = SLOWNESS * (1 + 0.12 * np.sin(angle))
    if date(2024, 3, 1) <= day < date(2024, 9, 15):
        factor[5] *= 1.7
    if day >= date(2025, 7, 1):
        factor[6] *= 0.7
    backlog = sum(conditions(day - timedelta(back)).storm for back in range(4))
    return factor * (1 + 0.15 * min(backlog, 3.0))


def days_between(first: date, last: date) -> list[date]:
    """Return every day from first to last, both counted."""
    return [first + timedelta(step) for step in range((last - first).days + 1)]
