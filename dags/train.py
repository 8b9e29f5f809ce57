"""### Train the sentiment models

Trains the net and runs the baseline on the corpus in `ml/corpus`, each as a run in MLflow, and
moves the alias `champion` where the rule in `docs/models.md` says so. What was trained before from
the same data, settings and code is not trained again. A new champion scores all feedback anew.
"""

from __future__ import annotations

import os
from typing import Any

from airflow.sdk import dag, task

from dags.wiring import CHAMPION, conclude, defaults, log, schedule, tags
from infra.contract import queue


@dag(
    "train_sentiment",
    description="Train the sentiment models and let the rule choose the champion",
    schedule=schedule("0 2 * * 0", "UTC"),
    doc_md=__doc__,
    max_active_runs=1,
    default_args=defaults("Data science"),
    tags=tags("train", "open"),
)
def train_sentiment() -> None:
    """Wire `train`."""

    @task(outlets=[CHAMPION], queue=queue("train"))
    def train(outlet_events: Any) -> None:
        """Train, evaluate, compare, and choose."""
        from infra.contract import load_deployment

        deployment = load_deployment()
        os.environ.update(deployment.mlflow_environment())
        from ml import train as training

        trained = training.train(
            deployment.url("mlflow"),
            warehouse_url=deployment.database_url("warehouse"),
            report=log,
        )
        champion = trained.decision.champion
        outlet_events[CHAMPION].extra = {
            "model": champion.model_name,
            "version": champion.version,
            "net": champion.net,
            "validation_macro_recall": champion.macro_recall,
            "reason": trained.decision.reason,
        }
        conclude(
            f"champion: {champion.model_name} version {champion.version} ({champion.net}); "
            f"{trained.decision.reason}"
        )

    train()


train_sentiment()
