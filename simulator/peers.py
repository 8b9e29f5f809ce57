"""Eight simulated peer cities, as the exchange files of figures that they publish.

A peer city has no records, only what a city may publish without sharing any: values of indicators,
each with the version of its definition, its period and its n (docs/benchmarks.md has the format).
The figures are those of the indicators that `dbt_project/indicators/` declares, drawn around a
usual level. They have the gaps by which a city is left out of a comparison: a department without a
source, a definition of another version, a sample, months without a figure, too few events.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from math import cos, pi
from pathlib import Path
from zlib import crc32

import numpy as np

from catalog.indicators import Indicator, load_indicators
from simulator.conditions import FIRST_DAY, SEED
from simulator.drops import replace

FOLDER = "finance/peers"
COLUMNS = (
    "city_id",
    "city_name",
    "simulated",
    "region",
    "population",
    "population_year",
    "indicator",
    "unit",
    "version",
    "period_start",
    "months",
    "months_covered",
    "value",
    "n",
    "sample",
    "published_on",
)
POPULATION_YEAR = 2023


@dataclass(frozen=True)
class Level:
    """An indicator's usual monthly value, and how it varies.

    `spread`: share by which the best and the worst city differ from it. `season`: share by which
    July differs. `events`: how many there are a month for every 1,000 residents.
    """

    value: float
    spread: float
    season: float
    events: float


@dataclass(frozen=True)
class PeerCity:
    """A city that publishes figures.

    `leaning`: from -1, where its figures are bad, to 1. `without`: fields of work for which it has
    no source. `other_version`: indicators that it computes by another version of the definition.
    `sample`: what the figures of a field of work are a sample of. `gaps`: months without figures of
    a field. `few`: fields in which it has a sixtieth of the usual events.
    """

    city_id: str
    name: str
    region: str
    population: int
    leaning: float
    first_month: date = FIRST_DAY
    without: tuple[str, ...] = ()
    other_version: tuple[str, ...] = ()
    sample: dict[str, str] = field(default_factory=dict)
    gaps: dict[str, tuple[date, ...]] = field(default_factory=dict)
    few: tuple[str, ...] = ()


CITIES = (
    PeerCity("alder_falls", "Alder Falls (simulated)", "midwest", 318_400, 0.6),
    PeerCity(
        *("brightwater", "Brightwater (simulated)", "midwest", 455_100, 0.1),
        other_version=("median_days_to_close", "p90_days_to_close"),
    ),
    PeerCity(
        *("cobalt_springs", "Cobalt Springs (simulated)", "midwest", 276_900, -0.5),
        without=("Call center", "Parks"),
    ),
    PeerCity(
        *("dunmore_heights", "Dunmore Heights (simulated)", "midwest", 612_700, 0.3),
        sample={"Traffic safety": "Collisions of three of its eleven precincts"},
    ),
    PeerCity(
        *("eagle_prairie", "Eagle Prairie (simulated)", "midwest", 389_200, -0.2),
        gaps={"Waste": (date(2024, 8, 1), date(2025, 8, 1), date(2025, 9, 1))},
    ),
    PeerCity(
        *("fairmeadow", "Fairmeadow (simulated)", "midwest", 524_800, -0.8),
        few=("Residents' comments",),
    ),
    PeerCity(
        *("great_harbor", "Great Harbor (simulated)", "northeast", 2_310_500, 0.2),
        first_month=date(2019, 1, 1),
    ),
    PeerCity("halcyon_bay", "Halcyon Bay (simulated)", "west", 438_300, 0.4),
)

#: Counts and stocks grow with a city, so nobody compares them; and no peer has taxi trips.
LEVELS = {
    "calls_answered_pct": Level(89, 0.06, 0.0, 10),
    "calls_answered_30s_pct": Level(40, 0.2, -0.04, 10),
    "calls_abandoned_pct": Level(11, 0.5, 0.05, 10),
    "median_call_wait": Level(38, 0.5, 0.1, 9),
    "p90_call_wait": Level(150, 0.5, 0.1, 9),
    "mean_talk_minutes": Level(4.5, 0.15, 0.0, 9),
    "inspections_per_10000": Level(12, 0.4, 0.1, 1.2),
    "median_days_to_park_work": Level(9, 0.5, 0.1, 0.5),
    "p90_days_to_park_work": Level(28, 0.4, 0.1, 0.5),
    "park_work_in_14_days_pct": Level(68, 0.25, -0.05, 0.5),
    "median_days_to_issue": Level(14, 0.4, 0.05, 0.4),
    "p90_days_to_issue": Level(44, 0.4, 0.05, 0.4),
    "median_business_days_to_issue": Level(10, 0.4, 0.05, 0.4),
    "issued_in_30_days_pct": Level(76, 0.25, -0.03, 0.4),
    "collisions_per_10000": Level(8, 0.35, -0.05, 0.8),
    "injury_collisions_per_10000": Level(2.2, 0.35, 0.05, 0.8),
    "injury_collisions_pct": Level(27, 0.15, 0.02, 0.8),
    "injured_per_10000": Level(3, 0.35, 0.05, 0.8),
    "killed_per_100000": Level(0.6, 0.5, 0.1, 0.8),
    "requests_per_1000": Level(7.5, 0.3, 0.15, 7.5),
    "digital_requests_pct": Level(58, 0.2, 0.0, 7.5),
    "still_open_pct": Level(4, 0.6, 0.05, 7.5),
    "closed_on_time_pct": Level(74, 0.16, -0.03, 7.2),
    "overdue_open_pct": Level(2, 0.6, 0.05, 7.2),
    "median_days_to_close": Level(3.6, 0.45, 0.05, 7),
    "p90_days_to_close": Level(16, 0.45, 0.05, 7),
    "median_business_hours_to_close": Level(25, 0.45, 0.05, 7),
    "p90_business_hours_to_close": Level(110, 0.45, 0.05, 7),
    "closed_in_7_days_pct": Level(72, 0.16, -0.03, 7),
    "closed_by_routine_pct": Level(4, 0.5, 0.0, 7),
    "net_sentiment": Level(-0.16, 0.9, -0.2, 0.6),
    "negative_comments_pct": Level(44, 0.25, 0.03, 0.6),
    "positive_comments_pct": Level(28, 0.25, -0.03, 0.6),
    "refuse_tons_per_1000": Level(39, 0.2, 0.06, 0.05),
    "disposed_tons_per_1000": Level(40, 0.2, 0.06, 0.05),
    "recycled_tons_per_1000": Level(13.5, 0.3, 0.05, 0.05),
    "organics_tons_per_1000": Level(3.5, 0.5, 0.2, 0.05),
    "recycling_rate": Level(0.26, 0.3, 0.02, 0.05),
    "missed_stops_per_10000": Level(44, 0.5, -0.1, 600),
    "inspections_passed_pct": Level(80, 0.1, 0.0, 1.2),
    "median_days_to_reinspection": Level(16, 0.3, 0.0, 0.2),
    "median_backlog_age": Level(9, 0.5, 0.05, 1.5),
    "reopened_pct": Level(3, 0.5, 0.0, 7),
    "resolved_at_once_pct": Level(18, 0.3, 0.0, 7),
    "repeated_pct": Level(6, 0.4, 0.05, 7),
    "web_errors_per_1000": Level(6, 0.5, 0.0, 300),
    "forms_abandoned_pct": Level(24, 0.3, 0.0, 6),
    "forms_failed_pct": Level(2, 0.5, 0.0, 6),
    "median_form_minutes": Level(5, 0.3, 0.0, 4.5),
}


def write(drop_dir: Path, last_day: date) -> None:
    """Keep the peers' files equal to what they have published of months that end by `last_day`.

    A figure that was published stays as it is, so a later file has more rows and no other ones.
    """
    indicators = _indicators()
    for city in CITIES:
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        writer.writerows(figures(city, indicators, last_day))
        content, path = text.getvalue().encode(), drop_dir / FOLDER / f"{city.city_id}.csv"
        if not path.is_file() or path.read_bytes() != content:
            replace(path, content)


@cache
def _indicators() -> list[Indicator]:
    return [one for one in load_indicators() if one.id in LEVELS]


def figures(
    city: PeerCity, indicators: list[Indicator], last_day: date
) -> Iterator[tuple[object, ...]]:
    """Yield a city's rows of the exchange file, each with the values of `COLUMNS`."""
    months = _months(city.first_month, last_day)
    about = (city.city_id, city.name, "true", city.region, city.population, POPULATION_YEAR)
    for one in indicators:
        if one.field in city.without:
            continue
        values, events = _series(city, one, len(months))
        gaps = city.gaps.get(one.field, ())
        covered = np.array([month not in gaps for month in months])
        defined = (one.id, one.unit, one.version + (one.id in city.other_version))
        # What is of a month's end has no longer period.
        for length in (1,) if one.is_stock else (1, 12):
            n = _sums(events * covered, length)
            weighted = _sums(values * (events + 1) * covered, length)
            weights = _sums((events + 1) * covered, length)
            months_covered = _sums(covered, length)
            for at in np.flatnonzero(months_covered).tolist():
                yield (
                    *about,
                    *defined,
                    months[at],
                    length,
                    months_covered[at],
                    f"{weighted[at] / weights[at]:.6f}" if n[at] >= one.min_n else "",
                    n[at],
                    city.sample.get(one.field, ""),
                    _after(months[at + length - 1]) - timedelta(1),
                )


