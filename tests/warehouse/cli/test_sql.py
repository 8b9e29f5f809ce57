"""`cityloom sql` against a real server: what each type becomes in each format."""

import csv
import io
import json
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from cli import main as cli
from infra.state import FIRST_PORTS, LAYOUT, StackError

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
        "layout": LAYOUT,
        "ports": dict(FIRST_PORTS),
        "database": {"host": address.hostname, "port": address.port, "options": ""},
    }
    (tmp_path / "stack.json").write_text(json.dumps(described))
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "postgres_analyst").write_text(warehouse.passwords["analyst"])

    def run(query, form):
        done = CliRunner().invoke(cli.build(), ["sql", query, "--format", form])
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
    assert ask("set search_path = marts; select 1 as a", "csv") == "a\n1\n"


def test_table_shows_every_type(ask):
    said = ask(ODD, "table")
    assert "[1, null, 3]" in said and '{"a": [1.5, "ü"]}' in said and "(1 row)" in said


def test_two_columns_of_one_name_are_not_lost_in_json(ask):
    with pytest.raises(StackError, match="two columns are called 'a'"):
        ask("select 1 as a, 2 as a", "json")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("selec 1", "syntax error"),
        ("set statement_timeout = '50ms'; select pg_sleep(5)", "statement timeout"),
        ("create table marts.mine (n int)", "read-only transaction"),
        ("set transaction read write; create table marts.mine (n int)", "permission denied"),
        ("set search_path = marts", "returns no rows"),
        ("select 1; select 2", "these are 2 queries"),
    ],
)
def test_what_cannot_be_asked_is_a_message(ask, query, said):
    with pytest.raises(StackError, match=said):
        ask(query, "table")
