"""People's own logins on PostgreSQL, and those of departments' heads."""

from threading import Thread

import psycopg
import pytest

from warehouse import people
from warehouse.bootstrap import BootstrapError, bootstrap, find_faults, role_url
from warehouse.tiers import department_role, protect

HEAD = department_role("demo", "roads")


@pytest.fixture
def ana(warehouse):
    yield lambda password: role_url(warehouse.admin_url, "ana", password, "warehouse")
    people.remove_login(warehouse.admin_url, "ana")


def one(url, query):
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchone()[0]


def test_a_person_reads_as_the_role_and_leaves_nothing_behind(warehouse, ana):
    people.ensure_login(warehouse.admin_url, "ana", "analyst", "first")
    with psycopg.connect(warehouse.url) as connection:
        connection.execute("create table if not exists marts.internal as select 1 as n")
        connection.execute("create table if not exists marts.restricted as select 1 as n")
        protect(connection, "marts.internal", "internal")
        protect(connection, "marts.restricted", "restricted")
    assert one(ana("first"), "select n from marts.internal") == 1
    for query in (
        "select n from marts.restricted",
        "set role data_engineer",
        "set temp_file_limit = -1",
        "select pg_try_advisory_lock(1)",
        "set role analyst",
        "set session authorization analyst",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            one(ana("first"), query)
    assert one(ana("first"), "show default_transaction_read_only") == "on"
    assert one(ana("first"), "show temp_file_limit") == "4GB"
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(role_url(warehouse.admin_url, "ana", "first", "airflow"))
    assert find_faults(warehouse.role_url) == []


def test_a_person_does_not_change_the_password_of_the_role_that_others_log_in_by(warehouse, ana):
    people.ensure_login(warehouse.admin_url, "ana", "analyst", "first")
    people.ensure_department(warehouse.admin_url, HEAD, "h")
    head = role_url(warehouse.admin_url, HEAD, "h", "warehouse")
    try:
        for url, role in ((ana("first"), "analyst"), (head, "department_head")):
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("set default_transaction_read_only = off")
                for statement in (f"set role {role}", f"alter role {role} password 'mine'"):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        connection.execute(statement)
        assert one(warehouse.role_url("analyst"), "select current_user") == "analyst"
    finally:
        people.remove_department(warehouse.admin_url, HEAD)


def test_an_older_server_where_a_member_always_may_act_gives_no_login(warehouse, ana, monkeypatch):
    monkeypatch.setattr(people, "may_forbid_acting", lambda connection: False)
    with pytest.raises(BootstrapError, match="need PostgreSQL 16 or newer"):
        people.ensure_login(warehouse.admin_url, "ana", "analyst", "first")
    assert "ana" not in people.logins(warehouse.admin_url)


def test_up_takes_the_way_to_act_as_the_role_from_logins_of_an_earlier_version(warehouse, ana):
    people.ensure_login(warehouse.admin_url, "ana", "analyst", "first")
    with psycopg.connect(warehouse.admin_url, autocommit=True) as connection:
        connection.execute("grant analyst to ana with inherit true, set true")
    assert [fault.text for fault in find_faults(warehouse.role_url)] == [
        "ana may act as analyst, and change its password"
    ]
    bootstrap(warehouse.admin_url, warehouse.passwords)
    assert find_faults(warehouse.role_url) == []
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        one(ana("first"), "set role analyst")
    assert one(ana("first"), "select has_table_privilege('quality.loads', 'select')") is True


def test_another_role_and_password_replace_the_ones_before(warehouse, ana):
    people.ensure_login(warehouse.admin_url, "ana", "data_engineer", "first")
    assert one(ana("first"), "show log_statement") == "all"
    people.ensure_login(warehouse.admin_url, "ana", "analyst", "second")
    assert people.logins(warehouse.admin_url)["ana"] == "analyst"
    assert one(ana("second"), "select pg_has_role('data_engineer', 'member')") is False
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(ana("first"))


def test_a_removed_person_is_out_at_once(warehouse, ana):
    people.ensure_login(warehouse.admin_url, "ana", "analyst", "first")
    with psycopg.connect(ana("first")) as session:
        people.remove_login(warehouse.admin_url, "ana")
        with pytest.raises(psycopg.OperationalError):
            session.execute("select 1")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(ana("first"))
    assert "ana" not in people.logins(warehouse.admin_url)
    people.remove_login(warehouse.admin_url, "ana")


def test_a_person_who_set_default_privileges_can_be_removed(warehouse, ana):
    people.ensure_login(warehouse.admin_url, "ana", "analyst", "first")
    with psycopg.connect(ana("first")) as session:
        session.execute("set transaction read write")
        session.execute("alter default privileges grant select on tables to public")
    people.remove_login(warehouse.admin_url, "ana")
    assert one(warehouse.admin_url, "select count(*) from pg_roles where rolname = 'ana'") == 0


def test_roles_that_are_nobodys_are_neither_taken_nor_removed(warehouse):
    with psycopg.connect(warehouse.admin_url) as connection:
        connection.execute("create role theirs login")
    try:
        with pytest.raises(BootstrapError, match="theirs: a role of another program"):
            people.ensure_login(warehouse.admin_url, "theirs", "analyst", "x")
        people.remove_login(warehouse.admin_url, "theirs")
        assert one(warehouse.admin_url, "select count(*) from pg_roles where rolname = 'theirs'")
    finally:
        with psycopg.connect(warehouse.admin_url) as connection:
            connection.execute("drop role theirs")


@pytest.mark.parametrize("name", ["analyst", "postgres", "pg_x", "head_a__b", "Ana", "a", "a b"])
def test_names_of_roles_are_no_names_of_people(name):
    assert not people.is_name(name)
    assert people.is_name("ana") and people.is_name("ana_2")


def test_a_departments_login_knows_its_department(warehouse):
    people.ensure_department(warehouse.admin_url, HEAD, "pw")
    try:
        url = role_url(warehouse.admin_url, HEAD, "pw", "warehouse")
        with psycopg.connect(url) as connection:
            found = connection.execute("select * from access.my_department").fetchall()
        assert found == [("demo", "roads")]
    finally:
        with psycopg.connect(warehouse.admin_url) as connection:
            connection.execute(f"drop role {HEAD}")


def test_one_change_of_logins_waits_for_the_other(warehouse):
    admin_url, order = warehouse.admin_url, []

    def second() -> None:
        with people.one_change_at_a_time(admin_url):
            order.append("second")

    beside = Thread(target=second)
    with people.one_change_at_a_time(admin_url), psycopg.connect(admin_url) as looking:
        beside.start()
        waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        while looking.execute(waiting).fetchone() == (0,):
            assert beside.is_alive()
        order.append("first")
    beside.join()
    assert order == ["first", "second"]
