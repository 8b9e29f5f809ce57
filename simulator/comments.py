"""Residents' comments, drawn so that topics and sentiment follow the quality of service.

A comment's topic depends on what went wrong in its district on the days before; its sentiment
depends on how long the district waited in the 30 days before, against what was promised.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from simulator import grammar
from simulator.conditions import SEED, conditions, day_generator
from simulator.places import DISTRICT_IDS, POPULATION, SPANISH

#: A comment's row no longer changes after this many days.
LIFE_DAYS = 14
#: Days of closings that influence a comment.
MEMORY_DAYS = 30
BAD_SHARE = 0.003
CORPUS = Path(__file__).resolve().parents[1] / "ml" / "corpus" / "civic_comments.tsv"
#: Share of comments in the words of the corpus' held-out part; the rest is the grammar's.
CORPUS_SHARE = 0.085

CHANNELS = ("survey", "email", "app_review", "council_meeting")
PREFIX = {"survey": "S", "email": "E", "app_review": "A", "council_meeting": "M"}

Record = dict[str, Any]
HeldOutTexts = dict[tuple[str, str, str], list[str]]

_SHARE = POPULATION / POPULATION.sum()
_TOPIC_WEIGHT = np.array([0.15, 0.14, 0.09, 0.09, 0.06, 0.09, 0.08, 0.07, 0.06, 0.05, 0.07, 0.05])
# Topics that draw more complaints (positive) or more praise (negative).
_TOPIC_MOOD = np.array([0.05, 0.25, 0.1, -0.55, 0.1, 0.3, 0.1, 0.3, 0.0, 0.3, -0.15, -0.1])
_TOPIC = {topic: at for at, topic in enumerate(grammar.TOPICS)}
_FIRST = """
    Ada Ben Carla Dmitri Elena Farid Grace Hugo Ines Jamal Keiko Luis Marta Noor Omar Petra
    Quinn Rosa Sanjay Tessa Uma Victor Wanda Ximena Yusuf Zoe Andre Bianca Cedric Delia
""".split()  # noqa: SIM905 - thirty lines for thirty names would hide the code
_LAST = """
    Abbott Barrera Castellan Dunmore Escobedo Farrow Garrity Holloway Ibarra Jessup Kowalik
    Lindqvist Marchetti Nakagawa Okafor Pruitt Quintero Ramsdell Saltzman Tran Ulloa Vance
    Whitlock Yarrow Zamora Bright Calloway Dorsey Everly Fontaine
""".split()  # noqa: SIM905 - thirty lines for thirty names would hide the code


@dataclass(frozen=True)
class Drawn:
    """One comment: its channel, its row (which may have a fault), and the intended sentiment."""

    channel: str
    record: Record
    feedback_id: str
    sentiment: str
    written_by: str


def held_out(path: Path = CORPUS) -> HeldOutTexts:
    """Return the corpus' texts that no model trains on, by language, sentiment and topic.

    Raises `FileNotFoundError` when the corpus is not there, `ValueError` when no line of it is
    held out.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no corpus of comments; it comes with the repository")
    texts: HeldOutTexts = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["split"] == "heldout":
                key = (row["language"], row["sentiment"], row["topic"])
                texts.setdefault(key, []).append(row["text"])
    if not texts:
        raise ValueError(f"{path}: no line has split 'heldout'; mark some lines so")
    return texts


def draw(
    day: date,
    last_day: date,
    wait_ratio: np.ndarray,
    held_out_texts: HeldOutTexts,
) -> list[Drawn]:
    """Return the comments of a day, as they stand at the end of `last_day`.

    `wait_ratio` is, by district, the mean of wait / promise over the closings of the 30 days
    before `day` (1.0 = exactly as promised).
    """
    rng = day_generator("comments", day)
    channel, district, topic, sentiment_index, spanish = _draw_traits(rng, day, wait_ratio)
    roll = rng.random((len(channel), 8))
    numbered = dict.fromkeys(CHANNELS, 0)
    drawn: list[Drawn] = []
    for at in range(len(channel)):
        name = CHANNELS[channel[at]]
        numbered[name] += 1
        sentiment = grammar.SENTIMENTS[sentiment_index[at]]
        language = "es" if spanish[at] else "en"
        subject = grammar.TOPICS[topic[at]]
        options = (
            held_out_texts.get((language, sentiment, subject))
            if roll[at, 0] < CORPUS_SHARE
            else None
        )
        if options:
            text = options[int(roll[at, 1] * len(options))]
        else:
            text = grammar.compose(
                rng,
                topic=subject,
                sentiment=sentiment,
                language=language,
                channel=name,
                district=int(district[at]),
            )
        number = f"{PREFIX[name]}{day:%Y%m%d}-{numbered[name]:02d}"
        context = _Context(
            rng,
            day,
            last_day,
            number,
            int(district[at]),
            subject,
            sentiment,
            language,
            text,
            roll[at],
        )
        record = _RECORD[name](context)
        written_by = "corpus" if options else "grammar"
        for copy in _add_faults(record, name, context):
            drawn.append(Drawn(name, copy, number, sentiment, written_by))
    return drawn


