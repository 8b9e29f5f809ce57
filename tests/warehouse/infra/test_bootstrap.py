from contextlib import ExitStack
from types import SimpleNamespace
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from bench.server import throwaway
from warehouse.bootstrap import OWNERS, READERS, BootstrapError, bootstrap, find_faults, role_url
from warehouse.schema import create_schemas
from warehouse.tiers import protect


def one(url, query):
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchone()[0]


def test_repeating_bootstrap_and_schemas_keeps_data(warehouse):
    with psycopg.connect(warehouse.url) as connection:
        connection.execute("create table marts.kept as select 1 as n")
    bootstrap(warehouse.admin_url, warehouse.passwords)
    create_schemas(warehouse.url)
    assert one(warehouse.url, "select n from marts.kept") == 1


@pytest.mark.parametrize("role", OWNERS)
def test_owner_reaches_its_database_and_no_other(warehouse, role):
    assert one(warehouse.role_url(role), "select current_database()") == role
    other = "airflow" if role == "warehouse" else "warehouse"
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(warehouse.role_url(role, other))


@pytest.mark.parametrize("role", READERS)
def test_reader_reads_marts_and_writes_nothing(warehouse, role):
    with psycopg.connect(warehouse.url) as connection:
        connection.execute(f"create table marts.seen_by_{role} as select 7 as n")
        protect(connection, f"marts.seen_by_{role}", "open")
    url = warehouse.role_url(role)
    assert one(url, f"select n from marts.seen_by_{role}") == 7
    with psycopg.connect(url) as connection:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute(f"delete from marts.seen_by_{role}")
        connection.rollback()
        connection.execute("set transaction read write")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"delete from marts.seen_by_{role}")


def test_dashboards_do_not_see_raw(warehouse):
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        one(warehouse.role_url("dashboards"), "select count(*) from ml.champion")
    assert one(warehouse.role_url("analyst"), "select count(*) from ml.champion") == 0


