"""The model as MLflow stores and serves it; MLflow runs this file to load one.

Input: a column `text`. Output: `label`, its `probability`, and `p_negative`, `p_neutral` and
`p_positive`, a row a text in the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc import PythonModel

from ml.labels import LABELS


class Classifier(Protocol):
    """What answers: a net or VADER."""

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Return one row of probabilities a text, in the order of `LABELS`."""


class SentimentClassifier(PythonModel):
    """A saved net, or VADER where the model has none."""

    def load_context(self, context: Any) -> None:
        """Load the net of the artifact `net`."""
        if "net" in context.artifacts:
            from ml.nets.base import load_net

            self._classifier: Classifier = load_net(Path(context.artifacts["net"]))
        else:
            from ml.baseline import Vader

            self._classifier = Vader()

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Return label and probabilities for each text; a missing one counts as empty."""
        texts = model_input["text"].fillna("").astype(str)
        return as_frame(self._classifier.probabilities(texts.tolist()))


def as_frame(probabilities: np.ndarray) -> pd.DataFrame:
    """Return a model's output columns."""
    best = probabilities.argmax(axis=1) if len(probabilities) else np.zeros(0, dtype=int)
    frame = pd.DataFrame(
        {
            "label": [LABELS[place] for place in best],
            "probability": probabilities[np.arange(len(best)), best],
        }
    )
    for place, label in enumerate(LABELS):
        frame[f"p_{label}"] = probabilities[:, place]
    return frame


mlflow.models.set_model(SentimentClassifier())
