"""The 311 line: each request with its whole history, and its state as of a day.

A request is drawn once, on its day, with everything that will happen to it; the table as of a
day leaves out what is later. So adding a day and starting afresh give the same rows.
"""

from __future__ import annotations

from datetime import date, timedelta
from math import isnan
from typing import NamedTuple

import numpy as np

from simulator.conditions import WEEKDAY, conditions, day_generator, slowness
from simulator.places import DISTRICT_IDS, POPULATION, STREETS, points
from simulator.services import DAILY, INDEX, PROMISE, SERVICES, season

#: No request changes more than this many days after it was made.
LIFE_DAYS = 180
CHANNELS = np.array(["phone", "app", "web", "in_person"])
#: What is wrong with a bad row, by code.
BAD_KINDS = ("", "district", "status", "opened_at", "department")
BAD_SHARE = 0.003

COLUMNS = (
    "request_id",
    "service_name",
    "department",
    "descriptor",
    "channel",
    "status",
    "opened_at",
    "due_at",
    "closed_at",
    "first_closed_at",
    "reopened_at",
    "resolved_at_once",
    "district",
    "address",
    "latitude",
    "longitude",
    "caller_phone",
    "updated_at",
)

_DAY = 86400.0
_NEVER = np.inf
_SHARE = POPULATION / POPULATION.sum()
# How much more a district asks for a service; constant.
_DEMAND = np.random.default_rng(311).gamma(14, 1 / 14, (len(SERVICES), len(POPULATION)))
_DEMAND[INDEX["No heat"], [4, 6]] *= 2.0
_DEMAND[INDEX["Rodents"], [0, 6]] *= 1.8
_DEMAND[INDEX["Flooded street"], [1, 2]] *= 2.5
_DEMAND[INDEX["Noise"], [0, 3]] *= 1.7
_DEMAND /= (_DEMAND * _SHARE).sum(axis=1, keepdims=True)

Requests = dict[str, np.ndarray]


def draw(day: date) -> Requests:
    """Return the requests made on a day, times in seconds from its midnight, `inf` for never.

    Missed stops raise complaints two days later; storms flood streets and sewers, break trees
    and darken signals.
    """
    rng = day_generator("requests", day)
    counts = rng.poisson(_expected(day))
    service, district = np.divmod(np.repeat(np.arange(counts.size), counts.ravel()), 12)
    size = len(service)
    # Busy mid-morning and after work, quiet at night.
    hour = np.where(rng.random(size) < 0.62, rng.normal(10.6, 2.2, size), rng.normal(17, 2.8, size))
    opened = np.floor(np.clip(hour, 0.1, 23.9) * 3600)
    order = np.argsort(opened, kind="stable")
    service, district, opened = service[order], district[order], opened[order]

    started, closed, reopened, reclosed = _history(rng, day, service, district, opened)
    # Six of a hundred come without a district; a third of these is filled in by a clerk.
    unknown = rng.random(size) < 0.06
    filled = np.where(
        unknown & (rng.random(size) < 0.33),
        opened + np.floor(rng.uniform(1, 9, size) * _DAY),
        _NEVER,
    )
    latitude, longitude = points(rng, district)
    no_point = rng.random(size) < 0.03
    latitude[no_point], longitude[no_point] = np.nan, np.nan
    bad = np.where(rng.random(size) < BAD_SHARE, rng.integers(1, len(BAD_KINDS), size), 0)
    corrected = np.where(
        (bad > 0) & (rng.random(size) < 0.5),
        opened + np.floor(rng.uniform(2, 10, size) * _DAY),
        _NEVER,
    )
    phone_decline = 0.03 * (day.year - 2023)
    channel = np.searchsorted(
        np.cumsum([0.44 - phone_decline, 0.30 + phone_decline, 0.21]), rng.random(size)
    )
    contact = day_generator("contacts", day)
    _place_repeats(contact, service, district, latitude, longitude)
    at_once = _resolve_at_once(contact, service, channel)
    closed = np.where(at_once, opened + np.floor(contact.uniform(120, 600, size)), closed)
    started = np.where(at_once, opened + 60, started)
    reopened, reclosed = (np.where(at_once, _NEVER, times) for times in (reopened, reclosed))
    return {
        "day": np.full(size, np.datetime64(day, "s")),
        "number": np.arange(1, size + 1),
        "service": service,
        "district": district,
        "channel": channel,
        "detail": rng.random(size),
        "street": rng.random(size),
        "house": rng.integers(1, 980, size),
        "phone": rng.integers(100, 200, size),
        "opened": opened,
        "started": started,
        "closed": closed,
        "reopened": reopened,
        "reclosed": reclosed,
        "at_once": at_once,
        "unknown": unknown,
        "filled": filled,
        "latitude": latitude,
        "longitude": longitude,
        "bad": bad,
        "corrected": corrected,
    }


