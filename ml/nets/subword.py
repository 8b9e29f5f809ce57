"""A fastText classifier: summed embeddings of words, word pairs and character n-grams, one layer.

In addition: TF-IDF weights, words and characters each normalised to unit length (a word has some
twenty n-grams, which would outweigh it); dropout of features; only features that occur in the
training texts have an embedding, so that the file stays small.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from ml.labels import LABELS
from ml.nets.base import Net
from ml.nets.ngrams import Bags, NGrams


class TooFewTexts(Exception):
    """Training texts that share no feature."""


class Subword(Net):
    """Hashed n-gram embedding classifier.

    `rows` is the number of features kept: those in at least `min_texts` training texts.
    `idf_power` tempers the weight of rare features, `feature_dropout` is the share of features
    that a training step leaves out, `dropout` the share of the text's embedding.
    """

    # Its steps are too small for two threads: on busy cores a second one cost ten times the CPU.
    threads = 1
    buckets: Tensor
    idf: Tensor

    @classmethod
    def training_settings(cls, texts: int) -> dict[str, float | int]:
        """Return smaller batches and more epochs for few texts; docs/models.md says why."""
        few = texts < 5_000
        return {
            "epochs": 12 if few else 6,
            "patience": 6 if few else 3,
            "batch_size": 32 if few else 256,
            "learning_rate": 0.004,
            "weight_decay": 0.01,
            "label_smoothing": 0.1,
        }

    def __init__(
        self,
        rows: int,
        size: int = 32,
        min_texts: int = 2,
        idf_power: float = 1.0,
        feature_dropout: float = 0.3,
        dropout: float = 0.5,
        ngrams: dict[str, Any] | None = None,
        init: float = 0.1,
    ) -> None:
        super().__init__()
        self.settings = {
            "rows": rows,
            "size": size,
            "min_texts": min_texts,
            "idf_power": idf_power,
            "feature_dropout": feature_dropout,
            "dropout": dropout,
            "ngrams": ngrams or {},
            "init": init,
        }
        self.ngrams = NGrams(**(ngrams or {}))
        self.feature_dropout = feature_dropout
        self.register_buffer("buckets", torch.zeros(rows, dtype=torch.int64))
        self.register_buffer("idf", torch.ones(rows))
        self.embedding = nn.EmbeddingBag(rows, size, mode="sum")
        nn.init.normal_(self.embedding.weight, std=init)
        self.dropout = nn.Dropout(dropout)
        self.layer = nn.Linear(size, len(LABELS))

    @classmethod
    def fitted(cls, texts: Sequence[str], **settings: Any) -> Self:
        """Keep the features that enough of the texts have, and weigh them."""
        bags = NGrams(**(settings.get("ngrams") or {})).bags(texts)
        buckets, frequency = np.unique(bags.buckets, return_counts=True)
        kept = frequency >= settings.get("min_texts", 2)
        if not kept.any():
            raise TooFewTexts(
                f"no feature is in {settings.get('min_texts', 2)} of the {len(texts)} training "
                "texts: train on more texts"
            )
        net = cls(rows=int(kept.sum()), **settings)
        net.buckets.copy_(torch.from_numpy(buckets[kept]))
        idf = 1.0 + np.log((1 + len(texts)) / (1 + frequency[kept]))
        net.idf.copy_(torch.from_numpy(idf ** net.settings["idf_power"]))
        return net

    def encode(self, texts: Sequence[str]) -> Bags:
        """Return bags of rows of the embedding; unknown features are left out."""
        bags = self.ngrams.bags(texts)
        known = self.buckets.cpu().numpy()
        rows = np.minimum(np.searchsorted(known, bags.buckets), len(known) - 1)
        found = known[rows] == bags.buckets
        before = np.concatenate([[0], np.cumsum(found)])
        return Bags(rows[found], bags.weights[found], before[bags.starts])

    def tensors(self, encoded: Bags) -> tuple[Tensor, ...]:
        """Return rows, their starts a text (and the end), and their weights."""
        return (
            torch.from_numpy(encoded.buckets),
            torch.from_numpy(encoded.starts),
            torch.from_numpy(encoded.weights),
        )

    def forward(self, rows: Tensor, starts: Tensor, weights: Tensor) -> Tensor:
        """Return logits, one row a text."""
        weights = weights * self.idf[rows]
        if self.training and self.feature_dropout:
            kept = torch.rand_like(weights) >= self.feature_dropout
            weights = weights * kept / (1.0 - self.feature_dropout)
        texts = len(starts) - 1
        owner = torch.repeat_interleave(
            torch.arange(texts, device=rows.device), starts[1:] - starts[:-1]
        )
        # Words and characters each to unit length.
        part = owner * 2 + (self.buckets[rows] >= self.ngrams.word_buckets)
        squares = torch.zeros(2 * texts, device=rows.device).index_add_(0, part, weights**2)
        weights = weights / (squares[part].sqrt() + 1e-6)
        text = self.embedding(rows, starts[:-1], per_sample_weights=weights)
        return self.layer(self.dropout(text))
