"""Making the demo city's files and extending them by days, with `ensure` and `grow`."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from simulator import (
    capital,
    comments,
    drops,
    inspections,
    operations,
    peers,
    places,
    requests,
    web,
)
from simulator.conditions import FIRST_DAY, SEED, days_between

LAST_DAY = date(2025, 12, 31)
TARGETS = Path(__file__).resolve().parents[1] / "cities" / "demo" / "targets.csv"
#: Incremented when the same seed gives other files than before; they are then made anew.
VERSION = 4
STATE_NAME = ".simulator.json"

Record = dict[str, Any]


@dataclass(frozen=True)
class State:
    """The files' last day, and the byte offset at which each text file's newest days begin."""

    last_day: date
    fingerprint: str
    begins: dict[str, dict[date, int]]


class BrokenDrop(Exception):
    """The drop folder's state cannot be read; the message says what to remove."""


def ensure(drop_dir: Path, last_day: date = LAST_DAY) -> date:
    """Make the demo city's files under `drop_dir` where they are absent; return their last day.

    Files that are there are left alone, up to whatever day they have grown, unless another
    version of the simulator or another corpus made them: then they are made anew up to that
    day. `last_day` counts for new files only.
    """
    with _locked(drop_dir):
        state = _read_state(drop_dir)
        held_out_texts = comments.held_out()
        fingerprint = _fingerprint()
        if state is not None and state.fingerprint == fingerprint:
            _targets(drop_dir)
            peers.write(drop_dir, state.last_day)
            return state.last_day
        return _write(
            drop_dir, None, state.last_day if state else last_day, held_out_texts, fingerprint
        )


def grow(drop_dir: Path, days: int = 1) -> date:
    """Add `days` to the demo city's files; return their new last day.

    New rows arrive, and earlier ones change: requests close or reopen, permits are issued, tons
    and injuries are corrected. Makes the files first where they are absent. Raises
    `ValueError` when days is negative.
    """
    if days < 0:
        raise ValueError(f"days: {days}; the demo city cannot go back, give 0 or more")
    ensure(drop_dir)
    with _locked(drop_dir):
        state = _read_state(drop_dir)
        if state is None or days == 0:
            return state.last_day if state else LAST_DAY
        held_out_texts = comments.held_out()
        return _write(
            drop_dir, state, state.last_day + timedelta(days), held_out_texts, state.fingerprint
        )


def last_day(drop_dir: Path) -> date | None:
    """Return the files' last day, None where there are no files."""
    state = _read_state(drop_dir)
    return state.last_day if state else None


class _Run:
    """Draws each day once while the files are written, and caches it."""

    def __init__(self, last_day: date, held_out_texts: comments.HeldOutTexts) -> None:
        self.last_day = last_day
        self._held_out_texts = held_out_texts
        self._requests: dict[date, requests.Requests] = {}
        self._comments: dict[date, list[comments.Drawn]] = {}
        self._closed: dict[date, tuple[np.ndarray, np.ndarray]] = {}
        self._counted: set[date] = set()

    def requests(self, day: date) -> requests.Requests:
        """Return the requests made on a day."""
        if day not in self._requests:
            self._requests[day] = requests.draw(day)
        return self._requests[day]

    def comments(self, day: date, channel: str) -> list[comments.Drawn]:
        """Return a day's comments of a channel; of every channel for ''."""
        if day not in self._comments:
            self._comments[day] = comments.draw(
                day, self.last_day, self._wait_ratio(day), self._held_out_texts
            )
        return [c for c in self._comments[day] if not channel or c.channel == channel]

    def _wait_ratio(self, day: date) -> np.ndarray:
        """Return by district the mean wait / promise of the closings of the days before."""
        memory = timedelta(comments.MEMORY_DAYS)
        made_from = max(FIRST_DAY, day - memory - timedelta(requests.LIFE_DAYS))
        for made in days_between(made_from, day):
            self._count(made)
        # A prior of twenty closings within the promise: few closings say little.
        ratio, number = np.full(12, 20 * 0.7), np.full(12, 20.0)
        for closed in days_between(day - memory, day - timedelta(1)):
            if closed in self._closed:
                ratio = ratio + self._closed[closed][0]
                number = number + self._closed[closed][1]
        return ratio / number

    def _count(self, made: date) -> None:
        if made in self._counted:
            return
        self._counted.add(made)
        after, district, ratio = requests.waits(self.requests(made))
        for step in np.unique(after).tolist():
            hit = after == step
            total = np.bincount(district[hit], weights=ratio[hit], minlength=12)
            number = np.bincount(district[hit], minlength=12)
            closed = made + timedelta(int(step))
            old = self._closed.get(closed, (np.zeros(12), np.zeros(12)))
            self._closed[closed] = (old[0] + total, old[1] + number)


