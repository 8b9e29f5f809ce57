"""Scoring: the residents' new comments in the warehouse, or any texts with any model.

Nothing here imports Lightning; MLflow and torch are imported when there is something to score.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import psycopg

from ml.champion import record, require_champion
from ml.labels import LABELS
from ml.registry import CHAMPION, Registry, RegistryError

#: New feedback, and feedback whose text was corrected since this version scored it.
_UNSCORED = """
    select feedback.city_id, feedback.feedback_id, feedback.text, hashed.text_hash
    from marts.fct_feedback as feedback
    cross join lateral (
        select encode(sha256(convert_to(feedback.text, 'UTF8')), 'hex') as text_hash
    ) as hashed
    left join ml.feedback_score as score
        on
            score.city_id = feedback.city_id
            and score.feedback_id = feedback.feedback_id
            and score.model_name = %(model_name)s
            and score.model_version = %(model_version)s
    where
        feedback.text ~ '[^[:space:]]'
        and (score.text_hash is null or score.text_hash <> hashed.text_hash)
"""
_WRITE = """
    insert into ml.feedback_score (
        city_id, feedback_id, text_hash, sentiment, probability, p_negative, p_neutral, p_positive,
        model_name, model_version
    )
    select scored.*, %s, %s
    from unnest(
        %s::text[], %s::text[], %s::text[], %s::text[],
        %s::float8[], %s::float8[], %s::float8[], %s::float8[]
    ) as scored
    -- Rows are locked in one order, so that two scorers at once cannot deadlock.
    order by 1, 2
    on conflict (city_id, feedback_id, model_name, model_version) do update set
        text_hash = excluded.text_hash,
        sentiment = excluded.sentiment,
        probability = excluded.probability,
        p_negative = excluded.p_negative,
        p_neutral = excluded.p_neutral,
        p_positive = excluded.p_positive,
        scored_at = clock_timestamp()
"""


@dataclass(frozen=True)
class Score:
    """A text's label, its probability, and all three in the order of `LABELS`."""

    label: str
    probability: float
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Model:
    """A loaded model. `version` is None where it was not loaded from a registered version."""

    name: str
    version: int | None
    predict: Callable[[Any], Any]


@dataclass(frozen=True)
class ScoreReport:
    """Result of scoring: rows written, also by sentiment, and rows that had a score already."""

    model_name: str
    model_version: int
    scored: int
    batches: int
    already_scored: int
    by_sentiment: dict[str, int]


def load_model(tracking_uri: str, model: str = "sentiment") -> Model:
    """Load a model by name (its champion) or by `models:/` URI.

    Raises `ml.registry.RegistryError`, with the remedy, when there is none.
    """
    registry = Registry(tracking_uri)
    if not model.startswith("models:/"):
        version = require_champion(registry, model).version
        return Model(model, version, registry.load(f"models:/{model}/{version}").predict)
    name, _, alias = model.removeprefix("models:/").partition("@")
    if alias == CHAMPION:
        return load_model(tracking_uri, name)
    name, _, number = name.partition("/")
    if not alias and not number.isdigit():
        raise RegistryError(
            f"{model!r} names no version; write models:/NAME/VERSION or models:/NAME@{CHAMPION}"
        )
    return Model(name, int(number) if number else None, registry.load(model).predict)


def score_texts(model: Model, texts: Sequence[str]) -> list[Score]:
    """Return a score for each text, in order."""
    if not texts:
        return []
    import pandas as pd

    # JSON can hold a lone surrogate; pandas and the net cannot.
    whole = [text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in texts]
    answer = model.predict(pd.DataFrame({"text": whole}))
    all_three = answer[[f"p_{label}" for label in LABELS]].to_numpy()
    return [
        Score(label, float(probability), tuple(float(p) for p in row))
        for label, probability, row in zip(
            answer["label"], answer["probability"], all_three, strict=True
        )
    ]


def score_new_feedback(
    warehouse_url: str,
    tracking_uri: str,
    model_name: str = "sentiment",
    batch_size: int = 2_000,
    report: Callable[[str], None] = lambda _: None,
) -> ScoreReport:
    """Score what the champion has not scored in `marts.fct_feedback`, into `ml.feedback_score`.

    A batch is a transaction: what was written stays when a later batch fails, and the next call
    goes on from there. Empty texts have no score. Also writes into `ml.champion` which version
    is champion, in case someone moved the alias in MLflow.

    Raises `ml.registry.RegistryError` when there is no champion or no MLflow.
    """
    registry = Registry(tracking_uri)
    champion = require_champion(registry, model_name)
    version = champion.version
    asked = {"model_name": model_name, "model_version": version}
    by_sentiment = dict.fromkeys(LABELS, 0)
    scored = batches = 0
    with psycopg.connect(warehouse_url) as reading, psycopg.connect(warehouse_url) as writing:
        record(writing, champion)
        ((already,),) = writing.execute(
            "select count(*) from ml.feedback_score"
            " where model_name = %(model_name)s and model_version = %(model_version)s",
            asked,
        ).fetchall()
        writing.commit()
        model: Model | None = None
        # The cursor keeps its snapshot while batches are written through the other session.
        with reading.cursor(name="unscored") as unscored:
            unscored.execute(_UNSCORED, asked)
            while rows := unscored.fetchmany(batch_size):
                if model is None:
                    loaded = registry.load(f"models:/{model_name}/{version}")
                    model = Model(model_name, version, loaded.predict)
                cities, ids, texts, hashes = zip(*rows, strict=True)
                scores = score_texts(model, texts)
                columns = [
                    [score.label for score in scores],
                    [score.probability for score in scores],
                    *([score.probabilities[place] for score in scores] for place in range(3)),
                ]
                writing.execute(
                    _WRITE,
                    (model_name, version, list(cities), list(ids), list(hashes), *columns),
                )
                writing.commit()
                for score in scores:
                    by_sentiment[score.label] += 1
                scored += len(rows)
                batches += 1
                report(f"scored {scored:,}")
    return ScoreReport(model_name, version, scored, batches, already, by_sentiment)


@dataclass(frozen=True)
class BadLine:
    """An invalid line of input."""

    number: int
    message: str


def score_lines(
    model: Model, lines: Iterable[str], batch_size: int = 256
) -> Iterator[dict[str, Any] | BadLine]:
    """Score JSON lines with `id` and `text`, as they come, in their order.

    Yields `id`, `label`, `probability`, `model_version` for each good line and a `BadLine` for
    each invalid one; blank lines are ignored.
    """
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    while batch := list(islice(numbered, batch_size)):
        read = [_read_line(number, line) for number, line in batch]
        texts = [item["text"] for item in read if not isinstance(item, BadLine)]
        scores = iter(score_texts(model, texts))
        for item in read:
            if isinstance(item, BadLine):
                yield item
                continue
            score = next(scores)
            yield {
                "id": item["id"],
                "label": score.label,
                "probability": round(score.probability, 6),
                "model_version": model.version,
            }


def _read_line(number: int, line: str) -> dict[str, Any] | BadLine:
    try:
        item = json.loads(line.removeprefix("\ufeff"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        return BadLine(number, f"is not JSON ({error})")
    if not isinstance(item, dict):
        return BadLine(number, 'is not an object; write {"id": ..., "text": "..."}')
    if "id" not in item:
        return BadLine(number, "has no id")
    if not isinstance(item.get("text"), str):
        return BadLine(number, f"has no text: {item.get('text')!r}"[:80])
    return item


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")
