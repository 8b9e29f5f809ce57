"""Access to MLflow: runs with params, metrics and pictures, and the versions of a model.

MLflow itself reads the credentials, MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.
"""

from __future__ import annotations

import io
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import numpy as np

from ml.labels import LABELS

CHAMPION = "champion"
_PACKAGE = Path(__file__).resolve().parent
#: Files of this package that a model needs wherever it is loaded.
_SERVING_FILES = ("__init__.py", "labels.py", "baseline.py", "nets")
_EXAMPLE = ("The new crossing guard knows every kid by name.", "Third week our bins sat full.")


class RegistryError(Exception):
    """MLflow does not answer, or has no such model; the message has the remedy."""


@dataclass(frozen=True)
class Version:
    """One registered version of a model.

    `metrics` are those of its run: `validation_macro_recall` and so on, in 0..1. `created_at` is
    in ISO 8601, UTC.
    """

    model_name: str
    version: int
    net: str
    data: str
    data_fingerprint: str
    run_id: str
    created_at: str
    metrics: dict[str, float] = field(default_factory=dict)
    is_champion: bool = False
    reused: bool = False

    @property
    def macro_recall(self) -> float:
        """Macro recall on the validation split, 0 where the run has none."""
        return self.metrics.get("validation_macro_recall", 0.0)


@dataclass(frozen=True)
class Evaluation:
    """A candidate's evaluation on a split; macro recall also by language, where the data has it."""

    name: str
    metrics: dict[str, float]
    confusion_matrix: np.ndarray
    recall_by_language: dict[str, float] = field(default_factory=dict)