def _sums(monthly: np.ndarray, length: int) -> np.ndarray:
    """Return the sums over each run of so many months; none where there are fewer."""
    if len(monthly) < length:
        return monthly[:0]
    return np.lib.stride_tricks.sliding_window_view(monthly, length).sum(axis=1)


def _series(city: PeerCity, one: Indicator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the values and numbers of events of so many months from the city's first on.

    The first months are the same whatever their count.
    """
    level = LEVELS[one.id]
    rng = np.random.default_rng([SEED, crc32(city.city_id.encode()), crc32(one.id.encode())])
    own = rng.normal(0, 0.3)
    months = np.array([(city.first_month.month - 1 + at) % 12 for at in range(count)])
    better = {"higher": 1, "lower": -1, "none": 0}[one.direction]
    season = level.season * np.array([-cos(2 * pi * month / 12) for month in months])
    share = level.spread * (better * city.leaning + own) + season
    values = level.value + abs(level.value) * (share + rng.normal(0, level.spread / 8, count))
    lowest = -1 if one.unit == "-1 to 1" else 0
    highest = {"%": 100, "share": 1, "-1 to 1": 1}.get(one.unit, np.inf)
    usual = level.events * city.population / 1000 / (60 if one.field in city.few else 1)
    # From a stream of their own, so that both are the same for any count of months.
    drawn = np.random.default_rng([SEED, crc32(city.city_id.encode()), crc32(one.field.encode())])
    return np.clip(values, lowest, highest), drawn.poisson(usual, count)


@cache
def _months(first: date, last_day: date) -> tuple[date, ...]:
    """Return the first days of the whole months from `first` on."""
    months, month = [], first
    while _after(month) - timedelta(1) <= last_day:
        months.append(month)
        month = _after(month)
    return tuple(months)


def _after(month: date) -> date:
    return (month.replace(day=1) + timedelta(32)).replace(day=1)
