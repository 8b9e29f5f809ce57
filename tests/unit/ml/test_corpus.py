"""What the corpus promises (ml/corpus/GUIDE.md)."""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter

import numpy as np
import pytest
from scipy.sparse import csr_array

from ml.nets.ngrams import NGrams
from ml.readers import CORPUS, read_dataset
from simulator import phrases_en, phrases_es

# Ids and splits never change: a new comment changes this, an old one must not move.
SPLITS = "6eb4f3b6d1526b61715e0e87c19dd60ad4da54182be0af927d22e1ee38e69dcb"
#: Cosine above which two comments are taken for one with words changed.
ALIKE = 0.55
TOPICS = {
    "sanitation",
    "roads",
    "transit",
    "parks",
    "permits",
    "housing",
    "safety",
    "noise",
    "water",
    "budget",
    "service",
    "health",
}


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with CORPUS.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def test_has_as_many_distinct_comments_as_promised(rows):
    distinct = {language: set() for language in ("en", "es")}
    for row in rows:
        distinct[row["language"]].add(" ".join(words(row["text"])))
    assert len(distinct["en"]) >= 1000
    assert len(distinct["es"]) >= 200
    assert sum(map(len, distinct.values())) == len(rows) >= 1200
    assert len({row["id"] for row in rows}) == len(rows)


def test_labels_are_the_guides(rows):
    for row in rows:
        assert row["sentiment"] in {"negative", "neutral", "positive"}, row
        assert row["stance"] in {"support", "oppose", "neutral"}, row
        assert row["topic"] in TOPICS, row
        assert row["text"] == row["text"].strip() and "\t" not in row["text"]


def test_every_topic_has_every_sentiment_and_stance_goes_its_own_way(rows):
    topics = Counter((row["topic"], row["sentiment"]) for row in rows)
    assert min(topics[topic, mood] for topic in TOPICS for mood in _moods(rows)) >= 10
    stances = Counter((row["sentiment"], row["stance"]) for row in rows)
    assert min(stances[mood, stance] for mood in _moods(rows) for stance in _stances(rows)) >= 50


def most_alike(texts: list[str]) -> list[tuple[float, str, str]]:
    """Pairs whose words and parts of words are alike (TF-IDF cosine), most alike first."""
    bags = NGrams(pairs=False, negation=False, shortest=4).bags(texts)
    owners = np.repeat(np.arange(len(bags)), np.diff(bags.starts))
    _, feature, frequency = np.unique(bags.buckets, return_inverse=True, return_counts=True)
    weights = bags.weights * np.log(len(texts) / frequency)[feature]
    norms = np.sqrt(np.bincount(owners, weights**2))
    matrix = csr_array((weights / norms[owners], (owners, feature)))
    alike = (matrix @ matrix.T).tocoo()
    pairs = [
        (round(float(value), 2), texts[a], texts[b])
        for a, b, value in zip(alike.row, alike.col, alike.data, strict=True)
        if a < b and value > 0.3
    ]
    return sorted(pairs, reverse=True)


def test_no_two_comments_are_near_duplicates(rows):
    texts = [row["text"] for row in rows]
    assert [pair for pair in most_alike(texts) if pair[0] > ALIKE] == []
    # What a template makes is found.
    planted = (
        "Is there a schedule for when the fountain at Elm Park gets turned on, "
        "or does it depend on temperature?"
    )
    assert most_alike([*texts, planted])[0][0] > ALIKE


def test_no_sentence_is_shared(rows):
    phrases = Counter(
        phrase
        for row in rows
        for phrase in {
            tuple(words(row["text"])[i : i + 6]) for i in range(len(words(row["text"])) - 5)
        }
    )
    repeated = {" ".join(phrase): n for phrase, n in phrases.items() if n > 1}
    assert len(repeated) <= 5 and max(repeated.values(), default=0) <= 2, repeated


def test_splits_are_fixed_and_stratified(rows):
    text = "\n".join(sorted(f"{row['id']} {row['split']}" for row in rows))
    assert hashlib.sha256(text.encode()).hexdigest() == SPLITS
    sizes = Counter(row["split"] for row in rows)
    strata = Counter((row["split"], row["language"], row["sentiment"]) for row in rows)
    totals = Counter((row["language"], row["sentiment"]) for row in rows)
    for split, share in (("train", 0.55), ("validation", 0.15), ("heldout", 0.30)):
        assert sizes[split] / len(rows) == pytest.approx(share, abs=0.01)
        for (language, mood), total in totals.items():
            assert strata[split, language, mood] / total == pytest.approx(share, abs=0.02)


def test_residents_grammar_says_nothing_that_a_model_learns_from_or_is_chosen_by(rows):
    """Not in other words either: no six words in a row, and no short comment whole."""
    spoken = [
        f" {' '.join(words(fragment))} "
        for module in (phrases_en, phrases_es)
        for name, value in vars(module).items()
        if name.isupper()
        for fragment in strings(value)
    ]
    assert len(spoken) > 500
    taught = [words(row["text"]) for row in rows if row["split"] != "heldout"]
    runs = {
        f" {' '.join(text[at : at + 6])} " for text in taught for at in range(len(text) - 5)
    } | {f" {' '.join(text)} " for text in taught if len(text) < 6}
    assert [(comment, run) for comment in spoken for run in runs if run in comment] == []


def strings(value):
    """The strings of dictionaries and tuples in each other."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from strings(item)


def test_holds_nothing_personal(rows):
    personal = re.compile(
        r"\S@\S|https?:|www\.|\+\d{2}|\(\d{3}\)|\d{3}[-. ]\d{4}|\d{3}[-. ]\d{3}[-. ]\d{3}|\d{7,}"
    )
    assert [row["text"] for row in rows if personal.search(row["text"])] == []


def test_is_read_whole_and_without_leaks(rows):
    dataset = read_dataset()
    assert len(dataset.train) + len(dataset.validation) + len(dataset.unseen) == len(rows)
    assert dataset.leaks == 0
    assert dataset.unseen_name == "heldout"


def _moods(rows):
    return {row["sentiment"] for row in rows}


def _stances(rows):
    return {row["stance"] for row in rows}
