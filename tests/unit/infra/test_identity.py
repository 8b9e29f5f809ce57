"""A server proves whose it is before a password is sent to it; a slow one is not a dead one."""

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import psutil
import psycopg
import pytest

from bench.server import free_port
from cli.airflow import Airflow
from infra.contract import load_deployment
from infra.home import ROOT
from infra.local import identity, ports
from infra.local.ports import Reservations
from infra.local.services import supervisor_config
from infra.local.settings import describe, settings_from
from infra.local.state import FIRST_PORTS, StackError
from infra.local.supervise import Supervisor
from tests.builders import asks_for_the_password

WEB = ("airflow", "mlflow", "superset")


class Listening:
    """A server of somebody else's on a free port; keeps all that it is sent."""

    def __enter__(self):
        self.received = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.received.append(f"{self.path} {self.headers} {body!r}")
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b'{"access_token": "a"}')

            do_GET = do_POST = do_PATCH = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=[0.01], daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def installation(tmp_path, monkeypatch):
    """Describes a local deployment with these ports; gives its settings and its contract."""
    monkeypatch.setenv("CITYLOOM_HOME", str(tmp_path))
    monkeypatch.delenv("CITYLOOM_DEPLOYMENT", raising=False)

    def make(**ports):
        described = {"ports": dict(FIRST_PORTS) | ports, "database": None}
        (tmp_path / "stack.json").write_text(json.dumps(described))
        settings = settings_from(tmp_path, described)
        settings.secret("admin_password")
        settings.secret("postgres_analyst")
        (tmp_path / "deployment.json").write_text(json.dumps(describe(settings)))
        return settings, load_deployment()

    yield make
    Supervisor().shut_down()


def test_no_password_is_sent_to_another_program(installation, monkeypatch):
    monkeypatch.setattr(ports, "SETTLE_SECONDS", 0)
    with Listening() as other:
        settings, deployment = installation(**dict.fromkeys(WEB, other.port))
        for server in WEB:
            with pytest.raises(StackError, match=rf"port {other.port}: .*pid {os.getpid()}"):
                deployment.login(server)
        with pytest.raises(StackError, match="another program"):
            deployment.mlflow_environment()
        with Airflow(deployment) as airflow, pytest.raises(StackError, match="another program"):
            airflow.dags()
        assert settings.admin_password not in "".join(other.received)


def test_mlflows_client_proves_the_server_before_each_request(installation, monkeypatch):
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    def search():
        creds = get_default_host_creds(deployment.url("mlflow"))
        return http_request(creds, "/api/2.0/mlflow/experiments/search", "GET", max_retries=0)

    monkeypatch.setattr(ports, "SETTLE_SECONDS", 0)
    with Listening() as other:
        _, deployment = installation(mlflow=other.port)
        with monkeypatch.context() as ours:  # at first it counts as our own
            ours.setattr(identity, "foreign", lambda *_: None)
            environment = deployment.mlflow_environment()
            for name, value in environment.items():
                monkeypatch.setenv(name, value)
            search()
        with pytest.raises(MlflowException, match="another program answers"):
            search()
        assert len(other.received) == 1
        assert "Authorization: Basic" in other.received[0], "the first was sent the login"


def test_proof_ends_with_the_process_that_gave_it(installation, monkeypatch):
    monkeypatch.setattr(ports, "SETTLE_SECONDS", 0)
    with Listening() as other:
        _, deployment = installation(mlflow=other.port)
        proven = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        monkeypatch.setitem(identity._proven, other.port, [psutil.Process(proven.pid)])
        deployment.login("mlflow")
        proven.kill()
        proven.communicate()
        with pytest.raises(StackError, match="another program"):
            deployment.login("mlflow")


def test_token_is_not_kept_for_whoever_listens_next(installation):
    _, deployment = installation(airflow=free_port())
    with Airflow(deployment) as airflow:
        airflow.headers["Authorization"] = "Bearer token"
        with pytest.raises(StackError, match="nothing answers"):
            airflow.dags()
        assert "Authorization" not in airflow.headers


