"""Metrics, VADER's thresholds, the champion's rule, names of models."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ml.baseline import Vader
from ml.champion import decide
from ml.labels import LABELS
from ml.metrics import (
    classification_metrics,
    confusion_matrix,
    draw_confusion_matrix,
    recall_by_language,
)
from ml.readers import CORPUS
from ml.registry import RegistryError, Version
from ml.score import BadLine, Model, Score, score_lines, score_texts
from ml.train import default_name, train


def test_metrics_of_a_small_example_worked_out_by_hand():
    truth, predicted = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 1, 1, 2, 0])
    assert confusion_matrix(truth, predicted).tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 1]]
    assert classification_metrics(truth, predicted) == pytest.approx(
        {
            "recall_negative": 1 / 2,
            "recall_neutral": 1,
            "recall_positive": 1 / 2,
            "macro_recall": 2 / 3,
            "precision_negative": 1 / 2,
            "precision_neutral": 2 / 3,
            "precision_positive": 1,
            "macro_precision": 13 / 18,
            "f1_negative": 1 / 2,
            "f1_neutral": 4 / 5,
            "f1_positive": 2 / 3,
            "macro_f1": 59 / 90,
            "accuracy": 2 / 3,
        }
    )


def test_labels_that_are_never_predicted_or_never_occur_count_as_zero():
    never_predicted = classification_metrics(np.array([0, 1, 2]), np.array([0, 0, 0]))
    for name in ("precision", "recall", "f1"):
        assert never_predicted[f"{name}_positive"] == 0
    assert never_predicted["macro_recall"] == pytest.approx(1 / 3)
    assert classification_metrics(np.array([0, 1]), np.array([0, 2]))["recall_positive"] == 0
    assert confusion_matrix(np.array([0, 1]), np.array([0, 0])).shape == (3, 3)


def test_macro_recall_by_language():
    truth, predicted = np.array([0, 1, 2, 0, 1, 2, 0]), np.array([0, 1, 2, 0, 0, 0, 1])
    languages = ["en", "en", "en", "es", "es", "es", "de"]
    # Its one German text has one label of three.
    assert recall_by_language(truth, predicted, languages) == {
        "en": 1.0,
        "es": pytest.approx(1 / 3),
    }
    assert recall_by_language(truth[:3], predicted[:3], languages[:3]) == {}
    assert recall_by_language(truth, predicted, ()) == {}


def test_the_confusion_matrix_is_drawn(tmp_path):
    draw_confusion_matrix(np.array([[5, 1, 0], [0, 0, 0], [1, 2, 3]]), "title", tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_vader_keeps_its_authors_thresholds():
    vader = Vader()
    texts = ["I love this, thank you!", "This is horrible.", "The office is in the town hall."]
    assert [LABELS[n] for n in vader.probabilities(texts).argmax(axis=1)] == [
        "positive",
        "negative",
        "neutral",
    ]

    class On:
        def polarity_scores(self, text):
            return {"compound": float(text)}

    vader._analyzer = On()
    borders = ["0.05", "0.0499", "-0.05", "-0.0499", "0", "1", "-1"]
    answer = vader.probabilities(borders)
    assert [LABELS[n][:3] for n in answer.argmax(axis=1)] == [
        "pos",
        "neu",
        "neg",
        "neu",
        "neu",
        "pos",
        "neg",
    ]
    assert np.allclose(answer.sum(axis=1), 1)


def version(number: int, recall: float, fingerprint: str = "f", net: str = "subword") -> Version:
    return Version(
        model_name="sentiment",
        version=number,
        net=net,
        data="d",
        data_fingerprint=fingerprint,
        run_id="",
        created_at="2026-01-01T00:00:00+00:00",
        metrics={"validation_macro_recall": recall, "heldout_macro_recall": 1 - recall},
    )


def test_the_first_champion_is_the_best_on_validation_not_on_heldout():
    decision = decide([version(1, 0.60), version(2, 0.55, net="vader")], None, "f")
    assert decision.champion.version == 1 and decision.changed


def test_vader_may_win():
    assert decide([version(1, 0.5), version(2, 0.6, net="vader")], None, "f").champion.version == 2


@pytest.mark.parametrize(
    ("challenger", "winner"), [(0.7049, 1), (0.7051, 2), (0.70, 1), (0.5, 1), (0.9, 2)]
)
def test_the_incumbent_stays_unless_beaten_by_half_a_point(challenger, winner):
    incumbent = version(1, 0.70)
    decision = decide([incumbent, version(2, challenger)], incumbent, "f")
    assert decision.champion.version == winner
    assert decision.changed == (winner != 1)


def test_at_the_same_figure_the_older_one_is_first():
    assert decide([version(2, 0.7), version(1, 0.7)], None, "f").champion.version == 1


def test_versions_of_other_data_do_not_compete():
    incumbent = version(1, 0.99, fingerprint="old")
    decision = decide([incumbent, version(2, 0.6), version(3, 0.5)], incumbent, "f")
    assert decision.champion.version == 2 and "other data" in decision.reason


def test_other_data_gets_a_model_of_its_own(tmp_path):
    assert default_name(None) == default_name(CORPUS.parent) == "sentiment"
    assert default_name(tmp_path / "Tweet Eval") == "sentiment-tweet-eval"
    assert default_name(tmp_path / "tweets.v2") == "sentiment-tweets-v2"
    assert default_name(tmp_path / "Отзывы") == "sentiment-отзывы"
    (tmp_path / "ours.tsv").touch()
    assert default_name(tmp_path / "ours.tsv") == "sentiment-ours"


@pytest.mark.parametrize("name", ["a/b", "a:1", "o'brien"])
def test_a_name_that_mlflow_refuses_is_refused_before_training(name):
    with pytest.raises(RegistryError, match="use letters, digits"):
        train("http://127.0.0.1:9", model_name=name)


def answering(frame_of):
    from ml.serving import as_frame

    def predict(frame):
        return as_frame(frame_of(frame["text"]))

    return Model("sentiment", 7, predict)


@pytest.fixture
def vader():
    return answering(lambda texts: Vader().probabilities(list(texts)))


def test_scores_come_in_order(vader):
    scores = score_texts(vader, ["I hate it", "I love it"])
    assert [score.label for score in scores] == ["negative", "positive"]
    for score in scores:
        assert isinstance(score, Score) and score.probability == max(score.probabilities)
        assert sum(score.probabilities) == pytest.approx(1)
    assert score_texts(vader, []) == []


def test_a_missing_text_counts_as_empty():
    """Not as the word "None" or "nan", as a data frame has it."""
    import pandas as pd

    from ml.serving import SentimentClassifier

    classifier = SentimentClassifier()
    classifier._classifier = Recorder()
    classifier.predict(None, pd.DataFrame({"text": ["None", None, float("nan"), ""]}))
    assert classifier._classifier.texts == ["None", "", "", ""]


class Recorder:
    def probabilities(self, texts):
        self.texts = texts
        return np.full((len(texts), 3), 1 / 3)


def test_lines_keep_their_order_and_bad_ones_their_number(vader):
    lines = [
        '{"id": 1, "text": "I hate it"}\n',
        "\n",
        "not json\n",
        '{"id": "b", "text": "I love it"}\n',
        "[1]\n",
        '{"text": "no id"}\n',
        '{"id": 9, "text": null}\n',
        '{"id": null, "text": ""}\n',
    ]
    for size in (1, 2, 100):
        answers = list(score_lines(vader, lines, batch_size=size))
        bad = {a.number: a.message for a in answers if isinstance(a, BadLine)}
        assert list(bad) == [3, 5, 6, 7]
        assert "not JSON" in bad[3] and "no id" in bad[6] and "no text" in bad[7]
        good = [a for a in answers if not isinstance(a, BadLine)]
        assert [a["id"] for a in good] == [1, "b", None]
        assert [a["label"] for a in good[:2]] == ["negative", "positive"]
        assert all(set(a) == {"id", "label", "probability", "model_version"} for a in good)
        assert all(a["model_version"] == 7 for a in good)


def test_any_text_and_any_id_that_json_can_spell(vader):
    ids = [0, -1.5, 10**30, "ñ\u0000", "\ud83d", None, True, [1, {"a": "b"}], {}]
    texts = ["", " ", "\u0000", "\ud83d", "😡", "日本語", "x" * 100_000, "a\nb", "I love it"]
    lines = [json.dumps({"id": i, "text": t}) for i, t in zip(ids, texts, strict=True)]
    lines[0] = "\ufeff" + lines[0]
    answers = list(score_lines(vader, lines))
    assert [a["id"] for a in answers] == ids
    assert answers[-1]["label"] == "positive"
    assert all(json.loads(json.dumps(a)) == a for a in answers)


@pytest.mark.parametrize(
    "line",
    ['{"id": NaN, "text": "a"}', "[" * 100_000, '{"id": 1, "text": ' + "9" * 5_000 + "}"],
)
def test_a_line_that_json_cannot_hold_stops_nothing(vader, line):
    bad, good = score_lines(vader, [line, '{"id": 2, "text": "fine"}'])
    assert isinstance(bad, BadLine) and bad.number == 1
    assert good["id"] == 2


def test_a_message_of_a_bad_line_is_short(vader):
    (bad,) = score_lines(vader, [json.dumps({"id": 1, "text": ["word"] * 10_000})])
    assert bad.message.startswith("has no text: ['word'") and len(bad.message) <= 80


def test_lines_are_answered_as_they_come(vader):
    read = []

    def endless():
        number = 0
        while True:
            read.append(number)
            yield f'{{"id": {number}, "text": "fine"}}'
            number += 1

    answers = score_lines(vader, endless(), batch_size=4)
    assert next(answers)["id"] == 0
    assert len(read) == 4