def _place_repeats(
    rng: np.random.Generator,
    service: np.ndarray,
    district: np.ndarray,
    latitude: np.ndarray,
    longitude: np.ndarray,
) -> None:
    """Move some requests to within 30 m of an earlier one of the day: two report one thing."""
    repeats = rng.random(len(service)) < 0.35
    moves = rng.uniform(-0.00015, 0.00015, (2, len(service)))
    earlier: dict[tuple[int, int], int] = {}
    for at, key in enumerate(zip(service.tolist(), district.tolist(), strict=True)):
        first = earlier.setdefault(key, at)
        if first != at and repeats[at]:
            latitude[at] = round(latitude[first] + moves[0, at], 6)
            longitude[at] = round(longitude[first] + moves[1, at], 6)


def _resolve_at_once(
    rng: np.random.Generator, service: np.ndarray, channel: np.ndarray
) -> np.ndarray:
    """Return which requests an agent resolves while the resident is on the phone or at the desk."""
    asks = np.where(service == INDEX["General question"], 0.72, 0.03)
    return np.isin(CHANNELS[channel], ("phone", "in_person")) & (rng.random(len(service)) < asks)


def _expected(day: date) -> np.ndarray:
    """Return how many requests a day brings on average, by service and district."""
    today = conditions(day)
    before = [conditions(day - timedelta(back)) for back in range(4)]
    rate = DAILY * season(day.month) * WEEKDAY[day.weekday()] * 1.02 ** (day.year - 2023)
    by_district = rate[:, None] * _SHARE * _DEMAND
    by_district[INDEX["Missed collection"]] += (
        0.002 * before[1].missed + 0.016 * before[2].missed + 0.002 * before[3].missed
    )
    wet = today.storm + 0.8 * before[1].storm
    for name, calls in (
        ("Flooded street", 16.0),
        ("Sewer backup", 6.0),
        ("Tree damage", 9.0),
        ("Traffic signal", 4.0),
        ("Water quality", 3.0),
    ):
        by_district[INDEX[name]] += calls * wet * _SHARE * _DEMAND[INDEX[name]]
    by_district[INDEX["Snow and ice"]] += 22.0 * (today.snow + before[1].snow) * _SHARE
    return by_district


