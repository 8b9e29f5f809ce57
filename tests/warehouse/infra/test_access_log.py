"""Who read a restricted relation, by the server's log, whatever way the statement took."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from bench.server import throwaway
from extract.manifests import load_cities
from infra.local import postgres
from warehouse import people
from warehouse.access_log import lines_of, reads
from warehouse.bootstrap import role_url
from warehouse.tiers import declare_cities, protect

MAIL = "raw.demo__email_comments"


@pytest.fixture(scope="module")
def house(warehouse):
    """A restricted source's table, one of an open source, a restricted report; and two people."""
    declare_cities(warehouse.url, load_cities().cities)
    tables = {
        MAIL: "source",
        "raw.demo__app_reviews": "source",
        "marts.secrets": "restricted",
        "marts.opened": "open",
    }
    with psycopg.connect(warehouse.url) as connection:
        for table, tier in tables.items():
            connection.execute(f"create table {table} as select 'a text' as body")
            protect(connection, table, tier)
    people.ensure_login(warehouse.admin_url, "ines", "data_engineer", "i")
    people.ensure_login(warehouse.admin_url, "ana", "analyst", "a")
    yield warehouse
    for name in ("ines", "ana"):
        people.remove_login(warehouse.admin_url, name)


def noted(house, login, *statements):
    """The reads that the log has of statements, as (person, relation, statement)."""
    password = {"ines": "i", "ana": "a"}.get(login) or house.passwords[login]
    with house.log.open(newline="\n") as log:
        log.seek(0, 2)
        url = role_url(house.admin_url, login, password, "warehouse")
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)
        return [(read.person, read.relation, read.statement) for read in reads(log)]


FORGED = "2026-11-26 17:00:00.000 UTC [813] bob@warehouse LOG:  cityloom: read of marts.secrets"


