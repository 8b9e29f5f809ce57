import configparser
import os
import shlex
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest
from sqlalchemy import make_url

from infra.local import services
from infra.local.services import airflow_environment, mlflow_environment, superset_environment
from infra.local.settings import settings_from
from infra.local.state import FIRST_PORTS, StackError
from infra.local.supervise import Supervisor


@pytest.fixture
def settings(tmp_path, monkeypatch):
    home = tmp_path / "my home; really"
    monkeypatch.setenv("CITYLOOM_HOME", str(home))
    home.mkdir()
    (home / "stack.json").write_text("{}")
    described = {
        "ports": dict(FIRST_PORTS),
        "database": {"host": "db.example", "port": 5432, "options": ""},
    }
    yield settings_from(home, described)
    Supervisor().shut_down()


def programs_of(supervisor):
    """What supervisor itself reads from its settings, by program."""
    from supervisor.options import ServerOptions

    options = ServerOptions()
    options.realize(["-c", str(supervisor.config)])
    return {group.name: group.process_configs[0] for group in options.process_group_configs}


def test_supervisor_reads_back_what_was_written(settings):
    """By supervisor's own parser: a space or a semicolon in the home must survive it."""
    supervisor = Supervisor()
    config = services.supervisor_config(settings, services.environments(settings))
    assert supervisor.apply(config) == []
    assert supervisor.apply(config) == []
    assert supervisor.config.stat().st_mode & 0o777 == 0o600
    programs = programs_of(supervisor)
    wanted = [name for names in services.FAMILIES.values() for name in names]
    assert sorted(["postgres", *programs]) == sorted(wanted)
    mlflow = programs["mlflow"]
    assert str(settings.home / "mlflow" / "artifacts") in shlex.split(mlflow.command)
    assert mlflow.environment["CITYLOOM_SERVICE"] == "mlflow"
    assert not programs["superset"].autostart


def test_no_secret_on_a_command_line(settings):
    supervisor = Supervisor()
    supervisor.apply(services.supervisor_config(settings, services.environments(settings)))
    secrets = [path.read_text() for path in (settings.home / "secrets").iterdir()]
    assert secrets
    for program in programs_of(supervisor).values():
        for secret in secrets:
            assert secret not in program.command


def test_airflow_is_moved_to_its_port_in_full(settings):
    environment = airflow_environment(settings)
    path = settings.home / "airflow" / "airflow.cfg"
    assert path.stat().st_mode & 0o777 == 0o600
    parser = configparser.ConfigParser()
    parser.read(path)
    port = str(settings.ports["airflow"])
    assert parser["api"]["base_url"].endswith(f":{port}")
    assert f":{port}/execution/" in parser["core"]["execution_api_server_url"]
    assert parser["core"]["executor"] == "LocalExecutor"
    assert parser["core"]["load_examples"] == "False"
    assert parser["usage_data_collection"]["enabled"] == "False"
    assert "8080" not in path.read_text().replace(port, "")
    from cryptography.fernet import Fernet

    Fernet(parser["core"]["fernet_key"])
    assert environment["AIRFLOW_HOME"] == str(settings.home / "airflow")


def test_changed_secret_changes_the_configuration_so_that_it_restarts(settings):
    before = mlflow_environment(settings)["CITYLOOM_CONFIG"]
    (settings.home / "secrets" / "admin_password").write_text("another-long-password")
    assert mlflow_environment(settings)["CITYLOOM_CONFIG"] != before


@pytest.mark.parametrize("environment", [mlflow_environment, superset_environment])
def test_a_server_whose_code_of_ours_changed_is_started_anew(settings, monkeypatch, environment):
    before = environment(settings)["CITYLOOM_CONFIG"]
    assert environment(settings)["CITYLOOM_CONFIG"] == before
    monkeypatch.setattr(services, "_code", lambda *files: "another version")
    assert environment(settings)["CITYLOOM_CONFIG"] != before