def _history(
    rng: np.random.Generator,
    day: date,
    service: np.ndarray,
    district: np.ndarray,
    opened: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return when each request is started, closed, reopened and closed again; `inf` for never."""
    size = len(service)
    promise = PROMISE[service].astype(float)
    slow = slowness(day)[district]
    days = promise * 0.52 * slow * rng.lognormal(0.0, 0.72, size)
    closed = _in_office_hours(opened + days * _DAY, opened, day, rng)
    closed[(rng.random(size) < 0.012) | (closed > (LIFE_DAYS - 2) * _DAY)] = _NEVER
    finite = np.where(np.isfinite(closed), closed, opened + 30 * _DAY)
    started = np.floor(opened + (finite - opened) * rng.uniform(0.05, 0.5, size))
    reopened = np.where(
        rng.random(size) < 0.03, closed + np.floor(rng.uniform(1, 12, size) * _DAY), _NEVER
    )
    reclosed = _in_office_hours(
        np.where(np.isfinite(reopened), reopened, 0)
        + promise * slow * rng.lognormal(-0.4, 0.6, size) * _DAY,
        np.where(np.isfinite(reopened), reopened, 0),
        day,
        rng,
    )
    reclosed[~np.isfinite(reopened)] = _NEVER
    late = reclosed > (LIFE_DAYS - 2) * _DAY
    reopened[late], reclosed[late] = _NEVER, _NEVER
    return started, closed, reopened, reclosed


def waits(requests: Requests) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return of each first closing: days since the day's midnight, district, wait / promise."""
    has_closed = np.isfinite(requests["closed"])
    closed, opened = requests["closed"][has_closed], requests["opened"][has_closed]
    ratio = (closed - opened) / _DAY / PROMISE[requests["service"][has_closed]]
    return (closed // _DAY).astype(int), requests["district"][has_closed], np.minimum(ratio, 4.0)


def rows(
    requests: list[Requests], last_day: date, *, changed_since: date | None = None
) -> list[tuple[object, ...]]:
    """Return rows as of the end of `last_day`, in the order of `COLUMNS`.

    `changed_since` keeps only those that changed on that day or later.
    """
    drawn = {name: np.concatenate([part[name] for part in requests]) for name in requests[0]}
    midnight = drawn["day"].astype("datetime64[s]")
    end = (np.datetime64(last_day + timedelta(1), "s") - midnight).astype(float)

    def happened(name: str) -> np.ndarray:
        return drawn[name] < end

    updated = drawn["opened"].copy()
    for name in ("started", "closed", "reopened", "reclosed", "filled", "corrected"):
        updated = np.where(happened(name), np.maximum(updated, drawn[name]), updated)
    keep = np.ones(len(updated), dtype=bool)
    if changed_since is not None:
        keep = updated >= (np.datetime64(changed_since, "s") - midnight).astype(float)
    drawn = {name: values[keep] for name, values in drawn.items()}
    midnight, end, updated = midnight[keep], end[keep], updated[keep]

    status = np.full(len(end), "open", dtype=object)
    status[happened("started")] = "in_progress"
    status[happened("closed")] = "closed"
    status[happened("reopened")] = "reopened"
    status[happened("reclosed")] = "closed"
    first_closed = np.where(happened("closed"), drawn["closed"], np.nan)
    reopened = np.where(happened("reopened"), drawn["reopened"], np.nan)
    closed = np.where(happened("reclosed"), drawn["reclosed"], drawn["closed"])
    closed = np.where(status == "closed", closed, np.nan)
    bad = np.where(happened("corrected"), 0, drawn["bad"])

    opened_at = _text(midnight, drawn["opened"])
    due_at = _text(midnight, drawn["opened"] + PROMISE[drawn["service"]] * _DAY)
    closed_at = _text(midnight, closed)
    updated_at = _text(midnight, updated)
    unknown = drawn["unknown"] & ~happened("filled")
    days = [str(value)[:10].replace("-", "") for value in midnight.astype("datetime64[D]")]
    states = zip(
        days,
        drawn["number"].tolist(),
        drawn["service"].tolist(),
        drawn["district"].tolist(),
        CHANNELS[drawn["channel"]].tolist(),
        drawn["detail"].tolist(),
        drawn["street"].tolist(),
        drawn["house"].tolist(),
        drawn["phone"].tolist(),
        status.tolist(),
        opened_at,
        due_at,
        closed_at,
        _text(midnight, first_closed),
        _text(midnight, reopened),
        drawn["at_once"].tolist(),
        updated_at,
        unknown.tolist(),
        drawn["latitude"].tolist(),
        drawn["longitude"].tolist(),
        bad.tolist(),
        strict=True,
    )
    return [_row(state) for state in map(_State._make, states)]


class _State(NamedTuple):
    """A request as of a day; `bad` is an index into `BAD_KINDS`."""

    day: str
    number: int
    service: int
    district: int
    channel: str
    detail: float
    street: float
    house: int
    phone: int
    status: str
    opened_at: str
    due_at: str
    closed_at: str | None
    first_closed_at: str | None
    reopened_at: str | None
    at_once: bool
    updated_at: str
    district_unknown: bool
    latitude: float
    longitude: float
    bad: int


def _row(state: _State) -> tuple[object, ...]:
    """Return the row of the 311 line's table, in the order of `COLUMNS`."""
    service = SERVICES[state.service]
    streets = STREETS[state.district]
    kind = BAD_KINDS[state.bad]
    opened = state.opened_at
    district = None if state.district_unknown else DISTRICT_IDS[state.district]
    return (
        f"{state.day}-{state.number:04d}",
        service.name,
        "clerical" if kind == "department" else service.department,
        service.descriptors[int(state.detail * len(service.descriptors))],
        state.channel,
        "pendign" if kind == "status" else state.status,
        f"{opened[:5]}02-30{opened[10:]}" if kind == "opened_at" else opened,
        state.due_at,
        state.closed_at,
        state.first_closed_at,
        state.reopened_at,
        ("Y" if state.at_once else "N") if state.channel in ("phone", "in_person") else None,
        "D99" if kind == "district" else district,
        f"{state.house} {streets[int(state.street * len(streets))]}",
        None if isnan(state.latitude) else state.latitude,
        None if isnan(state.longitude) else state.longitude,
        f"308-555-0{state.phone}",
        state.updated_at,
    )


def _in_office_hours(
    at: np.ndarray, after: np.ndarray, day: date, rng: np.random.Generator
) -> np.ndarray:
    """Move closings at night into the day and those of Sunday to Monday, never before `after`."""
    days, seconds = np.divmod(at, _DAY)
    night = (seconds < 7 * 3600) | (seconds > 19 * 3600)
    seconds = np.where(night, rng.uniform(8 * 3600, 18 * 3600, len(at)), seconds)
    days = np.where((days + day.weekday()) % 7 == 6, days + 1, days)
    moved = np.floor(days * _DAY + seconds)
    return np.where(moved < after + 1800, np.floor(after + 1800 + seconds / 8), moved)


def _text(midnight: np.ndarray, seconds: np.ndarray) -> list[str | None]:
    """Return `YYYY-MM-DD HH:MM:SS`, None where seconds is not a number."""
    known = np.isfinite(seconds)
    moment = midnight + np.where(known, seconds, 0).astype("timedelta64[s]")
    texts = np.char.replace(np.datetime_as_string(moment, unit="s"), "T", " ").tolist()
    return [
        text if has_closed else None for text, has_closed in zip(texts, known.tolist(), strict=True)
    ]
