"""A deployment of another kind, its database reached by a description with secrets in variables."""

import json
from urllib.parse import urlsplit

import psycopg
import pytest
from typer.testing import CliRunner

from cli import main as cli
from infra.contract import load_deployment

ROLES = ("warehouse", "analyst", "dashboards")


@pytest.fixture
def elsewhere(warehouse, tmp_path, monkeypatch):
    """A description without a local home, local ports or files of secrets."""
    server = urlsplit(warehouse.admin_url)
    address = f"{server.hostname}:{server.port}"
    web = {"url": "https://none.example", "user": "admin", "password": "env:ADMIN_SECRET"}
    described = {
        "kind": "kubernetes",
        "databases": {
            role: {
                "url": f"postgresql://{role}@{address}/warehouse?{server.query}",
                "password": f"env:{role.upper()}_SECRET",
            }
            for role in ROLES
        },
        **dict.fromkeys(("airflow", "mlflow", "superset"), web),
        "salt": "env:SALT_{city}",
        "drops": "/mnt/drops/{city}",
        "reports": "/mnt/reports",
        "artifacts": "s3://artifacts",
        "scratch": str(tmp_path / "scratch"),
        "logs": "the log service",
    }
    for role in ROLES:
        monkeypatch.setenv(f"{role.upper()}_SECRET", warehouse.passwords[role])
    path = tmp_path / "deployment.json"
    path.write_text(json.dumps(described))
    monkeypatch.setenv("CITYLOOM_DEPLOYMENT", str(path))
    monkeypatch.setenv("CITYLOOM_HOME", "/nonexistent")
    return path


def test_each_role_is_let_in_by_a_secret_in_a_variable(elsewhere):
    for role in ROLES:
        with psycopg.connect(load_deployment().database_url(role)) as connection:
            assert connection.execute("select current_user").fetchone() == (role,)


def test_commands_work_without_a_local_installation(elsewhere):
    done = CliRunner().invoke(cli.build(), ["sql", "select current_user", "--format", "csv"])
    assert done.output == "current_user\nanalyst\n"
    done = CliRunner().invoke(cli.build(), ["loads"])
    assert done.exit_code == 0 and "no loads yet" in done.output
    done = CliRunner().invoke(cli.build(), ["up"])
    assert "'kubernetes' is started, stopped and examined by its own tools" in str(done.exception)
