"""The interface of a net: fit its vocabulary, encode texts, return logits; saving and loading."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import torch
from torch import Tensor, nn

from ml.labels import LABELS

_FORMAT = 1


class Encoded(Protocol):
    """Encoded texts, a row a text; rows can be selected."""

    def __len__(self) -> int: ...

    def take(self, rows: np.ndarray) -> Self:
        """Return the given rows, in their order."""


class IncompatibleNet(Exception):
    """Saved weights that this code cannot read."""


class Net(nn.Module, ABC):
    """A classifier over `LABELS`.

    `settings` are the keyword arguments of the constructor, plain values; with the weights they
    are all that is saved. `threads` is the number of CPU threads that suit it best, None for all.
    """

    settings: dict[str, Any]
    threads: int | None = None

    @classmethod
    @abstractmethod
    def training_settings(cls, texts: int) -> dict[str, float | int]:
        """Return the trainer's settings for this number of training texts.

        They are `epochs`, `patience`, `batch_size`, `learning_rate`, `weight_decay` and
        `label_smoothing`.
        """

    @classmethod
    @abstractmethod
    def fitted(cls, texts: Sequence[str], **settings: Any) -> Self:
        """Return an untrained net whose vocabulary is fitted to the training texts."""

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> Encoded:
        """Return the encoded texts; done once, then rows are selected."""

    @abstractmethod
    def tensors(self, encoded: Any) -> tuple[Tensor, ...]:
        """Return the arguments of `forward` for encoded texts."""

    @torch.inference_mode()
    def probabilities(self, texts: Sequence[str], batch_size: int = 1024) -> np.ndarray:
        """Return one row of probabilities a text, in the order of `LABELS`."""
        self.eval()
        device = next(self.parameters()).device
        parts = [np.zeros((0, len(LABELS)))]
        with cpu_threads(self.threads):
            for first in range(0, len(texts), batch_size):
                encoded = self.encode(texts[first : first + batch_size])
                logits = self(*(tensor.to(device) for tensor in self.tensors(encoded)))
                parts.append(torch.softmax(logits.double(), dim=1).cpu().numpy())
        return np.concatenate(parts)


@contextmanager
def cpu_threads(number: int | None) -> Iterator[None]:
    """Limit torch to this number of CPU threads; None leaves it unchanged."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def save_net(net: Net, folder: Path) -> None:
    """Write `net.json` and `net.pt` (weights only, no code) into an existing folder."""
    described = {
        "format": _FORMAT,
        "class": f"{type(net).__module__}:{type(net).__qualname__}",
        "labels": LABELS,
        "settings": net.settings,
    }
    (folder / "net.json").write_text(json.dumps(described, indent=1), encoding="utf-8")
    torch.save({name: tensor.cpu() for name, tensor in net.state_dict().items()}, folder / "net.pt")


def load_net(folder: Path) -> Net:
    """Return the net that `save_net` wrote, on the GPU when there is one.

    Raises `IncompatibleNet` when it was saved in another format.
    """
    described = json.loads((folder / "net.json").read_text(encoding="utf-8"))
    if described["format"] != _FORMAT or tuple(described["labels"]) != LABELS:
        raise IncompatibleNet(
            f"{folder}: saved in format {described['format']}, this code reads {_FORMAT}: "
            "train it again with `cityloom train`"
        )
    module, _, name = described["class"].partition(":")
    net: Net = getattr(import_module(module), name)(**described["settings"])
    net.load_state_dict(torch.load(folder / "net.pt", map_location="cpu", weights_only=True))
    return net.to("cuda" if torch.cuda.is_available() else "cpu").eval()