@pytest.mark.parametrize("end", ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\n"])
def test_a_statement_can_neither_forge_a_line_nor_hide_its_own_text(house, end):
    space = end if end in "\r\x0b\x0c\n" else " "  # what SQL takes for space
    query = f"select{space}body from {MAIL} /*{end}{FORGED}{end}*/"
    noted(house, "ines", query)
    found = [read for read in reads(lines_of(house.log)) if query in read.statement]
    assert [(read.person, read.relation) for read in found] == [("ines", MAIL)]
    assert not [read for read in reads(lines_of(house.log)) if read.person == "bob"]


@pytest.mark.parametrize("relation", [MAIL, "marts.secrets"])
def test_a_read_is_noted_with_person_relation_and_statement(house, relation):
    query = f"select body\n  from {relation}\n  where body = 'a text'"
    assert noted(house, "ines", query) == [("ines", relation, query)]


@pytest.mark.parametrize(
    "statement",
    [
        "do $$ begin execute 'select * from raw.demo__email' || '_comments'; end $$",
        'select * from raw.U&"\\0064emo__email_comments"',
        "copy raw.demo__email_comments to stdout",
        "select * from raw.demo__app_reviews where body in (table raw.demo__email_comments)",
        "explain analyze select count(*) from raw.demo__email_comments",
    ],
)
def test_no_way_of_saying_it_hides_a_read(house, statement):
    if statement.startswith("copy"):
        statement = f"do $$ begin perform 1; end $$; {statement}"
    with house.log.open(newline="\n") as log:
        log.seek(0, 2)
        url = role_url(house.admin_url, "ines", "i", "warehouse")
        with psycopg.connect(url, autocommit=True) as connection:
            if "copy" in statement:
                with connection.cursor().copy(statement.split("; ")[-1]) as copy:
                    list(copy)
            else:
                connection.execute(statement)
        found = list(reads(log))
    assert [(read.person, read.relation) for read in found] == [("ines", MAIL)]


def test_what_holds_nothing_restricted_is_not_noted(house):
    query = "select * from raw.demo__app_reviews, marts.opened"
    assert noted(house, "ines", query) == []
    assert noted(house, "ana", query) == []


def test_a_name_that_the_client_gives_itself_is_not_believed(house):
    forged = (
        "set application_name = 'superset:ana'",
        f"/* superset:ana */ select * from {MAIL}",
    )
    assert [person for person, _, _ in noted(house, "ines", *forged)] == ["ines"]


def test_a_statement_cannot_forge_a_line_of_the_log(house):
    line = "2026-01-01 00:00:00.000 UTC [1] ana@warehouse LOG:  cityloom: read of marts.secrets"
    query = f"select * from {MAIL} /*\n{line}\n2026-01-01 00:00:00.000 UTC [1] STATEMENT:  x*/"
    found = noted(house, "ines", query)
    assert found == [("ines", MAIL, query)]


def test_the_user_of_superset_is_the_first_comment_of_a_roles_login(house):
    query = f"/* superset:ines */ /* superset:ana */ select * from {MAIL}"
    expected = [("ines", MAIL, f"/* superset:ana */ select * from {MAIL}")]
    assert noted(house, "data_engineer", query) == expected
    assert noted(house, "data_engineer", f"select * from {MAIL}")[0][0] == "data_engineer"


def test_what_superset_fetches_by_a_cursor_is_its_users(house):
    """As its driver does for a large file: the server reads with a FETCH that names nobody."""
    query = f"/* superset:ines */ select * from {MAIL}"
    statements = (
        "begin",
        f'DECLARE "c_1" CURSOR WITHOUT HOLD FOR {query}',
        'FETCH FORWARD 100 FROM "c_1"',
        "commit",
    )
    found = noted(house, "data_engineer", *statements)
    assert found == [("ines", MAIL, f"select * from {MAIL}")]
    forged = (
        "begin",
        f"/* superset:ines */ {statements[1]}",
        f"/* superset:ines */ {statements[2]}",
    )
    assert [person for person, _, _ in noted(house, "data_engineer", *forged)] == ["ines"]


def test_nobody_switches_it_off(house):
    for login in ("ines", "data_engineer"):
        for setting in ("log_min_messages", "log_min_error_statement", "log_statement"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                noted(house, login, f"set {setting} = 'panic'")


def test_a_source_that_becomes_restricted_is_noted_from_its_next_protection(house):
    with psycopg.connect(house.url) as connection:
        connection.execute(
            "update access.source set tier = 'restricted' where source_id = 'app_reviews'"
        )
        protect(connection, "raw.demo__app_reviews", "source")
    try:
        query = "select * from raw.demo__app_reviews"
        assert noted(house, "ines", query) == [("ines", "raw.demo__app_reviews", query)]
    finally:
        declare_cities(house.url, load_cities().cities)


def test_long_messages_of_others_neither_cut_nor_forge_a_line():
    """As the stack's server writes its log. Through a pipe, one in ten reads was lost."""

    def write(url: str, statement: str, times: int) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            for _ in range(times):
                connection.execute(statement)

    note = "do $$ begin raise log 'cityloom: read of marts.secrets'; end $$"
    padding = FORGED.rjust(65_536 * 3, "x")
    with throwaway(settings="logging_collector=on\nlog_statement=all\n") as admin_url:
        with psycopg.connect(admin_url, autocommit=True) as connection:
            connection.execute("create database warehouse")
            ((data,),) = connection.execute("show data_directory").fetchall()
        url = admin_url.replace("/postgres?", "/warehouse?")
        with ThreadPoolExecutor() as pool:
            writers = [pool.submit(write, url, f"select 1 -- {padding}", 100) for _ in range(3)]
            writers.append(pool.submit(write, url, note, 100))
            for writer in writers:
                writer.result()
        (log,) = postgres.logs(Path(data).parent)
        found = list(reads(lines_of(log)))
    assert [read.person for read in found] == ["postgres"] * 100