class Registry:
    """One MLflow server."""

    def __init__(self, tracking_uri: str) -> None:
        # A server that is down is reported after seconds, not minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        import mlflow

        mlflow.set_tracking_uri(tracking_uri)
        mlflow.set_registry_uri(tracking_uri)
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        logging.getLogger("alembic").setLevel(logging.ERROR)
        self.tracking_uri = tracking_uri
        self._mlflow = mlflow
        self._client = mlflow.MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)

    def open_experiment(self, name: str) -> None:
        """Make an experiment where missing; later runs belong to it.

        MLflow's pages guess its kind until a tag says it, and guess language models.
        """
        with self._errors_as_messages():
            experiment = self._mlflow.set_experiment(name)
            self._client.set_experiment_tag(
                experiment.experiment_id, "mlflow.experimentKind", "custom_model_development"
            )

    def versions(self, model_name: str | None = None) -> list[Version]:
        """Return the versions of a model, or of all models, newest first within a model."""
        with self._errors_as_messages():
            found: list[Version] = []
            names = [model_name] if model_name else self._model_names()
            for name in names:
                champion = self._alias(name)
                listed = self._search_versions(f"name = '{name}'")
                for entry in sorted(listed, key=lambda item: -int(item.version)):
                    found.append(self._version(entry, champion))
            return found

    def find(self, model_name: str, identity: str) -> Version | None:
        """Return the version with this identity: the same data, params and code."""
        with self._errors_as_messages():
            for entry in self._search_versions(f"name = '{model_name}'"):
                if entry.tags.get("identity") == identity:
                    return self._version(entry, self._alias(model_name), reused=True)
        return None

    def champion(self, model_name: str) -> Version | None:
        """Return the version with the alias `champion`."""
        with self._errors_as_messages():
            number = self._alias(model_name)
            if number is None:
                return None
            return self._version(self._client.get_model_version(model_name, str(number)), number)

    def make_champion(self, version: Version) -> None:
        """Move the alias `champion` to this version."""
        with self._errors_as_messages():
            self._client.set_registered_model_alias(
                version.model_name, CHAMPION, str(version.version)
            )

    def load(self, uri: str) -> Any:
        """Return the pyfunc model of a `models:/` URI."""
        with self._errors_as_messages():
            return self._mlflow.pyfunc.load_model(uri, suppress_warnings=True)

    def log(
        self,
        model_name: str,
        *,
        params: dict[str, Any],
        tags: dict[str, str],
        evaluations: Sequence[Evaluation],
        history: Sequence[dict[str, float]] = (),
        net_folder: Path | None = None,
    ) -> Version:
        """Record a run of the experiment `model_name` and register its model as a new version.

        `params` have the same names in every run, so that runs can be compared.
        `history` holds the metrics of each epoch. Without `net_folder` the model is VADER.
        """
        with self._errors_as_messages(), tempfile.TemporaryDirectory() as scratch:
            self.open_experiment(model_name)
            with self._mlflow.start_run(run_name=params["net"], tags=tags) as run:
                self._mlflow.log_params(params)
                for step, values in enumerate(history, 1):
                    self._mlflow.log_metrics(values, step=step)
                for split in evaluations:
                    named = split.metrics | {
                        f"macro_recall_{language}": value
                        for language, value in split.recall_by_language.items()
                    }
                    self._mlflow.log_metrics(
                        {f"{split.name}_{name}": value for name, value in named.items()}
                    )
                self._log_pictures(params["net"], evaluations, Path(scratch))
                self._log_model(net_folder, Path(scratch))
                with redirect_stderr(io.StringIO()):  # the caller prints the same
                    entry = self._mlflow.register_model(
                        f"runs:/{run.info.run_id}/model", model_name, tags=tags
                    )
            recall = ", ".join(
                f"{split.name} {100 * split.metrics['macro_recall']:.1f}" for split in evaluations
            )
            self._client.update_model_version(
                model_name, entry.version, f"{params['net']}: macro recall {recall}"
            )
            entry = self._client.get_model_version(model_name, entry.version)
            return self._version(entry, self._alias(model_name))

    def _log_pictures(self, net: str, evaluations: Sequence[Evaluation], scratch: Path) -> None:
        from ml.metrics import draw_confusion_matrix

        for split in evaluations:
            picture = scratch / f"confusion_{split.name}.png"
            draw_confusion_matrix(split.confusion_matrix, f"{net}, {split.name}", picture)
            self._mlflow.log_artifact(str(picture))

    def _log_model(self, net_folder: Path | None, scratch: Path) -> None:
        import pandas as pd
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, DataType, Schema

        columns = ["probability", *(f"p_{label}" for label in LABELS)]
        signature = ModelSignature(
            Schema([ColSpec(DataType.string, "text")]),
            Schema(
                [
                    ColSpec(DataType.string, "label"),
                    *(ColSpec(DataType.double, name) for name in columns),
                ]
            ),
        )
        code = scratch / "code" / "ml"
        code.mkdir(parents=True)
        for name in _SERVING_FILES:
            source = _PACKAGE / name
            if source.is_dir():
                shutil.copytree(source, code / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, code / name)
        packages = ("vaderSentiment",) if net_folder is None else ("torch",)
        self._mlflow.pyfunc.log_model(
            name="model",
            python_model=str(_PACKAGE / "serving.py"),
            artifacts={"net": str(net_folder)} if net_folder else None,
            signature=signature,
            input_example=pd.DataFrame({"text": _EXAMPLE}),
            code_paths=[str(code)],
            pip_requirements=[
                f"{name}=={installed(name).partition('+')[0]}"
                for name in ("mlflow", "numpy", "pandas", *packages)
            ],
        )

    def _version(self, entry: Any, champion: int | None, reused: bool = False) -> Version:
        run = self._client.get_run(entry.run_id) if entry.run_id else None
        created = datetime.fromtimestamp(entry.creation_timestamp / 1000, UTC)
        return Version(
            model_name=entry.name,
            version=int(entry.version),
            net=entry.tags.get("net", "?"),
            data=entry.tags.get("data", "?"),
            data_fingerprint=entry.tags.get("data_fingerprint", ""),
            run_id=entry.run_id or "",
            created_at=created.isoformat(timespec="seconds"),
            metrics=dict(run.data.metrics) if run else {},
            is_champion=int(entry.version) == champion,
            reused=reused,
        )

    def _model_names(self) -> list[str]:
        return sorted(model.name for model in _pages(self._client.search_registered_models))

    def _search_versions(self, query: str) -> list[Any]:
        return _pages(partial(self._client.search_model_versions, query))

    def _alias(self, model_name: str) -> int | None:
        from mlflow.exceptions import MlflowException

        try:
            return int(self._client.get_model_version_by_alias(model_name, CHAMPION).version)
        except MlflowException as error:
            # Some stores answer INVALID_PARAMETER_VALUE for a missing alias.
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise

    @contextmanager
    def _errors_as_messages(self) -> Iterator[None]:
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            raise RegistryError(
                f"MLflow at {_without_credentials(self.tracking_uri)}: {str(error).strip()}\n"
                "`cityloom status` shows whether it is up, `cityloom models list` its models"
            ) from error


def _pages(search: Callable[..., Any]) -> list[Any]:
    """Return all results of one of MLflow's searches, which answer in pages."""
    found: list[Any] = []
    token = None
    while True:
        page = search(page_token=token)
        found.extend(page)
        token = page.token
        if not token:
            return found


def _without_credentials(uri: str) -> str:
    scheme, separator, rest = uri.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
