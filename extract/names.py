"""Masking people's names inside free text: names of the same row, in signatures, after titles.

Two ways to find one, because neither suffices:

- Where columns hold who wrote (`personal: drop` or `hash`), the words of their values are masked
  in the other texts of the same row, as whole words, in any case, with or without accents: a
  signature, "Jane here", "jane.doe at work".
- People whom no column names sign ("Regards, Jane", "- Tom R."), write "My name is ..." or are
  called "Mrs. Lopez". These forms are masked in English and Spanish.

A name that is a word as well (Park, May, Will, Rosa, Cruz) is masked only with a capital, so that
the verb in a Will's "will you" stays. A Mr. Park's "Central Park" becomes "Central [name]", in his
own rows only. Titles and particles (Mrs., de la) are no names. A value of many words is a text or
an organisation: it is masked as a whole.

Not found are other people named without a title ("my neighbour Jane"), and nicknames outside
these forms.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from extract.name_words import COMMON, JOINING, NO_NAMES, PARTICLES

TOKEN = "[name]"
#: Names have no more words than this; what has more is masked as a whole, up to some length.
MOST_WORDS, LONGEST = 6, 200
#: Parts of a value that are looked for, titles and particles included.
MOST_PARTS = 12
#: Letters and digits of a number, handle or address that are enough to identify a person.
IDENTIFYING = 4

_LETTER = r"[^\W\d_][\u0300-\u036f]*"
#: A run of letters, or a token that redaction has put there.
_WORD = re.compile(rf"\[[a-z]+\]|(?:{_LETTER})+")
#: "[name] R. [name]" is one person.
_ONE_PERSON = re.compile(r"\[name\](?:[ \t]+(?:\w\.?[ \t]+)?\[name\])+(?:[ \t]+[A-Z]\.)?")
_MAIL_DOMAIN = r"@[\w.-]+\s*$"


def mask_known(texts: pl.Series, people: Sequence[pl.Series]) -> pl.Series:
    """Mask in each text the names that the same row of `people` holds.

    Rows in whose text no part of these values occurs cost a comparison each, and no more.
    """
    if texts.null_count() == len(texts):
        return texts
    folded = _folded(texts)
    suspects = pl.Series([False]).new_from_index(0, len(texts))
    for values in people:
        if values.null_count() == len(values):
            continue
        runs = _folded(values.str.replace(_MAIL_DOMAIN, "")).str.extract_all(r"\pL{2,}|\pN{2,}")
        most = runs.list.len().max()
        for place in range(min(most if isinstance(most, int) else 0, MOST_PARTS)):
            run = runs.list.get(place, null_on_oob=True)
            frame = pl.DataFrame({"text": folded, "run": run})
            found = frame.select(pl.col("text").str.contains(pl.col("run"), literal=True))
            suspects |= found.to_series().fill_null(False)
    places = suspects.arg_true()
    if not len(places):
        return texts
    known = [[_person(v) if v else _NOBODY for v in p.gather(places)] for p in people]
    masked = [
        _mask(text, of_row)
        for text, of_row in zip(texts.gather(places), zip(*known, strict=True), strict=True)
    ]
    return texts.clone().scatter(places, masked)


@dataclass(frozen=True)
class _Person:
    """The words of a value that name a person: those masked in any case, those masked with a
    capital only, and the value as a whole where it is longer or other than a name.
    """

    anywhere: frozenset[str]
    capital: frozenset[str]
    whole: re.Pattern[str] | None


_NOBODY = _Person(frozenset(), frozenset(), None)


@lru_cache(maxsize=4096)
def _person(value: str) -> _Person:
    value = re.sub(_MAIL_DOMAIN, "", value)
    words = {fold(word) for word in _WORD.findall(value)} - PARTICLES
    words = {word for word in words if len(word) > 1}
    if words <= NO_NAMES and words:  # "Anonymous", "a resident", "City Council"
        return _NOBODY
    whole = None
    characters = [c for c in value if c.isalnum()]
    uncased = any(c.isalpha() and c.lower() == c.upper() for c in characters)
    digits = any(c.isdigit() for c in characters)
    if uncased and len(characters) > 1:
        whole = re.compile("".join(map(re.escape, characters)))
    elif IDENTIFYING <= len(characters) <= LONGEST and (digits or len(words) > MOST_WORDS):
        inner = r"[\W_]{0,2}".join(map(re.escape, characters))
        whole = re.compile(rf"(?i)(?<![^\W_]){inner}(?![^\W_])")
    if len(words) > MOST_WORDS:
        return _Person(frozenset(), frozenset(), whole)
    capital = {word for word in words if len(word) < 3} | words & (COMMON | NO_NAMES)
    return _Person(frozenset(words - capital), frozenset(capital), whole)


def _mask(text: str, known: Sequence[_Person]) -> str:
    for one in known:
        if one.whole is not None:
            text = one.whole.sub(TOKEN, text)
    anywhere = frozenset().union(*(one.anywhere for one in known))
    capital = frozenset().union(*(one.capital for one in known)) - anywhere

    def masked(match: re.Match[str]) -> str:
        word = match.group()
        folded = fold(word)
        found = folded in anywhere or (folded in capital and word[0].isupper())
        return TOKEN if found else word

    return _ONE_PERSON.sub(TOKEN, _WORD.sub(masked, text))


def fold(text: str) -> str:
    """Return a text without accents and capitals."""
    if text.isascii():
        return text.lower()
    split = unicodedata.normalize("NFKD", text)
    return "".join(c for c in split if not unicodedata.combining(c)).lower()


def _folded(texts: pl.Series) -> pl.Series:
    if (texts.str.len_bytes() != texts.str.len_chars()).any():
        texts = texts.str.normalize("NFKD").str.replace_all(r"\pM", "")
    return texts.str.to_lowercase()


_INITIALS = rf"(?:{_LETTER}\.){{1,3}}(?![^\W_])"
_W = rf"(?:\[name\]|{_INITIALS}|{_LETTER}(?:{_LETTER}|['’-](?={_LETTER}))*)"
_NAME = rf"{_W}(?:[ \t]{{1,2}}{_W}){{0,5}}"
_CLOSING = (
    r"(?:(?:best|kind|kindest|warm|warmest) )?regards|(?:all the )?best(?: wishes)?|"
    r"(?:yours )?(?:sincerely|truly|faithfully|respectfully)(?: yours)?|yours|cordially|warmly|"
    r"cheers|signed|(?:many |with )?(?:thanks|thx)(?: so much| a lot| again| in advance)?|"
    r"(?:thanks|thank you)(?: (?:so|very) much| again| in advance|"
    r" for (?:your|the) (?:time|help|attention|consideration|service|support))?|"
    r"(?:muy )?atentamente|atte|(?:un )?(?:cordial(?:es)? )?saludos?(?: cordial(?:es)?)?|"
    r"cordialmente|respetuosamente|(?:(?:muchas|mil) )?gracias(?: de antemano| por todo|"
    r" por su (?:tiempo|ayuda|atenci[oó]n))?|(?:un )?abrazos?|firmado|suyo|suya"
)
#: Each form: words that introduce a name (group 1, kept), and the name (group 2).
_SIGNED_BELOW = re.compile(
    rf"(?im)((?<![^\W_])(?:{_CLOSING})[ \t]{{0,2}}[,.!;:]{{0,2}}[ \t]{{0,9}}\r?\n\s{{0,9}}"
    rf"[-–—~]{{0,2}}[ \t]{{0,2}})({_NAME})(?=[ \t]*[,.!]|[ \t]*$)"
)
_SIGNED_BESIDE = re.compile(
    rf"(?im)((?:^|[.!?…)\"”,;-][ \t\n]{{1,3}})(?:{_CLOSING})[ \t]{{0,2}}"
    rf"(?:,|[-–—])[ \t]{{0,2}})({_NAME})(?=[ \t]*[.!]?[ \t]*$)"
)
_AFTER_DASH = re.compile(
    rf"((?:^|\n|[.!?…)\"”])[ \t]{{0,3}}(?:--?|–|—|~)[ \t]{{0,2}})({_NAME})(?=[\s.]*\Z)"
)
_INTRODUCED = re.compile(
    r"(?im)((?<![^\W_])(?:my (?:full )?name is|my name['’]s|me llamo|mi nombre es)[ \t]{1,3}|"
    r"^[ \t]{0,9}(?:name|full name|from|signed|sender|nombre|nombre completo|firma|remitente)"
    rf"[ \t]{{0,2}}:[ \t]{{1,3}})({_NAME})"
)
_INTRODUCED_PLAIN = re.compile(
    r"(?im)((?<![^\W_])(?:my (?:full )?name is|my name['’]s|me llamo|mi nombre es)[ \t]{1,3})"
    rf"({_W}(?:[ \t]{_W})?)(?=[ \t]*(?:[,.!]|and\b|y\b|$))"
)
_TITLED = re.compile(
    r"((?<![^\W_])(?:(?:Mrs?|Ms|Mx|MRS?|MS|Sra|Srta|SRA|SRTA)\.?|Sr\.)[ \t])"
    rf"(?!{'|'.join(sorted(JOINING))}\b)({_NAME})"
)
_BULLET = re.compile(r"(?m)^[ \t]{0,3}[-–—*•~]")
#: A column without a match of this holds no such form.
_PREFILTER = (
    rf"(?i)(?-u:\b)(?:{_CLOSING})[ \t]*(?:,|[-–—]|[.!;:]{{0,2}}[ \t]*\r?\n)|"
    r"(?:^|[\n.!?…)\"”])[ \t]{0,3}(?:--?|–|—|~)[ \t]{0,2}\pL[^\n]{1,60}\s*$|"
    r"my (?:full )?name(?: is|['’]s)|me llamo|mi nombre es|"
    r"(?:^|\n)[ \t]*(?:name|full name|from|signed|sender|nombre|nombre completo|firma|remitente)"
    r"[ \t]*:|(?-u:\b)(?:mrs?|ms|mx|sra|srta|sr)(?-u:\b)\.?[ \t]"
)


def mask_signed(texts: pl.Series) -> pl.Series:
    """Mask names in signatures, after titles, and where people introduce themselves."""
    places = texts.str.contains(_PREFILTER).fill_null(False).arg_true()
    if not len(places):
        return texts
    return texts.clone().scatter(places, [signed(text) for text in texts.gather(places)])


def signed(text: str) -> str:
    """Mask such names in one text."""
    text = _SIGNED_BELOW.sub(lambda m: _replaced(m, lower=True), text)
    text = _SIGNED_BESIDE.sub(_replaced, text)
    if len(_BULLET.findall(text)) < 2:  # the last point of a list is no signature
        text = _AFTER_DASH.sub(_replaced, text)
    text = _TITLED.sub(lambda m: _replaced(m, first=True), text)
    text = _INTRODUCED.sub(lambda m: _replaced(m, first=True), text)
    text = _INTRODUCED_PLAIN.sub(lambda m: _replaced(m, lower=True), text)
    return _ONE_PERSON.sub(TOKEN, text)


def _replaced(match: re.Match[str], first: bool = False, lower: bool = False) -> str:
    """Return a form with its name masked, or unchanged if that is no name.

    `first`: other words may follow the name, which is as many as are written with a capital.
    `lower`: one or two words without a capital are a name too; the form is unambiguous.
    """
    before, named = match.group(1), match.group(2)
    words = list(re.finditer(r"\S+", named))
    if first:
        length = next((n for n, w in enumerate(words) if not _as_name(w.group())), len(words))
        while length and fold(words[length - 1].group()) in PARTICLES:
            length -= 1
        words = words[:length]
    name = [word.group() for word in words]
    plain = {fold(word.rstrip(".")) for word in name}
    written = all(map(_as_name, name)) or (
        lower and len(name) < 3 and not plain & COMMON and not any(map(str.isupper, named))
    )
    if not name or not written or plain & NO_NAMES or plain <= PARTICLES:
        return match.group()
    return before + TOKEN + named[words[-1].end() :]


def _as_name(word: str) -> bool:
    return word[:1].isupper() or word == TOKEN or fold(word) in JOINING
