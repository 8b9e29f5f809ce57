"""Airflow's, MLflow's and Superset's web servers on a throw-away PostgreSQL, without the rest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from accounts.servers import AirflowServer, MlflowServer, SupersetServer
from bench.server import free_port
from dashboards.superset import Superset
from infra.home import ROOT
from infra.local import services
from infra.local.settings import Settings, settings_from
from infra.setup import SUPERSET

START_SECONDS = 400


@dataclass
class Web:
    """The three servers, their administrator's clients, and a session of any user."""

    settings: Settings
    admin_url: str
    clients: list[Any]

    def secret(self, role: str) -> str:
        return self.settings.secret(f"postgres_{role}")

    def superset(self, user: str, password: str) -> httpx.Client:
        """A client of Superset, logged in as a user."""
        client = httpx.Client(base_url=self.settings.url("superset"), timeout=120)
        body = {"username": user, "password": password, "provider": "db"}
        answer = client.post("/api/v1/security/login", json=body)
        answer.raise_for_status()
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        client.headers["Referer"] = self.settings.url("superset")
        token = client.get("/api/v1/security/csrf_token/")
        if token.is_success:
            client.headers["X-CSRFToken"] = token.json()["result"]
        return client

    def airflow(self, user: str, password: str) -> httpx.Client:
        """A client of Airflow's REST API, logged in as a user."""
        client = httpx.Client(base_url=self.settings.url("airflow"), timeout=120)
        answer = client.post("/auth/token", json={"username": user, "password": password})
        answer.raise_for_status()
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return client

    def mlflow(self, user: str, password: str) -> httpx.Client:
        """A client of MLflow's REST API that logs in as a user."""
        return httpx.Client(
            base_url=self.settings.url("mlflow"), timeout=120, auth=(user, password)
        )


@pytest.fixture(scope="session")
def secrets(postgres, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The secrets of every installation on the session's databases: it is one, started twice."""
    folder = tmp_path_factory.mktemp("secrets")
    folder.chmod(0o700)
    for role, password in postgres.passwords.items():
        (folder / f"postgres_{role}").write_text(password)
    return folder


@pytest.fixture(scope="session")
def web(postgres, secrets, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with started(postgres, secrets, tmp_path_factory.mktemp("servers")) as found:
        yield found


@contextmanager
def started(
    postgres: Any,
    secrets: Path,
    home: Path,
    names: Sequence[str] = ("superset", "airflow", "mlflow"),
    **more: Any,
) -> Iterator[Web]:
    """Run servers in a home. `more`: what its `stack.json` holds besides addresses."""
    address = urlsplit(postgres.url)
    ports = {name: free_port() for name in ("airflow", "mlflow", "superset")}
    state = {
        "ports": {**ports, "postgres": address.port},
        "database": {"host": address.hostname, "port": address.port, "options": ""},
        **more,
    }
    (home / "stack.json").write_text(json.dumps(state))
    (home / "secrets").symlink_to(secrets)
    settings = settings_from(home, state)
    settings.log_dir.mkdir()
    environments = {
        name: {**os.environ, **variables, "CITYLOOM_HOME": str(home)}
        for name, variables in services.environments(settings).items()
    }
    superset = str(SUPERSET.python)
    python = {"airflow": sys.executable, "mlflow": sys.executable, "superset": superset}
    servers = {
        "airflow": f"-m airflow api-server --host 127.0.0.1 --port {ports['airflow']} --workers 1",
        "mlflow": "-m infra.local.mlflow_app server --app-name cityloom --host 127.0.0.1 "
        f"--port {ports['mlflow']} --workers 1 --serve-artifacts "
        f"--artifacts-destination {home}/mlflow/artifacts",
        "superset": "-m gunicorn superset.app:create_app() --worker-class gthread --workers 1 "
        f"--threads 4 --timeout 120 --bind 127.0.0.1:{ports['superset']} --no-control-socket",
    }

    def run(name: str, arguments: str, log: Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [python[name], *arguments.split()],
            cwd=ROOT,
            env=environments[name],
            stdin=subprocess.DEVNULL,
            stdout=log.open("w"),
            stderr=subprocess.STDOUT,
            text=True,
        )

    preparing = {
        name: run(name, f"-m infra.local.prepare {name}", settings.log_dir / f"{name}-prepare.log")
        for name in ("airflow", "superset")
    }
    for name, process in preparing.items():
        assert process.wait(START_SECONDS) == 0, (
            settings.log_dir / f"{name}-prepare.log"
        ).read_text()[-3000:]
    running = {name: run(name, servers[name], settings.log_dir / f"{name}.log") for name in names}
    paths = {"airflow": "/api/v2/version", "mlflow": "/", "superset": "/"}
    try:
        for name, process in running.items():
            await_answer(
                settings.url(name) + paths[name], process, settings.log_dir / f"{name}.log"
            )
        admin = settings.admin_user, settings.admin_password
        with Superset(settings.url("superset"), *admin) as session:
            clients = [
                SupersetServer(session),
                AirflowServer.log_in(settings.url("airflow"), *admin),
            ]
            if "mlflow" in running:
                clients.append(MlflowServer.log_in(settings.url("mlflow"), *admin))
            yield Web(settings, postgres.admin_url, clients)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait(60)


def await_answer(url: str, process: subprocess.Popen[str], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            httpx.get(url, timeout=10)
            return
        except httpx.TransportError:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.5)
