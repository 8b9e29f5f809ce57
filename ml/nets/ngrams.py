"""Text to hashed features: words, word pairs, words under negation, character n-grams.

All texts of a call are hashed at once in numpy: 45,000 tweets take a few seconds. Nothing is
fitted and only the settings are stored, so that the same text gives the same buckets on
every machine and in every version of Python (`hash()` would not).
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

_ADDRESS = re.compile(r"https?://\S+|www\.\S+")
_HANDLE = re.compile(r"@\w+")
_LONG_DRAWN = re.compile(r"([^\W\d_])\1{2,}")
_TOKEN = re.compile(
    r"<(?:url|user)>"
    r"|[:;=][-'^o]?[)(\]\[dp/\\|*]+|<3+"  # :-) ;) =( <3
    r"|[^\W\d_]+(?:['’][^\W\d_]+)*"
    r"|\d+(?:[.,:]\d+)*"
    r"|([!?.])\1+"
    r"|[^\w\s]"
)
_SENTENCE_END = re.compile(r"[.!?;:,()]")
#: English and Spanish words that negate what follows; the ending "n't" is handled in `_negated`.
_NEGATIONS = frozenset(
    re.findall(
        r"\w+",
        "not no never nobody nothing none nor neither cannot cant without hardly barely aint dont "
        "doesnt didnt wont isnt wasnt werent arent couldnt shouldnt wouldnt havent hasnt hadnt "
        "nunca jamás nadie nada ningún ninguna ninguno ni sin tampoco",
    )
)
_NEGATED_WORDS = 4
#: Hashing takes a step for each character of the longest word; base64 is one long word.
_LONGEST_WORD = 64

_PAIR = np.uint64(0x9E3779B97F4A7C15)
_STEP = np.uint64(0x100000001B3)
_MIX = np.uint64(0xBF58476D1CE4E5B9)
_SEED_WORD, _SEED_PAIR, _SEED_NEGATED, _SEED_CHARS = (
    np.uint64(seed) for seed in (0x51ED27, 0xA24BAED4, 0x3C6EF372, 0x94D049BB)
)


@dataclass(frozen=True)
class Bags:
    """Features of a run of texts: the buckets of text `i` are `buckets[starts[i]:starts[i + 1]]`.

    `weights` counts how often each occurs, damped: 1 + ln(count).
    """

    buckets: np.ndarray
    weights: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

    def take(self, rows: np.ndarray) -> Bags:
        """Return the bags of the given rows, in their order."""
        lengths = np.diff(self.starts)[rows]
        places = _ranges(self.starts[rows], lengths)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        return Bags(self.buckets[places], self.weights[places], starts)


@dataclass(frozen=True)
class NGrams:
    """Settings of the featurisation; call `bags` to use them.

    Words and pairs fall into the first `word_buckets` buckets, character n-grams of
    `shortest` to `longest` characters into the `char_buckets` that follow.
    """

    word_buckets: int = 1 << 18
    char_buckets: int = 1 << 18
    shortest: int = 3
    longest: int = 5
    pairs: bool = True
    negation: bool = True

    @property
    def buckets(self) -> int:
        """Number of buckets in all."""
        return self.word_buckets + self.char_buckets

    def bags(self, texts: Sequence[str]) -> Bags:
        """Return the features of the texts. A text without any word has an empty bag."""
        index: dict[str, int] = {}
        occurrences: list[int] = []
        lengths = np.zeros(len(texts), dtype=np.int64)
        for row, text in enumerate(texts):
            tokens = tokenize(text)
            lengths[row] = len(tokens)
            occurrences.extend([index.setdefault(token, len(index)) for token in tokens])
        vocabulary = list(index)
        token_ids = np.asarray(occurrences, dtype=np.int64)
        owners = np.repeat(np.arange(len(texts)), lengths)
        hashes, char_grams, char_starts = self._hash_vocabulary(vocabulary)

        keys = [self._word_keys(owners, hashes[token_ids] ^ _SEED_WORD)]
        same_text = owners[1:] == owners[:-1]
        if self.pairs:
            pair = hashes[token_ids[:-1]] * _PAIR + hashes[token_ids[1:]] ^ _SEED_PAIR
            keys.append(self._word_keys(owners[:-1][same_text], pair[same_text]))
        if self.negation:
            negated = _negated(vocabulary, token_ids, owners)
            keys.append(
                self._word_keys(owners[negated], hashes[token_ids[negated]] ^ _SEED_NEGATED)
            )
        if self.char_buckets:
            counts = np.diff(char_starts)[token_ids]
            grams = char_grams[_ranges(char_starts[token_ids], counts)]
            keys.append(np.repeat(owners, counts) * self.buckets + grams + self.word_buckets)
        return self._count(np.concatenate(keys), len(texts))

    def _word_keys(self, owners: np.ndarray, hashes: np.ndarray) -> np.ndarray:
        places = (_mix(hashes) % np.uint64(self.word_buckets)).astype(np.int64)
        return owners * self.buckets + places

    def _count(self, keys: np.ndarray, texts: int) -> Bags:
        unique, counts = np.unique(keys, return_counts=True)
        starts = np.searchsorted(unique, np.arange(texts + 1) * self.buckets)
        weights = (1.0 + np.log(counts)).astype(np.float32)
        return Bags(unique % self.buckets, weights, starts)

    def _hash_vocabulary(self, vocabulary: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Hash of each word, and its character n-grams as buckets with their starts."""
        framed = [f"<{word}>" for word in vocabulary]
        points = np.frombuffer(
            "".join(framed).encode("utf-32-le", "surrogatepass"), dtype=np.uint32
        )
        points = points.astype(np.uint64)
        lengths = np.fromiter(map(len, framed), dtype=np.int64, count=len(framed))
        ends = np.cumsum(lengths)
        owner = np.repeat(np.arange(len(framed)), lengths)
        left = np.repeat(ends, lengths) - np.arange(len(points))  # characters to the word's end

        rolling = np.zeros(len(points), dtype=np.uint64)
        hashes = np.zeros(len(framed), dtype=np.uint64)
        grams: list[np.ndarray] = []
        owners: list[np.ndarray] = []
        for n in range(1, int(lengths.max(initial=0)) + 1):
            alive = np.flatnonzero(left >= n)
            rolling[alive] = (rolling[alive] + points[alive + n - 1] + np.uint64(1)) * _STEP
            whole = alive[left[alive] == lengths[owner[alive]]]  # windows from the first character
            finished = whole[lengths[owner[whole]] == n]
            hashes[owner[finished]] = _mix(rolling[finished])
            if self.shortest <= n <= self.longest and self.char_buckets:
                # The whole framed word is a feature already.
                part = alive[lengths[owner[alive]] > n]
                mixed = _mix(rolling[part] ^ _SEED_CHARS ^ np.uint64(n))
                grams.append((mixed % np.uint64(self.char_buckets)).astype(np.int64))
                owners.append(owner[part])
        if not grams:
            return hashes, np.zeros(0, np.int64), np.zeros(len(framed) + 1, np.int64)
        of_word = np.concatenate(owners)
        order = np.argsort(of_word, kind="stable")
        starts = np.searchsorted(of_word[order], np.arange(len(framed) + 1))
        return hashes, np.concatenate(grams)[order], starts


