import psycopg
import pytest

from infra.local import stack
from infra.local.doctor import _database
from infra.local.postgres import throwaway
from infra.local.settings import load_settings
from infra.local.state import StackError, decide_state, state_file
from infra.local.supervise import Supervisor
from warehouse.bootstrap import role_url


def test_external_server_is_prepared_once_and_its_login_not_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("CITYLOOM_HOME", str(tmp_path / "home"))
    with throwaway() as admin:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute("create role deployer login createrole createdb password 'hush'")
        deployer = role_url(admin, "deployer", "hush", "postgres") + "&application_name=cityloom"
        monkeypatch.setenv("CITYLOOM_DATABASE_URL", deployer)
        decide_state()
        monkeypatch.delenv("CITYLOOM_DATABASE_URL")
        settings = load_settings()
        with pytest.raises(StackError, match="set CITYLOOM_DATABASE_URL to a login"):
            stack._prepare_database(settings, None)
        stack._prepare_database(settings, deployer)
        stack._prepare_database(settings, None)  # prepared: no login needed any more
        with psycopg.connect(settings.database_url("analyst")) as connection:
            assert connection.execute("select count(*) from quality.loads").fetchone() == (0,)
            name = connection.execute("select current_setting('application_name')").fetchone()
            assert name == ("cityloom",)
        assert "hush" not in state_file().read_text()
        server, *rights = _database()
        assert server.verdict == "ok" and {finding.verdict for finding in rights} == {"warn"}
        assert "a superuser's login" in rights[0].remedy

        with psycopg.connect(settings.database_url("analyst"), autocommit=True) as connection:
            connection.execute("set default_transaction_read_only = off")
            connection.execute("alter role analyst password 'short'")
        assert "analyst cannot log in" in next(f.found for f in _database() if f.verdict == "bad")
        with pytest.raises(StackError, match="analyst cannot log in"):
            stack._prepare_database(settings, None)
        (restored,) = stack._prepare_database(settings, deployer)
        assert "analyst cannot log in" in restored
        assert len(stack._prepare_database(settings, admin)) == 4  # the functions, per database
        assert [finding.verdict for finding in _database()] == ["ok", "ok"]

        found = {service.name: service for service in stack.status().services}
        assert found["postgres"].up and found["postgres"].detail == "external server"
        assert not found["airflow-scheduler"].up
    wrong = {service.name: service for service in stack.status().services}["postgres"]
    assert not wrong.up and "connection" in wrong.detail
    assert Supervisor().pid() is None
