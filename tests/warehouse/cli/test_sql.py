"""`cityloom sql` against a real server: what each type becomes in each format."""

import csv
import io
import json
from urllib.parse import urlsplit

import psycopg
import pytest
from typer.testing import CliRunner

from cli import main as cli
from infra.local.settings import describe, settings_from
from infra.local.state import FIRST_PORTS
from warehouse.bootstrap import find_faults
from warehouse.query import QueryError

ODD = """
select 1::int as n, 1.50::numeric as amount, 'NaN'::numeric as unknown, 'Infinity'::float8 as far,
  array[1, null, 3] as list, '{"a": [1.5, "ü"]}'::jsonb as object, '\\x00ff'::bytea as bytes,
  date '2024-02-29' as day, timestamptz '2024-02-29 12:00+00' as moment, null::text as nothing,
  'a "b", Straße 市' as text, true as yes
"""


@pytest.fixture
def ask(warehouse, tmp_path, monkeypatch):
    """Ask the test's server as `cityloom sql` would."""
    monkeypatch.setenv("CITYLOOM_HOME", str(tmp_path))
    address = urlsplit(warehouse.admin_url)
    described = {
        "ports": dict(FIRST_PORTS),
        "database": {"host": address.hostname, "port": address.port, "options": ""},
    }
    deployment = describe(settings_from(tmp_path, described))
    (tmp_path / "deployment.json").write_text(json.dumps(deployment))
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "postgres_analyst").write_text(warehouse.passwords["analyst"])

    def run(query, form, *options):
        done = CliRunner().invoke(cli.build(), ["sql", query, "--format", form, *options])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.stdout

    return run


def test_json_parses_whatever_the_types(ask):
    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    (row,) = json.loads(ask(ODD, "json"), parse_constant=refuse)
    assert row == {
        "n": 1,
        "amount": 1.5,
        "unknown": "NaN",
        "far": "inf",
        "list": [1, None, 3],
        "object": {"a": [1.5, "ü"]},
        "bytes": "\\x00ff",
        "day": "2024-02-29",
        "moment": "2024-02-29 12:00:00+00:00",
        "nothing": None,
        "text": 'a "b", Straße 市',
        "yes": True,
    }
    assert json.loads(ask("select 1 as a where false", "json")) == []


def test_csv_holds_arrays_and_objects_as_json(ask):
    (row,) = csv.DictReader(io.StringIO(ask(ODD, "csv")))
    assert json.loads(row["list"]) == [1, None, 3]
    assert json.loads(row["object"]) == {"a": [1.5, "ü"]}
    assert (row["nothing"], row["amount"], row["bytes"]) == ("", "1.50", "\\x00ff")
    assert ask("select 1 as a where false", "csv") == "a\n"
    assert ask("select '%s' as a, 1 % 2 as b; -- one statement\n;", "csv") == "a,b\n%s,1\n"


def test_table_shows_every_type(ask):
    shown = ask(ODD, "table")
    assert "[1, null, 3]" in shown and '{"a": [1.5, "ü"]}' in shown and "(1 row)" in shown


def test_two_columns_of_one_name_are_not_lost_in_json(ask):
    with pytest.raises(QueryError, match="two columns are called 'a'"):
        ask("select 1 as a, 2 as a", "json")


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("selec 1", "syntax error"),
        ("create table marts.mine (n int)", "read-only transaction"),
        ("alter role analyst password 'short'", "read-only transaction"),
        ("set search_path = marts", "returns no rows"),
        ("commit", "returns no rows"),
        ("select 1; select 2", "several statements; .* `--set search_path=marts`"),
        ("set search_path = marts; select 1", "several statements"),
    ],
)
def test_what_cannot_be_asked_is_a_message(ask, query, error):
    with pytest.raises(QueryError, match=error):
        ask(query, "table")


