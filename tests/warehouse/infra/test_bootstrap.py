import psycopg
import pytest

from infra.postgres import throwaway
from warehouse.bootstrap import OWNERS, READERS, BootstrapError, bootstrap, role_url
from warehouse.schema import create_schemas


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
        one(warehouse.role_url("dashboards"), "select count(*) from ml.feedback_score")
    assert one(warehouse.role_url("analyst"), "select count(*) from ml.feedback_score") == 0


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
