"""Training one net with Lightning."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint

from ml.data import SentimentData
from ml.module import SentimentModule, class_weights
from ml.nets import net_class
from ml.nets.base import Net, cpu_threads
from ml.readers import Dataset

MONITORED = "validation_macro_recall"


@dataclass(frozen=True)
class Epoch:
    """Results of an epoch; `macro_recall` is of the validation split."""

    number: int
    of: int
    train_loss: float
    macro_recall: float


@dataclass(frozen=True)
class Fit:
    """A trained net with the weights of its best epoch, and the results of every epoch."""

    net: Net
    epochs: tuple[Epoch, ...]
    best: Epoch


class _EpochHistory(Callback):
    def __init__(self, report: Callable[[Epoch], None]) -> None:
        self.epochs: list[Epoch] = []
        self._report = report

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        metrics = trainer.callback_metrics
        self.epochs.append(
            Epoch(
                trainer.current_epoch + 1,
                trainer.max_epochs or 0,
                float(metrics["train_loss"]),
                float(metrics[MONITORED]),
            )
        )
        self._report(self.epochs[-1])


def fit(
    dataset: Dataset, params: dict[str, Any], report: Callable[[Epoch], None] = lambda _: None
) -> Fit:
    """Train and return the net of the best epoch.

    `params` hold `net`, `seed` and what `Net.training_settings` returns; those that begin with
    `net_` go to the net's constructor. On a CPU the same data and params give the same weights.
    Uses a GPU when there is one.
    """
    pl.seed_everything(params["seed"], verbose=False)
    settings = {key[4:]: value for key, value in params.items() if key.startswith("net_")}
    net = net_class(params["net"]).fitted(dataset.train.texts, **settings)
    module = SentimentModule(
        net,
        class_weights(dataset.train.labels),
        learning_rate=params["learning_rate"],
        weight_decay=params["weight_decay"],
        label_smoothing=params["label_smoothing"],
    )
    data = SentimentData(dataset, net, int(params["batch_size"]), seed=params["seed"])
    history = _EpochHistory(report)
    before = torch.are_deterministic_algorithms_enabled()
    with tempfile.TemporaryDirectory() as folder, _quiet(), cpu_threads(net.threads):
        best = ModelCheckpoint(folder, monitor=MONITORED, mode="max", save_weights_only=True)
        patience = EarlyStopping(MONITORED, mode="max", patience=int(params["patience"]))
        trainer = pl.Trainer(
            accelerator="auto",
            devices=1,
            max_epochs=int(params["epochs"]),
            callbacks=[history, best, patience],
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            deterministic="warn",
            default_root_dir=folder,
        )
        trainer.fit(module, data)
        weights = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
        module.load_state_dict(weights["state_dict"])
    torch.use_deterministic_algorithms(before)
    epochs = tuple(history.epochs)
    return Fit(net.eval(), epochs, max(epochs, key=lambda epoch: epoch.macro_recall))


class _quiet:
    """Silences Lightning's hints about workers, GPUs and log folders."""

    def __enter__(self) -> None:
        self._warnings = warnings.catch_warnings()
        self._warnings.__enter__()
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        warnings.filterwarnings("ignore", module="lightning_fabric")
        self._logger = logging.getLogger("pytorch_lightning")
        self._level = self._logger.level
        self._logger.setLevel(logging.ERROR)
        logging.getLogger("lightning_fabric").setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        self._logger.setLevel(self._level)
        self._warnings.__exit__(None, None, None)
