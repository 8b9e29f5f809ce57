"""Features of texts are the same however the texts are batched, and mean what they say."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.nets.ngrams import NGrams, tokenize

WORDS_ONLY = NGrams(char_buckets=0, pairs=False, negation=False)


def bag(texts, row=0, ngrams=None):
    bags = (ngrams or NGrams()).bags(texts)
    return set(bags.buckets[bags.starts[row] : bags.starts[row + 1]].tolist())


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("It ISN'T bad!!!", ["it", "isn't", "<caps>", "bad", "!!!"]),
        ("soooo good :-) 😡", ["soo", "good", ":-)", "😡"]),
        (
            "@bob see https://a.b/c &amp; pay $4.50",
            ["<user>", "see", "<url>", "&", "pay", "$", "<num>"],
        ),
        ("Qué bueno, ¿no?", ["qué", "bueno", ",", "¿", "no", "?"]),
        ("don’t", ["don't"]),
        ("", []),
    ],
)
def test_tokens(text, tokens):
    assert tokenize(text) == tokens


@given(st.lists(st.text(max_size=60), min_size=1, max_size=6))
def test_a_text_has_the_same_features_alone_as_among_others(texts):
    ngrams = NGrams(word_buckets=1 << 12, char_buckets=1 << 12)
    together = ngrams.bags(texts)
    assert len(together) == len(texts)
    for row, text in enumerate(texts):
        alone = ngrams.bags([text])
        part = together.take(np.array([row]))
        assert np.array_equal(alone.buckets, part.buckets)
        assert np.array_equal(alone.weights, part.weights)
        assert np.all(alone.buckets < ngrams.buckets)


def test_an_attachment_without_a_space_costs_no_more_than_prose():
    """Hashing once took a step a character of the longest word: half a minute for this text."""
    text = "ab" * 50_000
    assert max(map(len, tokenize(text))) <= 64 and "".join(tokenize(text)) == text
    prose = "ab cd ef " * (len(text) // 9)
    assert _cpu_seconds(text) < 20 * max(_cpu_seconds(prose), 0.02)


def _cpu_seconds(text: str) -> float:
    """Return this process's own time, which a busy machine does not lengthen."""
    started = time.process_time()
    bag([text])
    return time.process_time() - started


def test_half_a_character_has_features_too():
    assert bag(["late \ud83d bus"])


def test_buckets_never_change():
    """Saved models depend on it."""
    assert WORDS_ONLY.bags(["thanks for nothing"]).buckets.tolist() == [5800, 145782, 190371]


def test_words_out_of_order_differ_only_in_pairs():
    assert bag(["dog bites man"], ngrams=WORDS_ONLY) == bag(["man bites dog"], ngrams=WORDS_ONLY)
    assert bag(["dog bites man"]) != bag(["man bites dog"])


def test_negation_reaches_to_the_clauses_end():
    ngrams = NGrams(char_buckets=0, pairs=False)
    plain = NGrams(char_buckets=0, pairs=False, negation=False)

    def turned(text):
        return len(bag([text], ngrams=ngrams)) - len(bag([text], ngrams=plain))

    assert turned("good service here") == 0
    assert turned("not good service") == 2
    assert turned("not at all, good service") == 2
    assert turned("never a b c d e f") == 4
    assert turned("didn't work") == 1
    assert turned("no") == 0


def test_a_negation_does_not_reach_into_the_next_text():
    ngrams = NGrams(char_buckets=0, pairs=False)
    assert bag(["it is not", "good"], 1, ngrams) == bag(["good"], 0, ngrams)


def test_a_misspelt_word_shares_most_of_its_parts():
    parts = NGrams(word_buckets=1, pairs=False, negation=False)
    right, wrong, other = (bag([w], ngrams=parts) for w in ("recycling", "recyclng", "playground"))
    assert len(right & wrong) >= 8 > len(right & other)


def test_repeats_count_less_and_less():
    bags = WORDS_ONLY.bags(["rats rats rats rats"])
    assert bags.weights.tolist() == pytest.approx([1 + np.log(4)])