Draw = Callable[[_Run, date], list[Record]]


def _comments_of(channel: str) -> Draw:
    return lambda run, day: [comment.record for comment in run.comments(day, channel)]


def _intended_sentiments(run: _Run, day: date) -> list[Record]:
    by_id = {c.feedback_id: c for c in run.comments(day, "")}
    return [
        {"feedback_id": key, "sentiment": c.sentiment, "written_by": c.written_by}
        for key, c in by_id.items()
    ]


_LINES: tuple[tuple[drops.DayFile, Draw], ...] = (
    (
        drops.Delimited(
            "sanitation/collection_rounds.csv",
            0,
            ("round_id", "round_date", "district", "scheduled_stops", "missed_stops", "reason"),
        ),
        lambda run, day: operations.rounds(day),
    ),
    (
        drops.Delimited(
            "transport/collisions.csv",
            operations.COLLISION_LIFE,
            (
                "collision_id",
                "occurred_at",
                "street",
                "cross_street",
                "district",
                "latitude",
                "longitude",
                "vehicles",
                "persons_injured",
                "persons_killed",
                "contributing_factor",
            ),
            delimiter=";",
            encoding="latin-1",
            quoted=False,
        ),
        lambda run, day: operations.collisions(day, run.last_day),
    ),
    (
        drops.FixedWidth(
            "permits/PERMITS.TXT",
            operations.PERMIT_LIFE,
            (),
            widths=(12, 4, 2, 3, 32, 8, 8, 11, 2),
        ),
        lambda run, day: operations.permits(day, run.last_day),
    ),
    (
        drops.Delimited(
            "permits/plan_reviews.csv",
            operations.PERMIT_LIFE,
            ("permit_number", "round", "district", "received_on", "answered_on", "answer"),
            delimiter="|",
        ),
        lambda run, day: operations.plan_reviews(day, run.last_day),
    ),
    (
        drops.JsonLines("parks/work_orders.jsonl", operations.PARK_LIFE, ()),
        lambda run, day: operations.park_orders(day, run.last_day),
    ),
    (
        drops.Delimited(
            "housing/rental_inspections.csv",
            inspections.LIFE,
            (
                "visit_number",
                "case_number",
                "visited_on",
                "kind",
                "district",
                "address",
                "result",
            ),
        ),
        lambda run, day: inspections.inspections(day, run.last_day),
    ),
    (
        drops.Delimited(
            "web/section_visits.csv",
            0,
            ("day", "section", "visits", "page_views", "errors"),
        ),
        lambda run, day: web.visits(day),
    ),
    (
        drops.Delimited(
            "web/form_sessions.csv",
            0,
            (
                "session_id",
                "form",
                "department",
                "district",
                "started_at",
                "ended_at",
                "outcome",
            ),
        ),
        lambda run, day: web.form_sessions(day),
    ),
    (
        drops.Delimited(
            "engagement/survey_responses.csv",
            comments.LIFE_DAYS,
            ("response_id", "submitted_at", "district", "topic", "rating", "language", "comment"),
        ),
        _comments_of("survey"),
    ),
    (drops.JsonLines("engagement/mailbox.jsonl", comments.LIFE_DAYS, ()), _comments_of("email")),
    (
        drops.JsonDocument("engagement/app_reviews.json", comments.LIFE_DAYS, (), key="reviews"),
        _comments_of("app_review"),
    ),
    (
        drops.Delimited(
            "engagement/council_statements.txt",
            comments.LIFE_DAYS,
            (
                "statement_id",
                "meeting_at",
                "speaker",
                "district",
                "topic",
                "language",
                "statement",
            ),
            delimiter="\t",
            encoding="utf-16-le",
        ),
        _comments_of("council_meeting"),
    ),
    (
        drops.Delimited(
            "engagement/intended_sentiment.csv",
            comments.LIFE_DAYS,
            ("feedback_id", "sentiment", "written_by"),
        ),
        _intended_sentiments,
    ),
)
_CALL_COLUMNS = (
    "call_id",
    "offered_at",
    "queue",
    "district",
    "answered",
    "wait_seconds",
    "talk_seconds",
    "caller_number",
)