def tokenize(text: str) -> list[str]:
    """Return the lower-case words, emoticons, emoji and marks of a text.

    Addresses become `<url>`, handles `<user>`, numbers `<num>`; letters drawn out
    ("soooo") are kept twice; a word in capitals also gives `<caps>`; one of more than 64
    characters comes in pieces.
    """
    plain = unicodedata.normalize("NFKC", html.unescape(text)).replace("’", "'")
    plain = _HANDLE.sub(" <user> ", _ADDRESS.sub(" <url> ", plain))
    plain = _LONG_DRAWN.sub(r"\1\1", plain)
    tokens: list[str] = []
    for match in _TOKEN.finditer(plain):
        token = match.group()
        if token[0].isdigit():
            tokens.append("<num>")
        elif len(token) > 2 and token.isupper():
            tokens += [token.lower(), "<caps>"]
        else:
            tokens.append(token.lower())
    return [
        token[at : at + _LONGEST_WORD]
        for token in tokens
        for at in range(0, len(token), _LONGEST_WORD)
    ]


def _negated(vocabulary: Iterable[str], tokens: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """Places of words that stand at most four words after a negation in their clause."""
    turns = np.array([w in _NEGATIONS or w.endswith("n't") for w in vocabulary], dtype=bool)
    ends = np.array([bool(_SENTENCE_END.match(w)) for w in vocabulary], dtype=bool)
    if not turns.any():
        return np.zeros(0, dtype=np.int64)
    is_turn, is_end = turns[tokens], ends[tokens]
    reached = np.zeros(len(tokens), dtype=bool)
    open_ = is_turn
    for _ in range(_NEGATED_WORDS):
        # A clause's end or the text's stops the negation.
        after = np.zeros(len(tokens), dtype=bool)
        after[1:] = open_[:-1] & (owners[1:] == owners[:-1])
        open_ = after & ~is_end
        reached |= open_
    return np.flatnonzero(reached & ~is_turn)


def _mix(values: np.ndarray) -> np.ndarray:
    values = (values ^ (values >> np.uint64(30))) * _MIX
    return values ^ (values >> np.uint64(29))


def _ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Concatenate `range(start, start + length)` of each pair."""
    total = int(lengths.sum())
    before = np.cumsum(lengths) - lengths
    return np.arange(total) + np.repeat(starts - before, lengths)
