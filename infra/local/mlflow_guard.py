"""What a login may ask of MLflow's server, and where that server may read and write files.

MLflow lets every login make experiments, takes the place of their files from the request, and
reads and writes there as the user that runs the server. Two walls stand before that:

- `may`: a table of the requests that training and its pages need, and the right that each needs.
  What it does not list is refused to everybody: language models' traces, gateways, webhooks, jobs.
- `keep_in_store`: the server opens no file outside its artifact store, whatever a record says.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

#: From the least to the most; "" is a login without a role in MLflow (`accounts.roles.ROLES`).
RIGHTS = ("", "READ", "EDIT", "admin")
#: Requests by their methods and their path after `/api/2.0`, `/ajax-api/3.0` and the like.
_RULES = (
    ("", "GET", r"/|/health|/version|/favicon\.ico|/static-files/.+"),
    ("", "GET", r"/mlflow/(server-info|users/current(/permissions)?)"),
    # What the pages ask first. MLflow lists only what the login may read.
    ("", "GET POST", r"/mlflow/(experiments|registered-models)/search"),
    ("READ", "GET", r"/get-artifact|/model-versions/get-artifact|/mlflow/artifacts/list"),
    ("READ", "GET", r"/mlflow-artifacts/artifacts(/.+)?|/mlflow/get-artifact"),
    ("READ", "GET", r"/mlflow/(experiments|runs)/get(-by-name)?"),
    ("READ", "GET", r"/mlflow/metrics/get-history(-bulk(-interval)?)?"),
    ("READ", "GET", r"/mlflow/registered-models/(get|search|alias)"),
    ("READ", "GET", r"/mlflow/model-versions/(get|search|get-download-uri)"),
    ("READ", "GET", r"/mlflow/logged-models/[^/]+(/artifacts/(directories|files))?"),
    ("READ", "GET POST", r"/graphql|/mlflow/registered-models/get-latest-versions"),
    ("READ", "POST", r"/mlflow/(runs|logged-models|traces)/search"),
    ("READ", "POST", r"/mlflow/experiments/search-datasets"),
    ("EDIT", "POST", r"/mlflow/experiments/(create|update|delete|restore)"),
    ("EDIT", "POST", r"/mlflow/experiments/(set|delete)-experiment-tag"),
    (
        *("EDIT", "POST"),
        r"/mlflow/runs/(create|update|delete|restore|outputs|(set|delete)-tag"
        r"|log-(batch|inputs|metric|model|parameter))",
    ),
    (
        *("EDIT", "POST PATCH DELETE"),
        r"/mlflow/(registered-models|model-versions)/(create|update|delete|rename|alias"
        r"|transition-stage|(set|delete)-tag)",
    ),
    ("EDIT", "POST PATCH DELETE", r"/mlflow/logged-models(/[^/]+(/(params|tags(/[^/]+)?))?)?"),
    ("EDIT", "PUT DELETE", r"/mlflow-artifacts/artifacts/.+"),
    ("EDIT", "POST", r"/mlflow/upload-artifact"),
    ("admin", "GET POST PATCH DELETE", r"/mlflow/(users|roles)/.+"),
)
_TABLE = [(right, methods.split(), re.compile(path)) for right, methods, path in _RULES]
_VERSION = re.compile(r"/(?:ajax-)?api/\d+\.\d+(?=/)")
#: Paths in which files are named, and the part of a query that names them.
_OUTSIDE = re.compile(r"(^|[/\\])\.{1,2}([/\\]|$)|\\|\0")
#: Sources of a model's version: of the artifact store, a run or another model, by plain names.
_MODEL_SOURCE = r"\A(mlflow-artifacts|models|runs):/(?!/)(?!.*\.\.)[\w@ ./+-]+\Z"


def needed(method: str, path: str) -> str | None:
    """Return the right that a request needs, one of `RIGHTS`; None where nobody may ask it."""
    # A client's question about a resource is one that reads.
    method = "GET" if method == "HEAD" else method
    endpoint = _VERSION.sub("", path, count=1)
    return next(
        (
            right
            for right, methods, pattern in _TABLE
            if method in methods and pattern.fullmatch(endpoint)
        ),
        None,
    )


def may(right: str, method: str, path: str) -> bool:
    """Return whether a login with this right may make a request."""
    least = needed(method, path)
    return least is not None and RIGHTS.index(right) >= RIGHTS.index(least)


def leaves_store(path: str) -> bool:
    """Return whether a path of a request names a folder above, encoded or not."""
    for _ in range(3):
        if _OUTSIDE.search(path):
            return True
        path = unquote(path)
    return False


def keep_in_store(destination: str) -> None:
    """Let MLflow's server open files below `destination`, a folder, and no other place.

    Holds for records that exist, too, and whichever request leads to them. An experiment's place
    is the server's to choose.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact import artifact_repository_registry as artifacts
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from mlflow.utils.file_utils import local_file_uri_to_path
    from mlflow.utils.uri import is_local_uri

    os.environ["MLFLOW_CREATE_MODEL_VERSION_SOURCE_VALIDATION_REGEX"] = _MODEL_SOURCE
    store = Path(destination).resolve()

    def open_repository(
        artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
    ) -> Any:
        if is_local_uri(artifact_uri, is_tracking_or_registry_uri=False):
            place = Path(local_file_uri_to_path(artifact_uri)).resolve()
            if place == store or store in place.parents:
                return LocalArtifactRepository(artifact_uri, tracking_uri, registry_uri)
        raise MlflowException.invalid_parameter_value(
            f"{artifact_uri} is outside this server's artifact store"
        )

    # Every function of MLflow that opens artifacts asks this one object.
    registry: Any = artifacts._artifact_repository_registry
    registry.get_artifact_repository = open_repository
    tracking: Any = SqlAlchemyStore
    make_experiment = tracking.create_experiment

    def create_experiment(
        self: Any, name: str, artifact_location: str | None = None, tags: Any = None, **more: Any
    ) -> str:
        if artifact_location:
            raise MlflowException.invalid_parameter_value(
                "artifact_location: the server chooses where an experiment's files lie; leave it "
                "out"
            )
        return str(make_experiment(self, name, artifact_location, tags, **more))

    tracking.create_experiment = create_experiment
