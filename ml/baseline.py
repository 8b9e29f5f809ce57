"""VADER, the baseline: a lexicon and rules of 2014, not trained here, English only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

#: Its authors' threshold on the compound score between neutral and the rest.
THRESHOLD = 0.05
_STEEPNESS = 5.0


class Vader:
    """VADER's compound score as a classifier."""

    def __init__(self) -> None:
        self._analyzer = SentimentIntensityAnalyzer()

    def probabilities(self, texts: Sequence[str]) -> np.ndarray:
        """Return one row a text, in the order of `LABELS`.

        The likeliest label is the one that the authors' threshold gives; the probabilities
        themselves are a softmax over the distance to it and not calibrated.
        """
        compound = np.array([self._analyzer.polarity_scores(text)["compound"] for text in texts])
        scores = np.stack([-compound, np.full(len(compound), THRESHOLD), compound], axis=1)
        # polarity_scores is rounded to 4 digits: on the threshold itself it is not neutral.
        scores[:, 1] -= 1e-6
        powers = np.exp(_STEEPNESS * scores)
        return powers / powers.sum(axis=1, keepdims=True)
