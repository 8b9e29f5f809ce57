"""Training data for Lightning: encoded once, then selected in shuffled batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler
from torch.utils.data import Dataset as TorchDataset

from ml.nets.base import Net
from ml.readers import Dataset, Split

Batch = tuple[tuple[Tensor, ...], Tensor]


class EncodedSplit(TorchDataset[Batch]):
    """A split encoded for its net; an item is a whole batch, selected by row numbers."""

    def __init__(self, split: Split, net: Net) -> None:
        self._net = net
        self._encoded = net.encode(split.texts)
        self._labels = torch.tensor(split.labels)

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, rows: Sequence[int]) -> Batch:
        selected = self._encoded.take(np.asarray(rows))
        return self._net.tensors(selected), self._labels[list(rows)]


class SentimentData(LightningDataModule):
    """Training and validation batches of a dataset for a net; shuffled by `seed`."""

    def __init__(self, dataset: Dataset, net: Net, batch_size: int, seed: int = 0) -> None:
        super().__init__()
        self.dataset = dataset
        self.net = net
        self.batch_size = batch_size
        self._order = torch.Generator().manual_seed(seed)

    def setup(self, stage: str) -> None:
        """Encode both splits."""
        self.train = EncodedSplit(self.dataset.train, self.net)
        self.validation = EncodedSplit(self.dataset.validation, self.net)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return shuffled batches."""
        rows = RandomSampler(self.train, generator=self._order)
        batches = BatchSampler(rows, self.batch_size, drop_last=False)
        return DataLoader(self.train, sampler=batches, batch_size=None)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Return batches in order."""
        batches = BatchSampler(SequentialSampler(self.validation), 1024, drop_last=False)
        return DataLoader(self.validation, sampler=batches, batch_size=None)
