"""Metrics of a classification, by scikit-learn, and its confusion matrix as a picture.

scikit-learn and matplotlib are imported on use: scoring needs neither.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ml.labels import LABELS


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return counts, a row a true label, a column a predicted one, in the order of `LABELS`."""
    from sklearn import metrics

    return metrics.confusion_matrix(truth, predicted, labels=range(len(LABELS)))


def classification_metrics(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Return per-label precision, recall and F1, their means (`macro_...`), and accuracy, in 0..1.

    A label that is never predicted has precision 0; one that never occurs has recall 0.
    """
    from sklearn import metrics

    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        truth, predicted, labels=range(len(LABELS)), zero_division=0
    )
    by_name = {"recall": recall, "precision": precision, "f1": f1}
    answer = {f"macro_{name}": float(values.mean()) for name, values in by_name.items()}
    answer["accuracy"] = float(metrics.accuracy_score(truth, predicted))
    for name, values in by_name.items():
        for label, value in zip(LABELS, values, strict=True):
            answer[f"{name}_{label}"] = float(value)
    return answer


def recall_by_language(
    truth: np.ndarray, predicted: np.ndarray, languages: Sequence[str]
) -> dict[str, float]:
    """Return macro recall by language; nothing where all texts are of one language.

    A language that lacks one of the labels is left out: its mean would not be comparable.
    """
    of_text = np.asarray(languages)
    answer = {}
    for language in sorted(set(languages) - {""}):
        rows = of_text == language
        if len(set(truth[rows].tolist())) == len(LABELS):
            name = re.sub(r"[^\w-]", "_", language)
            answer[name] = classification_metrics(truth[rows], predicted[rows])["macro_recall"]
    return answer if len(set(languages)) > 1 else {}


def draw_confusion_matrix(table: np.ndarray, title: str, path: Path) -> None:
    """Write the matrix as a PNG; each cell shows its count and its share of the true label."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(5.2, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    places = range(len(LABELS))
    axes.set_xticks(places, LABELS)
    axes.set_yticks(places, LABELS, rotation=90, va="center")
    axes.set_xlabel("predicted")
    axes.set_ylabel("true label")
    axes.set_title(title, fontsize=10)
    for row in places:
        for column in places:
            dark = shares[row, column] > 0.5
            axes.text(
                column,
                row,
                f"{table[row, column]:,}\n{shares[row, column]:.0%}",
                ha="center",
                va="center",
                color="white" if dark else "black",
            )
    figure.savefig(path, dpi=110)
