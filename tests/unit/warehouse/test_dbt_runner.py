from __future__ import annotations

import psycopg2
import pytest

from tests.builders import asks_for_the_password
from warehouse.dbt import DbtSummary, NodeOutcome, _without_rows, environment


def outcome(status: str, kind: str = "model", **more) -> NodeOutcome:
    given = {"rows_affected": None, "failures": None, "message": None, **more}
    return NodeOutcome(f"{kind}.cityloom.x", kind, "x", status, 0.1, **given)


def test_profile_gets_what_the_url_says_unescaped():
    variables = environment("postgresql://warehouse:p%40ss%2Fword@127.0.0.1:5999/city")
    assert variables["CITYLOOM_DBT_HOST"] == "127.0.0.1"
    assert variables["CITYLOOM_DBT_PORT"] == "5999"
    assert variables["CITYLOOM_DBT_USER"] == "warehouse"
    assert variables["CITYLOOM_DBT_PASSWORD"] == "p@ss/word"
    assert variables["CITYLOOM_DBT_DBNAME"] == "city"
    assert variables["DBT_SEND_ANONYMOUS_USAGE_STATS"] == "false"


def test_what_is_recorded_of_a_failure_quotes_no_key_and_no_row():
    """Analysts read it, whatever the tier of the row that failed."""
    message = (
        'Database Error in model fct_call\n  duplicate key value violates "calls"\n'
        "  DETAIL:  Key (city_id, call_id)=(demo, C7) already exists.\n  compiled code at a.sql"
    )
    kept = _without_rows(message)
    assert kept == (
        'Database Error in model fct_call\n  duplicate key value violates "calls"\n'
        "  compiled code at a.sql"
    )
    assert _without_rows(None) is None


def test_another_server_on_the_port_is_sent_no_password(monkeypatch):
    """dbt's profile has no place for `require_auth`, so libpq takes it from the environment."""
    with asks_for_the_password() as (port, received):
        options = "require_auth=scram-sha-256&sslmode=disable"
        url = f"postgresql://warehouse:hunter2@127.0.0.1:{port}/warehouse?{options}"
        for name, value in environment(url).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(psycopg2.OperationalError, match="scram-sha-256"):  # as dbt connects
            psycopg2.connect(
                host="127.0.0.1",
                port=port,
                user="warehouse",
                password="hunter2",
                dbname="warehouse",
            )
    assert b"warehouse" in received[0]
    assert b"hunter2" not in b"".join(received)


def test_options_of_the_url_reach_dbt():
    url = "postgresql://w:p@db.example/city?sslmode=verify-full&sslrootcert=/ca.pem"
    variables = environment(url)
    assert variables["PGSSLMODE"] == "verify-full" and variables["PGSSLROOTCERT"] == "/ca.pem"
    assert not {"PGPASSWORD", "PGHOST", "PGUSER"} & variables.keys()


def test_summary_counts_what_was_built_tested_skipped_and_failed():
    summary = DbtSummary(
        "id",
        12.3,
        (
            outcome("success", rows_affected=10),
            outcome("success", "seed", rows_affected=3),
            outcome("error"),
            outcome("skipped"),
            outcome("pass", "test"),
            outcome("fail", "test", failures=2),
            outcome("pass", "unit_test"),
        ),
    )
    assert (summary.models, summary.tests, summary.skipped, summary.rows) == (2, 2, 1, 10)
    assert [node.status for node in summary.failures] == ["error", "fail"]
    assert str(summary) == ("2 models and seeds, 2 tests passed, 2 failed, 1 skipped, 12 s")
