"""What MLflow's server is asked, by the right that it needs, and paths that leave a folder."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from infra.local.mlflow_guard import _MODEL_SOURCE, leaves_store, may, needed

PREFIXES = ("/api/2.0", "/ajax-api/2.0", "/api/3.0", "/ajax-api/3.0")


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(
    ("method", "path", "least"),
    [
        ("GET", "/mlflow/users/current", ""),
        ("POST", "/mlflow/experiments/search", ""),
        ("POST", "/mlflow/runs/search", "READ"),
        ("GET", "/mlflow-artifacts/artifacts/1/r/artifacts/a.png", "READ"),
        ("PUT", "/mlflow-artifacts/artifacts/1/r/artifacts/a.png", "EDIT"),
        ("POST", "/mlflow/experiments/create", "EDIT"),
        ("POST", "/mlflow/model-versions/create", "EDIT"),
        ("POST", "/mlflow/upload-artifact", "EDIT"),
        ("GET", "/mlflow/users/list", "admin"),
        ("PATCH", "/mlflow/users/update-password", "admin"),
        ("POST", "/mlflow/users/permissions/grant", "admin"),
        ("POST", "/mlflow/gateway/secrets/create", None),
        ("POST", "/mlflow/webhooks", None),
        ("POST", "/mlflow/traces", None),
        ("POST", "/mlflow/workspaces", None),
        ("POST", "/mlflow/runs/create-promptlab-run", None),
        ("POST", "/mlflow/scorer/invoke", None),
        ("PUT", "/mlflow/assistant/config", None),
    ],
)
def test_a_request_needs_one_right_whatever_its_prefix(prefix, method, path, least):
    assert needed(method, prefix + path) == least


def test_who_may_more_may_what_others_may():
    create = "/api/2.0/mlflow/experiments/create"
    found = [may(right, "POST", create) for right in ("", "READ", "EDIT", "admin")]
    assert found == [False, False, True, True]
    assert not may("admin", "POST", "/api/2.0/mlflow/webhooks")


def test_every_route_that_changes_something_needs_a_role(monkeypatch):
    """MLflow's own list of routes: a new version's are refused until the table has them."""
    monkeypatch.setenv("MLFLOW_FLASK_SERVER_SECRET_KEY", "x")
    app = import_module("mlflow.server").app
    reading = ("search", "get-latest-versions", "graphql", "search-datasets")
    found = 0
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<[^>]+>", "x", rule.rule)
        for method in rule.methods & {"POST", "PUT", "PATCH", "DELETE"}:
            if not path.endswith(reading):
                found += 1
                assert not may("READ", method, path), (method, path)
    assert found > 100


@pytest.mark.parametrize(
    "path",
    [
        *("../x", "a/../../x", "/..", "a/..", "./1", "a/./b", "a\\..\\b", "a\\b"),
        *("%2e%2e/x", "a/%252e%252e/x", "..%2fx", "a\0b"),
    ],
)
def test_a_path_that_leaves_its_folder_is_found(path):
    assert leaves_store(path)


@pytest.mark.parametrize("path", ["1/r/artifacts/a.png", "a..b", ".hidden", "x.../y", ""])
def test_a_plain_path_does_not(path):
    assert not leaves_store(path)


@pytest.mark.parametrize(
    ("source", "is_one"),
    [
        ("mlflow-artifacts:/1/models/m-1/artifacts", True),
        ("models:/m-3d4559e4689f412194ecd94eb6b4ac3c", True),
        ("runs:/abc/model", True),
        ("file:///etc", False),
        ("/etc", False),
        ("mlflow-artifacts://host/1", False),
        ("mlflow-artifacts:/1/../2", False),
        ("mlflow-artifacts:/1/%2e%2e/2", False),
        ("s3://bucket/x", False),
        ("http://127.0.0.1:1/x", False),
        ("file:///etc\nmodels:/m-1", False),
        ("models:/m-1\n", False),
    ],
)
def test_a_models_version_comes_from_the_artifact_store(source, is_one):
    assert (re.search(_MODEL_SOURCE, source) is not None) is is_one
