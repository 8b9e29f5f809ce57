"""Comments of known sentiment, composed from fragments written by hand.

Sentiment is known by construction. The texts are the simulator's own: nothing that a model
trains on is used here.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import numpy as np

from simulator import phrases_en, phrases_es
from simulator.places import PARKS, SCHOOLS, STREETS

TOPICS = tuple(phrases_en.SITUATIONS)
SENTIMENTS = ("negative", "neutral", "positive")
LANGUAGES = ("en", "es")

_PHRASES: dict[str, ModuleType] = {"en": phrases_en, "es": phrases_es}
_ROUTES = ("3", "5", "7", "9", "11", "14", "18", "22", "27", "31", "40", "52")
_AND = {"en": "and", "es": "y"}
#: By channel, how likely a comment has an opener, a feeling, a second situation, a closer.
_MIX = {
    "survey": (0.18, 0.45, 0.12, 0.12),
    "email": (0.40, 0.75, 0.45, 0.65),
    "app_review": (0.15, 0.50, 0.05, 0.15),
    "council_meeting": (0.35, 0.80, 0.50, 0.55),
}
_DRAWS = 32


class _UniformDraws:
    """Uniform numbers drawn at once, handed out one by one (a call of numpy's costs more)."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._left: Iterator[float] = iter(())

    def next(self) -> float:
        """Return the next uniform number in [0, 1)."""
        for number in self._left:
            return number
        self._left = iter(self._rng.random(_DRAWS).tolist())
        return next(self._left)

    def pick(self, options: tuple[str, ...]) -> str:
        """Return one of the options."""
        return options[int(self.next() * len(options))]


def compose(
    rng: np.random.Generator,
    *,
    topic: str,
    sentiment: str,
    language: str,
    channel: str,
    district: int,
) -> str:
    """Return one comment as a resident of that district (0-11) would put it.

    `channel` is survey, email, app_review or council_meeting; it sets length and style.
    """
    phrases = _PHRASES[language]
    draws = _UniformDraws(rng)
    opener, feeling, second, closer = _MIX[channel]
    situations = phrases.SITUATIONS[topic][sentiment]
    first = int(draws.next() * len(situations))
    parts: list[str] = []
    if channel == "council_meeting":
        parts.append(draws.pick(phrases.AT_COUNCIL))
    if draws.next() < opener:
        parts.append(draws.pick(phrases.OPENERS[sentiment]))
    parts.append(situations[first])
    if draws.next() < second:
        other = (first + 1 + int(draws.next() * (len(situations) - 1))) % len(situations)
        parts.append(situations[other])
    if draws.next() < feeling:
        parts.append(draws.pick(phrases.FEELINGS[sentiment]))
    if draws.next() < closer:
        parts.append(draws.pick(phrases.CLOSERS[sentiment]))
    text = " ".join(_fill(part, draws, phrases, language, district) for part in parts)
    if channel == "email":
        greeting = draws.pick(phrases.GREETINGS)
        text = f"{greeting} {text}" if greeting else text
    return _apply_style(text, channel, draws)


def subject(rng: np.random.Generator, *, sentiment: str, language: str, district: int) -> str:
    """Return the subject line of an e-mail."""
    phrases = _PHRASES[language]
    draws = _UniformDraws(rng)
    return _fill(draws.pick(phrases.SUBJECTS[sentiment]), draws, phrases, language, district)


def sign_off(rng: np.random.Generator, language: str) -> str:
    """Return the words before a signature."""
    return _UniformDraws(rng).pick(_PHRASES[language].SIGN_OFFS)


def _fill(
    part: str, draws: _UniformDraws, phrases: ModuleType, language: str, district: int
) -> str:
    if "{" not in part:
        return part
    streets = STREETS[district]
    at = int(draws.next() * len(streets))
    cross = (at + 1 + int(draws.next() * (len(streets) - 1))) % len(streets)
    size = draws.next()
    return part.format(
        street=streets[at],
        cross=f"{streets[at]} {_AND[language]} {streets[cross]}",
        park=draws.pick(PARKS[district]),
        school=SCHOOLS[district],
        n=2 + int(size * 8),
        nth=f"{4 + int(size * 6)}th",
        nn=11 + int(size * 50),
        hundreds=120 + int(size * 860),
        day=draws.pick(phrases.DAYS),
        month=draws.pick(phrases.MONTHS),
        route=draws.pick(_ROUTES),
        hour=1 + int(draws.next() * 11),
    )


def _apply_style(text: str, channel: str, draws: _UniformDraws) -> str:
    # Reviews are typed on phones: lower case, no full stop, sometimes exclamation marks.
    style = draws.next()
    if channel == "app_review":
        if style < 0.30:
            return text.lower().rstrip(".")
        if style < 0.36:
            return text.rstrip(".") + "!!"
    elif channel == "survey":
        if style < 0.12:
            return text.lower()
        if style < 0.22:
            return text.rstrip(".")
    return text