def test_what_outlived_its_supervisor_is_ended_and_nothing_else(settings):
    def sleeper(**more):
        environment = {**os.environ, **more}
        return subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1, env=environment)

    ours = sleeper(CITYLOOM_HOME=str(settings.home), CITYLOOM_SERVICE="mlflow")
    shell = sleeper(CITYLOOM_HOME=str(settings.home))
    others = sleeper(CITYLOOM_HOME="/elsewhere", CITYLOOM_SERVICE="mlflow")
    try:
        supervisor = Supervisor()
        assert supervisor.end_strays() == ["mlflow"]
        assert ours.poll() is not None
        assert psutil.pid_exists(shell.pid) and shell.poll() is None
        assert others.poll() is None
        assert supervisor.end_strays() == []
    finally:
        for process in (ours, shell, others):
            process.kill()
            process.wait()


def test_supervisor_of_a_deep_home_answers(settings, monkeypatch):
    """A socket's path must fit in 108 bytes; a home's need not."""
    home = settings.home / ("deep" * 30)
    monkeypatch.setenv("CITYLOOM_HOME", str(home))
    supervisor = Supervisor()
    deep = replace(settings, home=home)
    config = services.supervisor_config(deep, {family: {} for family in services.FAMILIES})
    try:
        assert supervisor.apply(config) == []
        assert supervisor.state("mlflow") == "STOPPED"
        assert supervisor.folder.stat().st_mode & 0o777 == 0o700
    finally:
        supervisor.shut_down()
    assert not supervisor.socket.exists()


#: Stand for servers: each does nothing, for long.
SERVERS = """
[program:{name}]
command = /bin/sleep 600
environment = CITYLOOM_SERVICE="{name}",GIVEN="yes"
autostart = false
"""


def test_server_gets_only_what_it_needs_of_the_environment(settings, monkeypatch):
    """A manifest's `token_env` is read by Airflow's tasks; no other server is handed the token."""
    for name in ("PORTAL_TOKEN", "HTTPS_PROXY", "LC_TIME", "MLFLOW_TRACKING_URI", "CITYLOOM_MORE"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("CITYLOOM_OIDC_CLIENT_SECRET", "env:CITY_CLIENT")
    monkeypatch.setenv("CITY_CLIENT", "very-secret")
    config = services.supervisor_config(settings, services.environments(settings))
    names = ("postgres", "mlflow", "superset", "airflow-scheduler")
    programs = "".join(SERVERS.format(name=name) for name in names)
    supervisor = Supervisor()
    supervisor.apply(config.partition("[program:")[0] + programs)
    found = {}
    try:
        for name in names:
            supervisor.start_program(name)
            process = psutil.Process(supervisor.running()[name]["pid"])
            while "/bin/sleep" not in process.cmdline():  # not yet what it becomes
                time.sleep(0.05)
            found[name] = process.environ()
    finally:
        supervisor.shut_down()
    for environment in found.values():
        assert {"PATH", "CITYLOOM_HOME", "LC_TIME", "GIVEN"} <= set(environment)
        assert "MLFLOW_TRACKING_URI" not in environment
        assert not {"CITYLOOM_OIDC_CLIENT_SECRET", "CITY_CLIENT"} & set(environment)
    holders = {variable: {n for n in names if variable in found[n]} for variable in os.environ}
    assert holders["PORTAL_TOKEN"] == {"airflow-scheduler"}
    assert holders["HTTPS_PROXY"] == holders["CITYLOOM_MORE"] == set(names) - {"postgres"}


def test_home_that_supervisor_cannot_have_is_refused(settings):
    with pytest.raises(StackError, match="cannot have %"):
        services.supervisor_config(replace(settings, home=settings.home.parent / "100%"), {})


def test_stale_socket_is_no_running_supervisor(settings):
    supervisor = Supervisor()
    supervisor.folder.mkdir(parents=True)
    supervisor.socket.touch()
    assert supervisor.pid() is None
    assert supervisor.running() == {}


def test_airflow_reaches_its_database_with_libpqs_options_also_asynchronously(settings):
    """By asyncpg, Airflow's own choice, `sslmode` is an unexpected argument."""
    external = replace(settings, database_options="sslmode=require")
    airflow_environment(external)
    parser = configparser.ConfigParser()
    parser.read(settings.home / "airflow" / "airflow.cfg")
    url = make_url(parser["database"]["sql_alchemy_conn_async"])
    assert url.get_driver_name() == "psycopg_async"
    assert url.query == {"sslmode": "require"}
