"""The Lightning module: loss, optimizer and the metric that early stopping monitors."""

from __future__ import annotations

import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from ml.data import Batch
from ml.labels import LABELS
from ml.metrics import classification_metrics
from ml.nets.base import Net


class SentimentModule(LightningModule):
    """Trains any `Net`: weighted cross-entropy, AdamW, learning rate falling to zero.

    `class_weights` makes every label count the same, as macro recall does. Logs `train_loss` and
    `validation_macro_recall` each epoch.
    """

    def __init__(
        self,
        net: Net,
        class_weights: Tensor,
        learning_rate: float,
        weight_decay: float,
        label_smoothing: float,
    ) -> None:
        super().__init__()
        self.net = net
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.loss = nn.CrossEntropyLoss(weight=class_weights, label_smoothing=label_smoothing)
        self._predictions: list[Tensor] = []
        self._truths: list[Tensor] = []

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return the loss of a batch."""
        inputs, labels = batch
        loss = self.loss(self.net(*inputs), labels)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(labels))
        return loss

    def validation_step(self, batch: Batch, _: int) -> None:
        """Collect the predictions; macro recall is of the whole split."""
        inputs, labels = batch
        self._predictions.append(self.net(*inputs).argmax(dim=1).cpu())
        self._truths.append(labels.cpu())

    def on_validation_epoch_end(self) -> None:
        """Log the split's macro recall."""
        truth, predicted = torch.cat(self._truths), torch.cat(self._predictions)
        self._truths.clear()
        self._predictions.clear()
        recall = classification_metrics(truth.numpy(), predicted.numpy())["macro_recall"]
        self.log("validation_macro_recall", recall)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW; the learning rate falls linearly over all steps."""
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay, fused=True
        )
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, total_iters=steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def class_weights(labels: tuple[int, ...]) -> Tensor:
    """Return weights that make the labels' shares equal; their mean over the rows is 1."""
    counts = torch.bincount(torch.tensor(labels), minlength=len(LABELS))
    return len(labels) / (len(LABELS) * counts.float())
