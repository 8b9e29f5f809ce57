"""The three sentiments, in the order in which every model gives their probabilities."""

LABELS = ("negative", "neutral", "positive")