def _write(
    drop_dir: Path,
    since: State | None,
    last_day: date,
    held_out_texts: comments.HeldOutTexts,
    fingerprint: str,
) -> date:
    """Bring every file to the end of `last_day`; safe to repeat after a kill."""
    run = _Run(last_day, held_out_texts)
    new_from = since.last_day + timedelta(1) if since else FIRST_DAY

    changing = max(FIRST_DAY, new_from - timedelta(requests.LIFE_DAYS)) if since else FIRST_DAY
    rows = requests.rows(
        [run.requests(day) for day in days_between(changing, last_day)],
        last_day,
        changed_since=new_from if since else None,
    )
    drops.service_line(drop_dir / "service_center/service_line.db", rows, new=since is None)

    begins: dict[str, dict[date, int]] = {}
    for file, draw in _LINES:
        first, kept = FIRST_DAY, None
        old: dict[date, int] = {}
        if since is not None:
            old = since.begins[file.name]
            first = max(FIRST_DAY, new_from - timedelta(file.life))
            kept = old[first]
        days = ((day, draw(run, day)) for day in days_between(first, last_day))
        known = old | file.write(drop_dir / file.name, days, kept)
        # The next day will begin here.
        known[last_day + timedelta(1)] = (drop_dir / file.name).stat().st_size - len(file.tail())
        oldest = last_day + timedelta(1) - timedelta(file.life)
        begins[file.name] = {day: at for day, at in known.items() if day >= oldest}

    for month in _months(new_from, last_day):
        following = (month + timedelta(32)).replace(day=1)
        days_open = days_between(month, min(last_day, following - timedelta(1)))
        drops.gzipped_csv(
            drop_dir / f"service_center/calls/calls_{month:%Y-%m}.csv.gz",
            _CALL_COLUMNS,
            (record for day in days_open for record in operations.calls(day)),
        )

    for month in _months(new_from, last_day):
        if projects := capital.reports(month, last_day):
            drops.gzipped_csv(
                drop_dir / f"finance/capital/capital_{month:%Y-%m}.csv.gz",
                tuple(projects[0]),
                projects,
            )

    # A month's tons are corrected in the month after: in January, in last year's workbook.
    for year in range(
        (new_from - timedelta(31)).year if since else FIRST_DAY.year, last_day.year + 1
    ):
        months = [operations.tonnage(first, last_day) for first in operations.months_of(year)]
        if any(months):
            drops.tonnage_workbook(drop_dir / f"sanitation/tonnage_{year}.xlsx", year, months)

    if since is None:
        shape = json.dumps(places.geojson(), ensure_ascii=False, indent=1)
        drops.replace(drop_dir / "planning/districts.geojson", shape.encode())
    _targets(drop_dir)
    peers.write(drop_dir, last_day)
    _write_state(drop_dir, State(last_day, fingerprint, begins))
    return last_day


def _months(first: date, last: date) -> Iterator[date]:
    """Yield the first day of each month that has a day between two."""
    month = first.replace(day=1)
    while month <= last:
        yield month
        month = (month + timedelta(32)).replace(day=1)


def _targets(drop_dir: Path) -> None:
    """Keep the targets equal to `cities/demo/targets.csv`, which a person may edit."""
    wanted, path = TARGETS.read_bytes(), drop_dir / "finance/targets.csv"
    if not path.is_file() or path.read_bytes() != wanted:
        drops.replace(path, wanted)


def _fingerprint() -> str:
    """Return what the files depend on besides the day: version, seed and corpus."""
    corpus = hashlib.sha256(comments.CORPUS.read_bytes()).hexdigest()[:16]
    return f"{VERSION}-{SEED}-{corpus}"


def _read_state(drop_dir: Path) -> State | None:
    path = drop_dir / STATE_NAME
    if not path.is_file():
        return None
    try:
        kept = json.loads(path.read_text())
        begins = {
            name: {date.fromisoformat(day): at for day, at in days.items()}
            for name, days in kept["begins"].items()
        }
        return State(date.fromisoformat(kept["last_day"]), kept["fingerprint"], begins)
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise BrokenDrop(
            f"{path}: cannot be read ({error}); remove it, and the files are made anew"
        ) from error


def _write_state(drop_dir: Path, state: State) -> None:
    kept = {
        "city": "Loomfield (simulated)",
        "last_day": state.last_day.isoformat(),
        "fingerprint": state.fingerprint,
        "begins": {
            name: {day.isoformat(): at for day, at in days.items()}
            for name, days in state.begins.items()
        },
    }
    drops.replace(drop_dir / STATE_NAME, json.dumps(kept).encode())


@contextmanager
def _locked(drop_dir: Path) -> Iterator[None]:
    """Let one process at a time write; the others wait and find the work done."""
    drop_dir.mkdir(parents=True, exist_ok=True)
    with (drop_dir / ".simulator.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
