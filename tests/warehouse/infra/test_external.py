import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from bench.server import throwaway
from infra.local import stack
from infra.local.doctor import _database
from infra.local.settings import load_settings
from infra.local.state import StackError, decide_state, state_file
from infra.local.supervise import Supervisor
from warehouse import bootstrap
from warehouse.bootstrap import OWNERS, READERS, role_url


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
            stack.prepare_database(settings, None)
        stack.prepare_database(settings, deployer)
        stack.prepare_database(settings, None)  # prepared: no login needed any more
        with psycopg.connect(settings.database_url("analyst")) as connection:
            assert connection.execute("select count(*) from quality.loads").fetchone() == (0,)
            name = connection.execute("select current_setting('application_name')").fetchone()
            assert name == ("cityloom",)
        assert "hush" not in state_file().read_text()
        server, *rights = _database(settings)
        assert server.verdict == "ok" and {finding.verdict for finding in rights} == {"warn"}
        assert "a superuser's login" in rights[0].remedy

        with psycopg.connect(settings.database_url("analyst"), autocommit=True) as connection:
            connection.execute("set default_transaction_read_only = off")
            connection.execute("alter role analyst password 'short'")
        assert "analyst cannot log in" in next(
            f.found for f in _database(settings) if f.verdict == "bad"
        )
        with pytest.raises(StackError, match="analyst cannot log in"):
            stack.prepare_database(settings, None)
        (restored,) = stack.prepare_database(settings, deployer)
        assert "analyst cannot log in" in restored
        # A superuser takes functions away, in each database, limits each reader, and has policies
        # come before filters.
        limits = sum(len(bootstrap._limits(reader)) for reader in READERS)
        assert len(stack.prepare_database(settings, admin)) == len(OWNERS) + limits + 1
        assert [finding.verdict for finding in _database(settings)] == ["ok", "ok"]
        _assert_who_holds_up_a_build_is_named(settings)

        found = {service.name: service for service in stack.status().services}
        assert found["postgres"].up and found["postgres"].detail == "external server"
        assert not found["airflow-scheduler"].up
    wrong = {service.name: service for service in stack.status().services}["postgres"]
    assert not wrong.up and "connection" in wrong.detail
    assert Supervisor().pid() is None


def _assert_who_holds_up_a_build_is_named(settings):
    def replace():
        with psycopg.connect(settings.database_url("warehouse")) as connection:
            connection.execute("alter table quality.loads rename to loads_2")
            connection.rollback()

    with psycopg.connect(settings.database_url("analyst")) as reader, ThreadPoolExecutor() as pool:
        reader.execute("select from quality.loads")
        build = pool.submit(replace)
        deadline = time.monotonic() + 60
        while len(found := list(_database(settings))) < 3 and time.monotonic() < deadline:
            assert not build.done()
        pid = reader.info.backend_pid
        reader.rollback()
        build.result()
    assert (found[1].verdict, found[1].found) == (
        "bad",
        f"a session of analyst (pid {pid}) holds up 1 of the loads and builds",
    )
    assert str(pid) in found[1].remedy