def test_settings_are_for_one_query(ask):
    query = "select current_setting('search_path') as path, current_setting('work_mem') as memory"
    options = ("--set", "search_path=marts", "--set", "work_mem = 1MB")
    assert ask(query, "csv", *options) == "path,memory\nmarts,1MB\n"
    with pytest.raises(QueryError, match="statement timeout"):
        ask(
            "select count(*) from generate_series(1, 1000000000)",
            "csv",
            "--set",
            "statement_timeout=50ms",
        )
    with pytest.raises(QueryError, match="no_such_setting"):
        ask("select 1", "csv", "--set", "no_such_setting=1")
    with pytest.raises(QueryError, match="must be set before any query"):
        ask("select 1", "csv", "--set", "transaction_read_only=off")
    assert ask("explain select 1", "csv").startswith("QUERY PLAN\n")
    assert ask("show work_mem", "csv", "--set", "work_mem=1MB") == "work_mem\n1MB\n"


ATTACKS = (
    "set transaction_read_only=off; alter role analyst password 'short'",
    "commit; set default_transaction_read_only=off; alter role analyst password 'short'",
    "rollback and no chain; alter role analyst set default_transaction_read_only = off; select 1",
    "alter role analyst set default_transaction_read_only = off",
    "do $$ begin perform set_config('transaction_read_only', 'off', false); "
    "execute 'alter role analyst password ''short'''; end $$",
    "do $$ begin commit; execute 'alter role analyst password ''short'''; end $$",
    "select set_config('transaction_read_only', 'off', false), lo_from_bytea(0, 'left')",
    "select pg_advisory_lock(1)",
    "explain analyze create table marts.mine as select 1",
)


@pytest.mark.parametrize("query", ATTACKS)
def test_a_query_leaves_nothing_behind(ask, warehouse, query):
    with pytest.raises(QueryError):
        ask(query, "table")
    assert ask("select 1 as one", "csv") == "one\n1\n"
    assert find_faults(warehouse.role_url) == []
    with psycopg.connect(warehouse.admin_url.rpartition("/")[0] + "/warehouse") as connection:
        left = "select count(*) from pg_largeobject_metadata"
        assert connection.execute(left).fetchone() == (0,)


#: Clears the screen, sets the window's title, turns text around; and formulas.
HOSTILE = r"""
select E'a\x1b[2J\u009b2Jb\x1b]0;t\x07\u202e' as text, '=HYPERLINK("http://x")' as formula,
  -5 as n, -1.5::numeric as amount, '-5' as digits, '+49 30 12' as phone, E'\t=1' as tab,
  '@x' as at, 1 as "=name", 1 as "{escape}[31mred"
""".replace("{escape}", "\x1b")
COMMANDS = set("\x1b\x9b\x07\u202e")


def test_data_cannot_command_a_terminal_or_a_spreadsheet(ask):
    for form in ("table", "csv"):
        shown = ask(HOSTILE, form)
        assert not set(shown) & COMMANDS
        assert r"a\x1b[2J\x9b2Jb\x1b]0;t\x07\u202e" in shown and r"\x1b[31mred" in shown
    (row,) = csv.DictReader(io.StringIO(ask(HOSTILE, "csv")))
    assert row["formula"] == """'=HYPERLINK("http://x")""" and row["'=name"] == "1"
    assert (row["n"], row["amount"], row["digits"]) == ("-5", "-1.5", "-5")
    assert (row["phone"], row["tab"], row["at"]) == ("'+49 30 12", "'\t=1", "'@x")


def test_for_machines_data_is_exact(ask):
    (row,) = csv.DictReader(io.StringIO(ask(HOSTILE, "csv", "--exact")))
    (same,) = json.loads(ask(HOSTILE, "json"))
    for found in (row, same):
        assert found["text"] == "a\x1b[2J\x9b2Jb\x1b]0;t\x07\u202e"
        assert found["formula"] == '=HYPERLINK("http://x")'
    assert not set(ask(HOSTILE, "json")) & COMMANDS