def test_scores_are_restricted_for_they_hold_hashes_of_restricted_texts(warehouse):
    query = "select count(text_hash) from ml.feedback_score"
    for role in ("analyst", "cio", "reader_open", "department_head"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            one(warehouse.role_url(role), query)
    for role in ("ml_engineer", "data_engineer", "warehouse"):
        assert one(warehouse.role_url(role), query) == 0


def test_wrong_password_is_refused_and_stored_ones_are_scram(warehouse):
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(role_url(warehouse.admin_url, "warehouse", "wrong"))
    stored = one(
        warehouse.admin_url,
        "select bool_and(rolpassword like 'SCRAM-SHA-256$%') from pg_authid where rolcanlogin",
    )
    assert stored is True


def test_admin_who_is_no_superuser_suffices():
    with throwaway() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("create role deployer login createrole createdb password 'd'")
            connection.execute("create role nobody_special login password 'n'")
        passwords = {role: f"p:@/{role}" for role in (*OWNERS, *READERS)}
        with pytest.raises(BootstrapError, match="alter role nobody_special createrole createdb"):
            bootstrap(role_url(url, "nobody_special", "n", "postgres"), passwords)
        deployer = role_url(url, "deployer", "d", "postgres")
        bootstrap(deployer, passwords)
        bootstrap(deployer, passwords)
        create_schemas(role_url(url, "warehouse", passwords["warehouse"]))
        assert one(role_url(url, "analyst", passwords["analyst"]), "select 1") == 1


def test_what_another_program_has_on_a_shared_server_is_left_alone():
    passwords = {role: f"p-{role}" for role in (*OWNERS, *READERS)}
    with throwaway() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("create role airflow login password 'theirs'")
            connection.execute("create database superset")
        with pytest.raises(BootstrapError, match="role airflow, database superset: on this server"):
            bootstrap(url, passwords)
        theirs = role_url(url, "airflow", "theirs", "postgres")
        assert one(theirs, "select current_user") == "airflow"
        assert one(url, "select count(*) from pg_roles where rolname = 'warehouse'") == 0


@pytest.fixture(scope="module")
def own_server():
    """A server for tests that damage roles and restore them: its admin's URL and a role's."""
    with throwaway() as url:
        passwords = {role: f"test-{role}" for role in (*OWNERS, *READERS)}

        def restore():
            bootstrap(url, passwords, own_server=True)
            create_schemas(role_url(url, "warehouse", passwords["warehouse"]))

        restore()
        yield SimpleNamespace(
            admin=url, restore=restore, url=lambda role: role_url(url, role, passwords[role])
        )


def texts(server):
    return [fault.text for fault in find_faults(server.url)]


def by_itself(server, role, *statements):
    """Run statements as a reader would in a client of its own, each committed."""
    with psycopg.connect(server.url(role), autocommit=True) as connection:
        connection.execute("set default_transaction_read_only = off")
        for statement in statements:
            connection.execute(statement)


DAMAGE = {
    "alter role analyst password 'short'": "analyst cannot log in: password authentication failed",
    "alter role analyst set default_transaction_read_only = off": (
        "analyst begins with default_transaction_read_only = off, not on"
    ),
    "alter role dashboards reset statement_timeout": (
        "dashboards begins with statement_timeout = its default, not 10min"
    ),
    "alter role analyst set work_mem = '2GB'": "analyst begins with work_mem = 2GB, not the",
    "alter role analyst in database warehouse set lock_timeout = 0": (
        "analyst begins with lock_timeout in database warehouse = 0, not the default"
    ),
}


@pytest.mark.parametrize("statement", DAMAGE)
def test_what_a_reader_changes_about_itself_is_found_and_restored(own_server, statement):
    assert texts(own_server) == []
    by_itself(own_server, statement.split()[2], statement)
    (found,) = texts(own_server)
    assert DAMAGE[statement] in found
    own_server.restore()
    assert texts(own_server) == []


def test_what_an_administrator_changed_is_found_and_restored(own_server):
    damage = {
        "alter role analyst superuser": "analyst has the attribute superuser",
        "alter role dashboards createdb": "dashboards may make roles or databases",
        "alter role analyst connection limit -1": "analyst may hold -1 connections, not 40",
        "grant pg_read_all_data to dashboards": "dashboards is a member of pg_read_all_data",
        "alter role mlflow valid until '2020-01-01'": "mlflow cannot log in",
        "alter role superset nologin": "superset cannot log in",
        "grant connect on database airflow to public": "every login has the right connect on data",
    }
    with psycopg.connect(own_server.admin, autocommit=True) as connection:
        for statement in damage:
            connection.execute(statement)
    found = "\n".join(texts(own_server))
    for fault in damage.values():
        assert fault in found
    own_server.restore()
    assert texts(own_server) == []


def test_what_readers_may_read_is_found_and_restored(own_server):
    with psycopg.connect(own_server.url("warehouse")) as connection:
        connection.execute("create table marts.closed as select 1 as n")
        protect(connection, "marts.closed", "open")
        connection.execute("revoke select on marts.closed from dashboards")
        connection.execute("grant usage on schema quality to dashboards")
        connection.execute("grant select on quality.quarantine to dashboards")
        connection.execute("create table marts.undeclared as select 1 as n")
        connection.execute("grant insert on marts.undeclared to analyst")
        connection.execute(
            "alter default privileges in schema quality grant select on tables to dashboards"
        )
    found = "\n".join(texts(own_server))
    assert "dashboards reads schema quality" in found
    assert "dashboards may read tables to come in schema quality" in found
    for relation in ("marts.closed", "marts.undeclared", "quality.quarantine"):
        assert f"{relation} otherwise than its tier says" in found
    own_server.restore()
    assert texts(own_server) == []


ATTACKS = (
    "select lo_from_bytea(0, 'left behind')",
    "select lo_create(0)",
    "select pg_advisory_lock(hashtext('cityloom.load'), hashtext('demo.permits'))",
    "select pg_try_advisory_xact_lock_shared(1)",
    "select pg_logical_emit_message(false, 'x', repeat('x', 1000000))",
    "set temp_file_limit = -1",
    "alter role current_user set temp_file_limit = -1",
    "create temporary table mine (n int)",
    "create table public.mine (n int)",
    # a text that runs as SQL, in a page's expression as well
    "select query_to_xml('select 1', true, true, '')",
    "select query_to_xmlschema('select 1', true, true, '')",
    "select query_to_xml_and_xmlschema('select 1', true, true, '')",
    "select table_to_xml('pg_class', true, true, '')",
    "select cursor_to_xml('c', 1, true, true, '')",
    "select schema_to_xml('marts', true, true, '')",
    "select database_to_xml(true, true, '')",
    "select ts_rewrite('a'::tsquery, 'select ''a''::tsquery, ''b''::tsquery')",
    "select * from ts_stat('select ''a''::tsvector')",
    "select * from ts_stat('select ''a''::tsvector', 'a')",
    # what others do, and how often a policy's table was scanned
    "select query from pg_stat_activity",
    "select pg_stat_get_numscans('access.source'::regclass)",
    "select pg_stat_get_xact_numscans('access.source'::regclass)",
    "select * from pg_stat_user_tables",
    "select * from pg_locks",
    "select pg_notify('channel', 'a secret')",
    # what a planted query could tell by, as it runs for another
    "select pg_current_xact_id()",
    "select pg_current_xact_id_if_assigned()",
    "select pg_current_snapshot()",
    "select pg_export_snapshot()",
    "select pg_xact_status('1')",
    "select txid_current()",
    "select txid_current_snapshot()",
    "select txid_status(1)",
    "select pg_sleep(0)",
    "select pg_sleep_for('0 s')",
    "select pg_terminate_backend(1)",
    "select pg_cancel_backend(1)",
)


@pytest.mark.parametrize("role", READERS)
@pytest.mark.parametrize("statement", ATTACKS)
def test_a_reader_neither_stores_nor_locks_anything(warehouse, role, statement):
    with psycopg.connect(warehouse.role_url(role), autocommit=True) as connection:
        connection.execute("set default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


@pytest.mark.parametrize("role", READERS)
def test_a_reader_cannot_fill_the_disk_with_temporary_files(own_server, role):
    by_itself(own_server, role, f"alter role {role} reset all")
    assert one(own_server.url(role), "show temp_file_limit") == "4GB"
    own_server.restore()
    with psycopg.connect(own_server.admin, autocommit=True) as connection:
        connection.execute(f"alter role {role} set temp_file_limit = '-1'")
    assert texts(own_server) == [f"{role} begins with temp_file_limit = -1, not 4GB"]
    own_server.restore()
    assert texts(own_server) == []


def test_a_reader_enters_no_database_but_the_warehouse(own_server):
    for database in ("postgres", "template1", "airflow"):
        url = urlunsplit(urlsplit(own_server.url("analyst"))._replace(path=f"/{database}"))
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(url)


def test_owners_keep_the_locks_that_readers_lost(warehouse):
    for role in OWNERS:
        assert one(warehouse.role_url(role), "select pg_try_advisory_lock(1)") is True
        assert one(warehouse.role_url(role), "select count(*) > 0 from pg_stat_activity")
        assert one(warehouse.role_url(role), "select count(*) > 0 from pg_locks")
    assert one(warehouse.url, "select lo_unlink(lo_from_bytea(0, 'kept'))") == 1


def test_readers_leave_connections_for_the_loader(warehouse):
    with ExitStack() as sessions:
        with pytest.raises(
            psycopg.OperationalError, match='too many connections for role "analyst"'
        ):
            for _ in range(130):
                sessions.enter_context(psycopg.connect(warehouse.role_url("analyst")))
        assert one(warehouse.url, "select 1") == 1
        assert find_faults(warehouse.role_url) == []  # a busy role is none that must be restored


@pytest.mark.parametrize("role", READERS)
def test_a_readers_session_ends_by_itself(warehouse, role):
    assert one(
        warehouse.role_url(role),
        "select bool_and(setting::bigint > 0) from pg_settings where name in ('statement_timeout',"
        " 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout',"
        " 'idle_session_timeout')",
    )


def test_dashboards_read_neither_quarantine_nor_messages(warehouse):
    url = warehouse.role_url("dashboards")
    with psycopg.connect(warehouse.url) as connection:
        connection.execute("create table quality.later (n int)")
        connection.execute("create view reporting.shown as select message from quality.loads")
        protect(connection, "reporting.shown", "open")
    try:
        for table in ("quarantine", "loads", "dbt_results", "later"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                one(url, f"select count(*) from quality.{table}")
        assert one(url, "select count(*) from reporting.shown") == 0
    finally:
        with psycopg.connect(warehouse.url) as connection:
            connection.execute("drop table quality.later; drop view reporting.shown")


def test_without_a_superuser_what_stays_open_is_named():
    with throwaway() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("create role deployer login createrole createdb password 'd'")
        passwords = {role: f"p-{role}" for role in (*OWNERS, *READERS)}
        bootstrap(role_url(url, "deployer", "d", "postgres"), passwords)
        create_schemas(role_url(url, "warehouse", passwords["warehouse"]))
        found = find_faults(lambda role: role_url(url, role, passwords[role]))
        assert found and all(fault.needs_superuser for fault in found)
        named = "\n".join(fault.text for fault in found)
        assert "every login that enters database warehouse may execute" in named
        assert "before the policy that hides them" in named
        assert "analyst begins with temp_file_limit = its default, not 4GB" in named
