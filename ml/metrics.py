"""Figures of a classification, and its confusion matrix as a picture."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ml.labels import LABELS


def confusion(truth: np.ndarray, guess: np.ndarray) -> np.ndarray:
    """Return counts, a row a true label, a column a guessed one, in the order of `LABELS`."""
    size = len(LABELS)
    cells = np.bincount(np.asarray(truth) * size + np.asarray(guess), minlength=size * size)
    return cells.reshape(size, size)


def figures(truth: np.ndarray, guess: np.ndarray) -> dict[str, float]:
    """Return per-class precision, recall and F1, their means, and accuracy, in 0..1.

    A class that is never guessed has precision 0; one that never occurs has recall 0.
    """
    table = confusion(truth, guess).astype(float)
    hits = table.diagonal()
    recall = hits / np.maximum(table.sum(axis=1), 1)
    precision = hits / np.maximum(table.sum(axis=0), 1)
    f1 = 2 * hits / np.maximum(table.sum(axis=0) + table.sum(axis=1), 1)
    named = {"recall": recall, "precision": precision, "f1": f1}
    answer = {f"macro_{name}": float(values.mean()) for name, values in named.items()}
    answer["accuracy"] = float(hits.sum() / max(table.sum(), 1))
    for name, values in named.items():
        for label, value in zip(LABELS, values, strict=True):
            answer[f"{name}_{label}"] = float(value)
    return answer


def by_language(truth: np.ndarray, guess: np.ndarray, languages: Sequence[str]) -> dict[str, float]:
    """Return macro recall by language; nothing where all is of one.

    A language in which some label never occurs is left out: its mean would be of another kind.
    """
    told = np.asarray(languages)
    answer = {}
    for language in sorted(set(languages) - {""}):
        rows = told == language
        if len(set(truth[rows].tolist())) == len(LABELS):
            name = re.sub(r"[^\w-]", "_", language)
            answer[name] = figures(truth[rows], guess[rows])["macro_recall"]
    return answer if len(set(languages)) > 1 else {}


def draw_confusion(table: np.ndarray, title: str, path: Path) -> None:
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
    axes.set_xlabel("model says")
    axes.set_ylabel("label")
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