def test_another_database_server_is_sent_no_password(installation):
    with asks_for_the_password() as (port, received):
        settings, deployment = installation(postgres=port)
        with pytest.raises(psycopg.OperationalError, match="scram-sha-256"):
            psycopg.connect(deployment.database_url("analyst") + "&sslmode=disable")
    assert b"analyst" in received[0]
    assert settings.secret("postgres_analyst").encode() not in b"".join(received)


def serve(settings, port):
    """Start supervisor with one real web server on the port, as the service `mlflow`."""
    supervisor = Supervisor()
    environments: dict[str, dict[str, str]] = {family: {} for family in WEB}
    config = supervisor_config(replace(settings, embedded_database=False), environments)
    program = f"""[program:mlflow]
command = {sys.executable} -m http.server --bind 127.0.0.1 {port}
environment = CITYLOOM_SERVICE="mlflow"
autostart = false
autorestart = true
startsecs = 20
startretries = 10
"""
    supervisor.apply(config.partition("[program:")[0] + program)
    supervisor.start_program("mlflow")
    return supervisor


def test_own_server_is_waited_for_and_given_the_login(installation):
    settings, deployment = installation(mlflow=free_port())
    serve(settings, settings.ports["mlflow"])
    assert deployment.login("mlflow") == ("admin", settings.admin_password)


def test_own_server_that_was_killed_is_waited_for(installation):
    """A process that ends is not seen with its socket for a moment, nor is it a foreign one."""
    settings, deployment = installation(mlflow=free_port())
    supervisor = serve(settings, settings.ports["mlflow"])
    pid = 0
    for _ in range(2):
        deployment.login("mlflow")
        killed = pid
        while pid in (0, killed):  # a busy supervisor notices late that a program has ended
            pid = supervisor.running()["mlflow"]["pid"]
        os.kill(pid, signal.SIGKILL)
        assert deployment.login("mlflow") == ("admin", settings.admin_password)


def test_stack_that_is_down_is_named(installation):
    _, deployment = installation(mlflow=free_port())
    with pytest.raises(StackError, match=r"nothing answers at .*`cityloom up`"):
        deployment.login("mlflow")


def test_supervisor_that_is_slow_is_not_dead(installation):
    """Its servers were ended as left-overs when it did not answer at once."""
    settings, _ = installation(mlflow=free_port())
    supervisor = serve(settings, settings.ports["mlflow"])
    pid = supervisor.pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        assert supervisor.pid() == pid
        assert supervisor.end_strays() == []
        assert len(supervisor.tree()) == 2
    finally:
        os.kill(pid, signal.SIGCONT)
    assert supervisor.state("mlflow") in ("STARTING", "RUNNING")


DECIDE = """
import json, sys
from infra.local.ports import Reservations
from infra.local.state import decide_state
with Reservations() as reservations:
    print(json.dumps(decide_state(reservations=reservations)["ports"]), flush=True)
    sys.stdin.read()
"""


def test_three_installations_that_start_at_once_choose_different_ports(tmp_path):
    """Between the choice of a port and the server that listens on it lie seconds."""
    starting = [
        subprocess.Popen(
            [sys.executable, "-c", DECIDE],
            cwd=ROOT,
            env={**os.environ, "CITYLOOM_HOME": str(tmp_path / str(number))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    try:
        chosen = [json.loads(process.stdout.readline()) for process in starting]
    finally:
        for process in starting:
            process.communicate("")
    ports = [port for ports in chosen for port in ports.values()]
    assert len(set(ports)) == 3 * len(FIRST_PORTS)


def test_reservation_ends_with_its_process():
    port = free_port()
    with Reservations() as first, Reservations() as second:
        assert first.take(port)
        assert not second.take(port)
        first.close()
        deadline = time.monotonic() + 120
        while not second.take(port):
            assert time.monotonic() < deadline
