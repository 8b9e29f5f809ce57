"""MLflow's side: runs with params, figures and pictures, and the versions of a model.

Credentials come from MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, as MLflow has it.
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
from functools import partial
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import numpy as np

from ml.labels import LABELS

CHAMPION = "champion"
_ROOM = Path(__file__).resolve().parent
#: What a model needs of this room to answer, wherever it is loaded.
_SERVED = ("__init__.py", "labels.py", "baseline.py", "nets")
_EXAMPLE = ("The new crossing guard knows every kid by name.", "Third week our bins sat full.")


class RegistryError(Exception):
    """MLflow that does not answer, or has no such model; the message says what to do."""


@dataclass(frozen=True)
class Version:
    """One registered version of a model and what is known of it.

    `figures` are the run's metrics: `validation_macro_recall` and so on, in 0..1.
    """

    model_name: str
    version: int
    net: str
    data: str
    data_fingerprint: str
    run_id: str
    created_at: int
    figures: dict[str, float] = field(default_factory=dict)
    is_champion: bool = False
    reused: bool = False

    @property
    def macro_recall(self) -> float:
        """Macro recall on the validation split, 0 where the run has none."""
        return self.figures.get("validation_macro_recall", 0.0)


@dataclass(frozen=True)
class Evaluated:
    """A split on which a candidate was measured; macro recall also by language, where told."""

    name: str
    figures: dict[str, float]
    confusion: np.ndarray
    by_language: dict[str, float] = field(default_factory=dict)


class Registry:
    """One MLflow server."""

    def __init__(self, tracking_uri: str) -> None:
        # A server that is down should be said to be down in seconds, not after minutes.
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

    def versions(self, model_name: str | None = None) -> list[Version]:
        """Return the versions of a model, or of all models, newest first within a model."""
        with self._answering():
            found: list[Version] = []
            names = [model_name] if model_name else self._model_names()
            for name in names:
                champion = self._alias(name)
                listed = self._search_versions(f"name = '{name}'")
                for entry in sorted(listed, key=lambda item: -int(item.version)):
                    found.append(self._version(entry, champion))
            return found

    def find(self, model_name: str, identity: str) -> Version | None:
        """Return the version that was made of just this data, these params and this code."""
        with self._answering():
            for entry in self._search_versions(f"name = '{model_name}'"):
                if entry.tags.get("identity") == identity:
                    return self._version(entry, self._alias(model_name), reused=True)
        return None

    def champion(self, model_name: str) -> Version | None:
        """Return the version with the alias `champion`."""
        with self._answering():
            number = self._alias(model_name)
            if number is None:
                return None
            return self._version(self._client.get_model_version(model_name, str(number)), number)

    def make_champion(self, version: Version) -> None:
        """Move the alias `champion` to this version."""
        with self._answering():
            self._client.set_registered_model_alias(
                version.model_name, CHAMPION, str(version.version)
            )

    def load(self, uri: str) -> Any:
        """Return the pyfunc model of a `models:/` URI."""
        with self._answering():
            return self._mlflow.pyfunc.load_model(uri, suppress_warnings=True)

    def log(
        self,
        model_name: str,
        *,
        params: dict[str, Any],
        tags: dict[str, str],
        evaluated: Sequence[Evaluated],
        history: Sequence[dict[str, float]] = (),
        net_folder: Path | None = None,
    ) -> Version:
        """Record a run of the experiment `model_name` and register its model as a new version.

        `params` have the same names in every run, so that runs can be compared side by side.
        `history` holds the figures of each epoch. Without `net_folder` the model is VADER.
        """
        with self._answering(), tempfile.TemporaryDirectory() as scratch:
            self._mlflow.set_experiment(model_name)
            with self._mlflow.start_run(run_name=params["net"], tags=tags) as run:
                self._mlflow.log_params(params)
                for step, values in enumerate(history, 1):
                    self._mlflow.log_metrics(values, step=step)
                for split in evaluated:
                    named = split.figures | {
                        f"macro_recall_{language}": value
                        for language, value in split.by_language.items()
                    }
                    self._mlflow.log_metrics(
                        {f"{split.name}_{name}": value for name, value in named.items()}
                    )
                self._log_pictures(params["net"], evaluated, Path(scratch))
                self._log_model(net_folder, Path(scratch))
                with redirect_stderr(io.StringIO()):  # it prints what the caller will print
                    entry = self._mlflow.register_model(
                        f"runs:/{run.info.run_id}/model", model_name, tags=tags
                    )
            recall = ", ".join(
                f"{split.name} {100 * split.figures['macro_recall']:.1f}" for split in evaluated
            )
            self._client.update_model_version(
                model_name, entry.version, f"{params['net']}: macro recall {recall}"
            )
            entry = self._client.get_model_version(model_name, entry.version)
            return self._version(entry, self._alias(model_name))

    def _log_pictures(self, net: str, evaluated: Sequence[Evaluated], scratch: Path) -> None:
        from ml.metrics import draw_confusion

        for split in evaluated:
            picture = scratch / f"confusion_{split.name}.png"
            draw_confusion(split.confusion, f"{net}, {split.name}", picture)
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
        for name in _SERVED:
            source = _ROOM / name
            if source.is_dir():
                shutil.copytree(source, code / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, code / name)
        packages = ("vaderSentiment",) if net_folder is None else ("torch",)
        self._mlflow.pyfunc.log_model(
            name="model",
            python_model=str(_ROOM / "serving.py"),
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
        return Version(
            model_name=entry.name,
            version=int(entry.version),
            net=entry.tags.get("net", "?"),
            data=entry.tags.get("data", "?"),
            data_fingerprint=entry.tags.get("data_fingerprint", ""),
            run_id=entry.run_id or "",
            created_at=entry.creation_timestamp,
            figures=dict(run.data.metrics) if run else {},
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
            # A missing alias is INVALID_PARAMETER_VALUE in some stores.
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise

    @contextmanager
    def _answering(self) -> Iterator[None]:
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            raise RegistryError(
                f"MLflow at {_without_login(self.tracking_uri)}: {str(error).strip()}\n"
                "`cityloom status` tells whether it is up, `cityloom models list` what it has"
            ) from error


def _pages(search: Callable[..., Any]) -> list[Any]:
    """Return all that a search of MLflow's finds; it answers in pages of a hundred or more."""
    found: list[Any] = []
    token = None
    while True:
        page = search(page_token=token)
        found.extend(page)
        token = page.token
        if not token:
            return found


def _without_login(uri: str) -> str:
    scheme, separator, rest = uri.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
