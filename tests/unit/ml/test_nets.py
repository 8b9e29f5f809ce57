"""The net learns, is saved and loaded whole, and is the same net for the same seed."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from ml.labels import LABELS
from ml.nets import NETS, UnknownNet, net_class
from ml.readers import Dataset, Split

GOOD, BAD, PLAIN = (
    ["thank you", "lovely park", "great crew", "so happy", "well done", "wonderful clerk"],
    ["awful smell", "so angry", "disgusting bins", "rude clerk", "late again", "ashamed of it"],
    ["where is it", "which form", "what day", "light is out", "at the corner", "is it open"],
)
PARAMS = {
    "net": "subword",
    "seed": 0,
    "epochs": 6,
    "patience": 6,
    "batch_size": 8,
    "learning_rate": 0.05,
    "weight_decay": 0.0,
    "label_smoothing": 0.0,
    "net_size": 8,
    "net_min_texts": 1,
}


def split(*numbers: int) -> Split:
    texts, labels = [], []
    for label, group in enumerate((BAD, PLAIN, GOOD)):
        for number in numbers:
            for text in group:
                texts.append(f"{text} on street {chr(97 + number)}")
                labels.append(label)
    return Split(tuple(texts), tuple(labels))


DATASET = Dataset("tiny", train=split(1, 2, 3), validation=split(4))


@pytest.fixture(scope="module")
def fitted():
    from ml.fit import fit

    reported = []
    return fit(DATASET, PARAMS, reported.append), reported


def test_it_learns_and_says_so(fitted):
    result, reported = fitted
    assert result.best.macro_recall > 0.9
    assert result.best.macro_recall == max(epoch.macro_recall for epoch in result.epochs)
    assert [epoch.number for epoch in reported] == list(range(1, len(result.epochs) + 1))
    predicted = result.net.probabilities(DATASET.validation.texts).argmax(axis=1)
    assert np.mean(predicted == np.array(DATASET.validation.labels)) > 0.9


def test_the_weights_are_those_of_the_best_epoch(fitted):
    result, _ = fitted
    truth = np.array(DATASET.validation.labels)
    predicted = result.net.probabilities(DATASET.validation.texts).argmax(axis=1)
    recall = np.mean([(predicted[truth == label] == label).mean() for label in range(3)])
    assert recall == pytest.approx(result.best.macro_recall)


def test_same_seed_same_weights_other_seed_others(fitted):
    import torch

    from ml.fit import fit

    result, _ = fitted
    again = fit(DATASET, PARAMS).net.state_dict()
    for name, tensor in result.net.state_dict().items():
        assert torch.equal(tensor, again[name]), name
    other = fit(DATASET, {**PARAMS, "seed": 1}).net.state_dict()
    assert not torch.equal(other["layer.weight"], again["layer.weight"])


def test_stops_early_when_nothing_gets_better():
    from ml.fit import fit

    stopped = fit(DATASET, {**PARAMS, "learning_rate": 0.0, "epochs": 30, "patience": 2})
    assert len(stopped.epochs) == 3


@pytest.mark.parametrize("name", sorted(NETS))
def test_every_net_goes_through_lightning(name, tmp_path):
    import pytorch_lightning as pl

    from ml.data import SentimentData
    from ml.module import SentimentModule, class_weights

    net = net_class(name).fitted(DATASET.train.texts)
    module = SentimentModule(net, class_weights(DATASET.train.labels), 0.01, 0.01, 0.1)
    trainer = pl.Trainer(fast_dev_run=True, devices=1, logger=False, default_root_dir=tmp_path)
    trainer.fit(module, SentimentData(DATASET, net, batch_size=8))
    assert trainer.global_step == 1
    assert 0 <= trainer.callback_metrics["validation_macro_recall"] <= 1


@pytest.mark.parametrize("name", sorted(NETS))
def test_a_saved_net_answers_the_same(name, tmp_path):
    from ml.nets.base import Net, load_net, save_net

    net = net_class(name).fitted(DATASET.train.texts).eval()
    save_net(net, tmp_path)
    texts = [*DATASET.validation.texts, "", "words it never saw: zzzz", "😡"]
    loaded = load_net(tmp_path)
    assert isinstance(loaded, Net) and not loaded.training
    answer = loaded.probabilities(texts)
    assert np.allclose(answer, net.probabilities(texts))
    assert answer.shape == (len(texts), len(LABELS))
    assert np.allclose(answer.sum(axis=1), 1)
    assert loaded.probabilities([]).shape == (0, len(LABELS))


def test_batches_do_not_change_an_answer(fitted):
    texts = DATASET.validation.texts
    net = fitted[0].net
    assert np.allclose(net.probabilities(texts, batch_size=5), net.probabilities(texts), atol=1e-6)


def test_a_net_of_another_format_is_refused(fitted, tmp_path):
    from ml.nets.base import IncompatibleNet, load_net, save_net

    save_net(fitted[0].net, tmp_path)
    described = json.loads((tmp_path / "net.json").read_text())
    (tmp_path / "net.json").write_text(json.dumps({**described, "format": 0}))
    with pytest.raises(IncompatibleNet, match="train it again with `cityloom train`"):
        load_net(tmp_path)


def test_an_unknown_net_is_answered_with_the_known_ones():
    with pytest.raises(UnknownNet, match=r"no net 'subwrod'; there are: .*subword"):
        net_class("subwrod")


def test_texts_without_anything_in_common_are_too_little():
    from ml.nets.subword import TooFewTexts

    with pytest.raises(TooFewTexts, match="of the 2 training texts"):
        net_class("subword").fitted(["abc", "xyz"])


def test_scoring_does_not_import_lightning():
    """It takes ten seconds of CPU, and every scoring task would pay them."""
    code = (
        "import sys, ml.score, ml.champion, ml.train, ml.nets.subword\n"
        "heavy = {'pytorch_lightning', 'lightning', 'sklearn', 'mlflow', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"
