"""Training as a whole: a net and the baseline on the same data, recorded, compared, promoted."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ml.champion import Decision, promote
from ml.metrics import classification_metrics, confusion_matrix, recall_by_language
from ml.nets import NETS, net_class
from ml.readers import CORPUS, Dataset, Split, read_dataset
from ml.registry import Evaluation, Registry, RegistryError, Version

BASELINE = "vader"
CITY_MODEL = "sentiment"
_PACKAGE = Path(__file__).resolve().parent
#: Files that decide the result; a change in one of them makes a new version.
_EVALUATION_FILES = ("labels.py", "readers.py", "metrics.py", "serving.py")
_TRAINING_FILES = ("nets/base.py", "nets/ngrams.py", "data.py", "module.py", "fit.py")


@dataclass(frozen=True)
class Training:
    """Result of training: each candidate's version, and the champion."""

    dataset: Dataset
    versions: tuple[Version, ...]
    decision: Decision


def train(
    tracking_uri: str,
    *,
    net: str = "subword",
    data: Path | None = None,
    model_name: str | None = None,
    warehouse_url: str | None = None,
    seed: int = 0,
    overrides: dict[str, Any] | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> Training:
    """Train `net` and run VADER on the same data, register both, and choose the champion.

    `data` is a folder of labelled texts, without one the project's corpus; `model_name` is
    `sentiment` for the corpus, else `sentiment-<folder>`, so that an experiment never replaces
    the city's champion. A candidate of the same data, params and code is not trained again.
    `report` is called with each line of progress; the last one names the champion and the reason.

    Raises `ml.readers.DataError`, `ml.nets.UnknownNet`, `ml.registry.RegistryError`.
    """
    net_class(net)
    name = model_name or default_name(data)
    if not re.fullmatch(r"[\w .-]+", name):
        # MLflow would refuse it only after the training.
        raise RegistryError(f"model name {name!r}: use letters, digits, spaces and any of . _ -")
    dataset = read_dataset(data)
    report(
        f"{dataset.name}: {len(dataset.train):,} texts for training, {len(dataset.validation):,} "
        f"for validation" + (f", {len(dataset.unseen):,} held out" if len(dataset.unseen) else "")
    )
    if dataset.leaks:
        report(f"left {dataset.leaks:,} training texts out that other splits hold too")
    registry = Registry(tracking_uri)
    registry.open_experiment(name)
    versions = [
        _train_candidate(registry, name, candidate, dataset, seed, overrides or {}, report)
        for candidate in dict.fromkeys((net, BASELINE))
    ]
    for version in versions:
        by_language = ", ".join(
            f"{metric.replace('_macro_recall_', ' ')} {100 * value:.1f}"
            for metric, value in sorted(version.metrics.items())
            if "_macro_recall_" in metric
        )
        if by_language:
            report(f"{version.net}: macro recall by language: {by_language}")
    decision = promote(registry, name, dataset.fingerprint, warehouse_url)
    report(f"champion of {name}: {decision.reason}")
    return Training(dataset, tuple(versions), decision)


def default_name(data: Path | None) -> str:
    """Return the model's name for a data folder."""
    if data is None or Path(data).resolve() in (CORPUS, CORPUS.parent):
        return CITY_MODEL
    path = Path(data).resolve()
    folder = (path.stem if path.is_file() else path.name).lower()
    return f"{CITY_MODEL}-" + re.sub(r"[\W_]+", "-", folder).strip("-")


def _train_candidate(
    registry: Registry,
    model_name: str,
    net: str,
    dataset: Dataset,
    seed: int,
    overrides: dict[str, Any],
    report: Callable[[str], None],
) -> Version:
    if net == BASELINE:
        params: dict[str, Any] = {"net": BASELINE}
    else:
        params = {"net": net, "seed": seed, **net_class(net).training_settings(len(dataset.train))}
        params |= overrides
    code = _code_fingerprint(net)
    decides = json.dumps([dataset.fingerprint, params, code], sort_keys=True)
    identity = hashlib.sha256(decides.encode()).hexdigest()
    existing = registry.find(model_name, identity)
    if existing:
        report(f"{net}: version {existing.version} has the same data, params and code")
        return existing
    tags = {
        "net": net,
        "data": dataset.name,
        "data_fingerprint": dataset.fingerprint,
        "code_fingerprint": code,
        "code_version": _commit(),
        "identity": identity,
    }
    logged_params = {
        **params,
        "data": dataset.name,
        "data_fingerprint": dataset.fingerprint,
        "train_texts": len(dataset.train),
        "validation_texts": len(dataset.validation),
        f"{dataset.unseen_name}_texts": len(dataset.unseen),
        "train_leaks": dataset.leaks,
    }
    if net == BASELINE:
        from ml.baseline import Vader

        return registry.log(
            model_name, params=logged_params, tags=tags, evaluations=_evaluate(Vader(), dataset)
        )
    return _fit_and_log(registry, model_name, params, logged_params, tags, dataset, report)


def _fit_and_log(
    registry: Registry,
    model_name: str,
    params: dict[str, Any],
    logged_params: dict[str, Any],
    tags: dict[str, str],
    dataset: Dataset,
    report: Callable[[str], None],
) -> Version:
    # Lightning takes ten seconds to import: only actual training pays for it.
    from ml.fit import fit
    from ml.nets.base import save_net

    result = fit(
        dataset,
        params,
        lambda e: report(
            f"{params['net']}: epoch {e.number}/{e.of}, loss {e.train_loss:.3f}, "
            f"validation macro recall {100 * e.macro_recall:.1f}"
        ),
    )
    with tempfile.TemporaryDirectory() as folder:
        save_net(result.net, Path(folder))
        return registry.log(
            model_name,
            params={**logged_params, "best_epoch": result.best.number},
            tags=tags,
            evaluations=_evaluate(result.net, dataset),
            history=[
                {"epoch_train_loss": e.train_loss, "epoch_validation_macro_recall": e.macro_recall}
                for e in result.epochs
            ],
            net_folder=Path(folder),
        )


def _evaluate(classifier: Any, dataset: Dataset) -> list[Evaluation]:
    splits: Sequence[tuple[str, Split]] = (
        ("validation", dataset.validation),
        (dataset.unseen_name, dataset.unseen),
    )
    answer = []
    for name, split in splits:
        if len(split):
            predicted = classifier.probabilities(split.texts).argmax(axis=1)
            truth = np.asarray(split.labels)
            answer.append(
                Evaluation(
                    name,
                    classification_metrics(truth, predicted),
                    confusion_matrix(truth, predicted),
                    recall_by_language(truth, predicted, split.languages),
                )
            )
    return answer


def _code_fingerprint(net: str) -> str:
    if net == BASELINE:
        files = [*_EVALUATION_FILES, "baseline.py"]
    else:
        module = NETS[net].partition(":")[0].removeprefix("ml.").replace(".", "/")
        files = [*_EVALUATION_FILES, *_TRAINING_FILES, f"{module}.py"]
    digest = hashlib.sha256()
    for name in files:
        digest.update(name.encode() + b"\0" + (_PACKAGE / name).read_bytes())
    return digest.hexdigest()


def _commit() -> str:
    """Return git's commit of the checkout, with `-dirty` when changed; `unknown` outside of one."""
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--exclude", "*"],
            cwd=_PACKAGE,
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return answer.stdout.strip()
