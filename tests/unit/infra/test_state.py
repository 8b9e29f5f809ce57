import json
import os
import socket

import pytest

from bench.server import free_port
from infra.home import NotSetUp
from infra.local import ports, state
from infra.local.ports import is_free
from infra.local.settings import load_settings, settings_from
from infra.local.state import (
    FIRST_PORTS,
    StackError,
    decide_state,
    read_state,
    state_file,
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in (*FIRST_PORTS, "x"):
        monkeypatch.delenv(f"CITYLOOM_PORT_{name.upper()}", raising=False)
    monkeypatch.delenv("CITYLOOM_DATABASE_URL", raising=False)
    monkeypatch.setenv("CITYLOOM_HOME", str(tmp_path / "home"))
    # Ports of this process: another one that chooses ports meanwhile reserves them on the machine.
    first = 20_000 + os.getpid() % 1000 * 10
    own = {name: first + number for number, name in enumerate(FIRST_PORTS)}
    monkeypatch.setattr(state, "FIRST_PORTS", own)
    return tmp_path / "home"


@pytest.fixture
def taken(monkeypatch):
    """A port that somebody listens on."""
    monkeypatch.setattr(ports, "SETTLE_SECONDS", 0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def keep(name, port):
    """Have the installation's port be the one that it chose before."""
    described = decide_state()
    described["ports"][name] = port
    state_file().write_text(json.dumps(described))
    return described


def test_ports_are_free_distinct_and_kept(home):
    first = decide_state()
    assert set(first["ports"]) == set(FIRST_PORTS)
    assert len(set(first["ports"].values())) == len(FIRST_PORTS)
    assert all(is_free(port) for port in first["ports"].values())
    assert decide_state() == first
    assert json.loads((home / "stack.json").read_text()) == first


def test_port_that_was_chosen_stays_and_its_new_holder_is_named(taken, home):
    described = keep("mlflow", taken)
    with pytest.raises(StackError, match=rf"port {taken} \(CITYLOOM_PORT_MLFLOW\).*pid"):
        decide_state()
    assert json.loads((home / "stack.json").read_text()) == described


def test_own_running_servers_are_no_conflict(taken):
    described = keep("mlflow", taken)
    assert decide_state(own=lambda: [os.getpid()]) == described


def test_port_taken_beside_our_running_servers_is_named(taken):
    keep("mlflow", taken)
    with pytest.raises(StackError, match=rf"port {taken} "):
        decide_state(own=lambda: [1])


def test_port_asked_for_is_not_chosen_for_another_server(monkeypatch):
    monkeypatch.setenv("CITYLOOM_PORT_SUPERSET", str(state.FIRST_PORTS["mlflow"]))
    ports = decide_state()["ports"]
    assert ports["superset"] == state.FIRST_PORTS["mlflow"] != ports["mlflow"]


def test_port_asked_for_twice_is_refused(monkeypatch):
    wanted = str(free_port())
    monkeypatch.setenv("CITYLOOM_PORT_AIRFLOW", wanted)
    monkeypatch.setenv("CITYLOOM_PORT_MLFLOW", wanted)
    with pytest.raises(StackError, match=rf"port {wanted} .* is (mlflow|airflow)'s here"):
        decide_state()


def test_embedded_servers_port_does_not_matter_with_an_external_one(monkeypatch, taken):
    monkeypatch.setenv("CITYLOOM_DATABASE_URL", f"postgresql://a:b@127.0.0.1:{taken}/postgres")
    described = keep("postgres", taken)
    assert decide_state() == described


def test_asked_port_is_taken_up_and_kept(monkeypatch):
    decide_state()
    wanted = free_port()
    monkeypatch.setenv("CITYLOOM_PORT_AIRFLOW", str(wanted))
    assert decide_state()["ports"]["airflow"] == wanted
    monkeypatch.delenv("CITYLOOM_PORT_AIRFLOW")
    assert decide_state()["ports"]["airflow"] == wanted


def test_asked_port_that_is_taken_names_the_holder(monkeypatch, taken):
    monkeypatch.setenv("CITYLOOM_PORT_SUPERSET", str(taken))
    with pytest.raises(StackError, match=rf"port {taken} \(CITYLOOM_PORT_SUPERSET\).*pid"):
        decide_state()


def test_port_that_is_no_number_is_refused(monkeypatch):
    monkeypatch.setenv("CITYLOOM_PORT_SUPERSET", "http")
    with pytest.raises(StackError, match="CITYLOOM_PORT_SUPERSET='http' is not a port number"):
        decide_state()


def test_external_database_is_kept_without_its_login(monkeypatch, home):
    monkeypatch.setenv(
        "CITYLOOM_DATABASE_URL", "postgresql://root:hush@db.example:6543/postgres?sslmode=require"
    )
    decide_state()
    assert "hush" not in (home / "stack.json").read_text()
    monkeypatch.delenv("CITYLOOM_DATABASE_URL")
    decide_state()
    settings = load_settings()
    assert not settings.embedded_database
    url = settings.database_url("analyst")
    assert url.startswith("postgresql://analyst:")
    assert url.endswith("@db.example:6543/warehouse?sslmode=require")


@pytest.mark.parametrize(
    "url", ["db.example:5432", "postgresql://a:b@one:5432,two:5432/x", "postgresql://a:b@c:x/d"]
)
def test_database_url_that_is_none_is_refused(monkeypatch, url):
    monkeypatch.setenv("CITYLOOM_DATABASE_URL", url)
    with pytest.raises(StackError, match="must look like postgresql://"):
        decide_state()


def test_damaged_state_names_file_and_remedy(home):
    home.mkdir()
    (home / "stack.json").write_text("{")
    with pytest.raises(StackError, match=r"stack\.json cannot be read.*cityloom reset"):
        read_state()
    (home / "stack.json").write_text('{"port": 5432}')
    with pytest.raises(StackError, match=r"stack\.json cannot be read \('ports'\).*cityloom reset"):
        read_state()


def test_nothing_started_yet_names_the_command():
    with pytest.raises(NotSetUp, match="cityloom up"):
        load_settings()


def test_secrets_are_made_once_and_private(home):
    settings = settings_from(home, {"ports": dict(FIRST_PORTS)})
    password = settings.admin_password
    assert len(password) >= 24
    assert settings.admin_password == password
    assert (home / "secrets" / "admin_password").stat().st_mode & 0o777 == 0o600
    assert (home / "secrets").stat().st_mode & 0o777 == 0o700
