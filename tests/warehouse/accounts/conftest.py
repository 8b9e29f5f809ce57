"""Airflow's, MLflow's and Superset's web servers on a throw-away PostgreSQL, without the rest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
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
def web(postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    home = tmp_path_factory.mktemp("servers")
    address = urlsplit(postgres.url)
    ports = {name: free_port() for name in ("airflow", "mlflow", "superset")}
    state = {
        "ports": {**ports, "postgres": address.port},
        "database": {"host": address.hostname, "port": address.port, "options": ""},
    }
    (home / "stack.json").write_text(json.dumps(state))
    (home / "secrets").mkdir(mode=0o700)
    for role, password in postgres.passwords.items():
        (home / "secrets" / f"postgres_{role}").write_text(password)
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
    running = {
        name: run(name, command, settings.log_dir / f"{name}.log")
        for name, command in servers.items()
    }
    try:
        for name, path in {"airflow": "/api/v2/version", "mlflow": "/", "superset": "/"}.items():
            await_answer(settings.url(name) + path, running[name], settings.log_dir / f"{name}.log")
        admin = settings.admin_user, settings.admin_password
        with Superset(settings.url("superset"), *admin) as session:
            clients = [
                SupersetServer(session),
                AirflowServer.log_in(settings.url("airflow"), *admin),
                MlflowServer.log_in(settings.url("mlflow"), *admin),
            ]
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