def _draw_traits(
    rng: np.random.Generator, day: date, wait_ratio: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return channel, district, topic and sentiment of each comment as indices; whether Spanish."""
    problems = _problems(day)
    numbers = _comment_counts(rng, day, problems)
    # Districts with more problems comment more, and about these problems.
    weight = (_SHARE * (1 + 0.35 * np.clip(wait_ratio - 0.8, -0.5, 1.5)))[:, None] * (
        _TOPIC_WEIGHT + problems
    )
    size = sum(numbers)
    cell = np.searchsorted(np.cumsum(weight.ravel() / weight.sum()), rng.random(size) * 0.999999)
    district, topic = np.divmod(cell, len(_TOPIC))
    mood = (
        _TOPIC_MOOD[topic] + 2.1 * (wait_ratio[district] - 0.72) + 3.0 * problems[district, topic]
    )
    channel = np.repeat(np.arange(len(CHANNELS)), numbers)
    mood = mood + np.array([-0.1, 0.25, -0.15, 0.1])[channel]
    odds = np.exp(np.stack([mood, np.full(size, -0.25), -mood], axis=1))
    edge = np.cumsum(odds / odds.sum(axis=1, keepdims=True), axis=1)
    sentiment_index = (rng.random(size)[:, None] > edge[:, :2]).sum(axis=1)
    spanish = rng.random(size) < SPANISH[district]
    return channel, district, topic, sentiment_index, spanish


def _problems(day: date) -> np.ndarray:
    """Return how much went wrong in the days before, by district and topic; 0 for nothing."""
    problems = np.zeros((len(DISTRICT_IDS), len(_TOPIC)))
    missed = conditions(day - timedelta(2)).missed + 0.3 * conditions(day - timedelta(3)).missed
    problems[:, _TOPIC["sanitation"]] = missed / 2500
    wet = sum(
        share * conditions(day - timedelta(back)).storm
        for back, share in ((0, 0.4), (1, 1.0), (2, 0.6), (3, 0.3))
    )
    problems[:, _TOPIC["water"]] = 0.35 * wet
    problems[[1, 2], _TOPIC["water"]] *= 2.0
    snow = sum(conditions(day - timedelta(back)).snow for back in range(3))
    problems[:, _TOPIC["roads"]] = 0.12 * snow
    return problems


def _comment_counts(rng: np.random.Generator, day: date, problems: np.ndarray) -> list[int]:
    """Return the number of comments by channel, in the order of `CHANNELS`."""
    problem_factor = 1 + min(1.5, 0.8 * float((_SHARE @ problems).sum()))
    survey_factor = 1.9 if day.month % 3 == 1 and day.day <= 14 else 0.87  # a survey a quarter
    office = (1.25, 1.15, 1.1, 1.1, 1.0, 0.7, 0.7)[day.weekday()]
    survey, email, review = rng.poisson(
        [5.5 * survey_factor, 3.25 * office * problem_factor, 3.05 * problem_factor]
    )
    # The council meets on the second and fourth Tuesday.
    has_meeting = day.weekday() == 1 and (day.day - 1) // 7 in (1, 3)
    council = rng.poisson(19 * problem_factor) if has_meeting else 0
    return [min(int(number), 99) for number in (survey, email, review, council)]


@dataclass(frozen=True)
class _Context:
    rng: np.random.Generator
    day: date
    last_day: date
    number: str
    district: int
    topic: str
    sentiment: str
    language: str
    text: str
    roll: np.ndarray

    def after(self, share: float) -> bool:
        """Return whether the row was corrected by `last_day`, for a share of all rows."""
        wait = 2 + int(self.roll[2] * (LIFE_DAYS - 4))
        return bool(self.roll[3] < share and self.last_day >= self.day + timedelta(wait))

    def moment(self, first: int, last: int) -> datetime:
        """Return a time of that day between two hours."""
        second = first * 3600 + int(self.roll[4] * (last - first) * 3600)
        return datetime.combine(self.day, time()) + timedelta(seconds=second)

    def points(self) -> int:
        """Return 1 (worst) to 5 (best), mostly in line with the sentiment."""
        low = {"negative": 1, "neutral": 2, "positive": 4}[self.sentiment]
        step = int(self.roll[5] * 2.25)
        return min(5, low + step)


def _survey(context: _Context) -> Record:
    topic = context.topic
    if context.after(0.012):
        others = [name for name in grammar.TOPICS if name != topic]
        topic = others[int(context.roll[6] * len(others))]
    text = context.text
    if context.roll[6] < 0.012:
        text += f" Call me, 308-555-01{int(context.roll[7] * 100):02d}."
    return {
        "response_id": context.number,
        "submitted_at": str(context.moment(7, 23)),
        "district": DISTRICT_IDS[context.district],
        "topic": topic,
        "rating": context.points() if context.roll[7] > 0.04 else "",
        "language": context.language,
        "comment": text,
    }


def _email(context: _Context) -> Record:
    name, address, phone = _writer(context.district, int(context.roll[6] ** 2 * 260))
    body = context.text
    if context.roll[5] < 0.45:
        body += f"\n\n{grammar.sign_off(context.rng, context.language)}\n{name.split()[0]}"
        if context.roll[5] < 0.30:
            body += f"\n{phone}"
        if context.roll[5] < 0.16:
            body += f"\n{address}"
    elif context.roll[5] < 0.50:
        body += f" Write to me at {address}."
    elif context.roll[5] < 0.51:
        body += f" My card was charged, 4111 1111 1111 {int(context.roll[7] * 10000):04d}."
    has_district = context.roll[7] > 0.20 or context.after(0.35)
    return {
        "message_id": context.number,
        "received_at": context.moment(0, 24).isoformat(),
        "sender_name": name,
        "sender_address": address,
        "district": DISTRICT_IDS[context.district] if has_district else None,
        "topic": context.topic,
        "subject": grammar.subject(
            context.rng,
            sentiment=context.sentiment,
            language=context.language,
            district=context.district,
        ),
        "language": context.language,
        "body": body,
    }


def _review(context: _Context) -> Record:
    name, _, _ = _writer(context.district, int(context.roll[6] * 900))
    stars = context.points()
    # Someone who was helped comes back and adds a star.
    if context.after(0.04):
        stars = min(5, stars + 1)
    months = (context.day.year - 2023) * 12 + context.day.month
    return {
        "review_id": context.number,
        "created_at": context.moment(6, 24).isoformat(sep=" "),
        "user_name": f"{name.split()[0].lower()}{int(context.roll[7] * 90) + 10}",
        "district": DISTRICT_IDS[context.district] if context.roll[7] > 0.12 else None,
        "topic": context.topic,
        "stars": stars,
        "app_version": f"{2 + months // 14}.{months % 14}.{int(context.roll[2] * 4)}",
        "language": context.language,
        "text": context.text,
    }


def _statement(context: _Context) -> Record:
    name, _, _ = _writer(context.district, int(context.roll[6] * 400))
    text = context.text
    if context.after(0.03):
        text += " (As corrected in the minutes.)"
    return {
        "statement_id": context.number,
        "meeting_at": f"{context.moment(18, 22):%m/%d/%Y %H:%M}",
        "speaker": name,
        "district": DISTRICT_IDS[context.district] if context.roll[7] > 0.08 else "",
        "topic": context.topic,
        "language": context.language,
        "statement": text,
    }


_RECORD: dict[str, Callable[[_Context], Record]] = {
    "survey": _survey,
    "email": _email,
    "app_review": _review,
    "council_meeting": _statement,
}
_TEXT = {
    "survey": "comment",
    "email": "body",
    "app_review": "text",
    "council_meeting": "statement",
}
_MOMENT = {
    "survey": "submitted_at",
    "email": "received_at",
    "app_review": "created_at",
    "council_meeting": "meeting_at",
}


def _add_faults(record: Record, channel: str, context: _Context) -> list[Record]:
    """Return the record, at random with a fault or twice."""
    wrong = context.roll[1] * 7.0 % 1.0  # independent of the roll's other uses
    if wrong < BAD_SHARE:
        fault = int(wrong / BAD_SHARE * 4)
        score = {"survey": "rating", "app_review": "stars"}.get(channel)
        if fault == 0:
            record["district"] = "D13"
        elif fault == 1:
            record[_MOMENT[channel]] = "0000-00-00 00:00"
        elif fault == 2:
            record[_TEXT[channel]] = None
        elif score:
            record[score] = 9 if context.roll[6] < 0.5 else "five"
        else:
            record["topic"] = "misc"
    elif wrong < BAD_SHARE * 1.5:
        return [record, dict(record)]
    return [record]


@cache
def _writer(district: int, number: int) -> tuple[str, str, str]:
    """Return name, address and telephone of a person who does not exist."""
    rng = np.random.default_rng([SEED, 9, district, number])
    first = _FIRST[int(rng.integers(len(_FIRST)))]
    last = _LAST[int(rng.integers(len(_LAST)))]
    host = ("example.org", "example.net", "example.com")[int(rng.integers(3))]
    address = f"{first}.{last}{district + 1}{number}@{host}".lower()
    return f"{first} {last}", address, f"(308) 555-01{int(rng.integers(100)):02d}"
