"""What a plan tells of rows that a policy hides: nothing that depends on what is in them."""

from __future__ import annotations

import re

import psycopg
import pytest

from warehouse.bootstrap import bootstrap, find_faults
from warehouse.tiers import declare_cities, protect

#: Answers by which a hidden text could be found by halving: filters with a true and a false guess.
GUESSES = {
    "text is larger": ("text >= 'm'", "text >= 'z'"),
    "text is larger, byte by byte": (
        "text >= 'm' collate \"C\"",
        "text >= 'z' collate \"C\"",
    ),
    "text is": ("text = 'my address'", "text = 'your address'"),
    "text is one of": ("text in ('my address', 'x')", "text in ('x', 'y')"),
    "text begins": ("starts_with(text, 'my')", "starts_with(text, 'your')"),
    "text is like": ("text like 'my%'", "text like 'your%'"),
    "key is": ("feedback_id = 'E1'", "feedback_id = 'E9'"),
    "number is larger": ("n > 90", "n > 90000"),
    "day is": ("day = date '2024-01-02'", "day = date '2031-01-02'"),
}


@pytest.fixture(scope="module")
def hidden(warehouse):
    """One row that an analyst may read, and thousands that the policy hides."""
    from extract.manifests import load_cities

    declare_cities(warehouse.url, load_cities().cities)
    with psycopg.connect(warehouse.url) as connection:
        connection.execute(
            "create table marts.feedback as "
            "select 'demo' as city_id, 'email_comments' as source_id, "
            "'E' || n as feedback_id, 'my address' as text, n, date '2024-01-02' as day "
            "from generate_series(1, 5000) n union all "
            "select 'demo', 'app_reviews', 'A1', 'a nice app', 0, date '2024-02-01'"
        )
        for column in ("text", "feedback_id", "n", "day"):
            connection.execute(f"create index on marts.feedback ({column})")
        protect(connection, "marts.feedback", "source")
        connection.execute("analyze marts.feedback")
    return warehouse


def plan(url: str, condition: str, *settings: str) -> str:
    """What PostgreSQL tells of a plan and its run, without the question itself and times."""
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in settings:
            connection.execute(setting)
        options = "analyze, timing off, summary off, buffers off"
        query = f"explain ({options}) select 1 from marts.feedback where {condition}"
        lines = [line for (line,) in connection.execute(query)]
    told = [line for line in lines if not re.search(r"Filter:|Index Cond:|Recheck Cond:", line)]
    return "\n".join([*told, *(line for line in lines if "Removed" in line)])


@pytest.mark.parametrize("way", GUESSES)
@pytest.mark.parametrize("setting", ["set enable_seqscan = on", "set enable_seqscan = off"])
def test_a_plan_is_the_same_for_a_true_and_a_false_guess(hidden, way, setting):
    true, false = (plan(hidden.role_url("analyst"), guess, setting) for guess in GUESSES[way])
    assert true == false


def test_the_owner_still_has_the_index(hidden):
    assert "Index" in plan(hidden.url, "feedback_id = 'E1'")


def test_engineers_still_have_it_where_no_row_is_restricted(hidden):
    with psycopg.connect(hidden.url) as connection:
        protect(connection, "marts.feedback", "internal")
    try:
        assert "Index" in plan(hidden.role_url("data_engineer"), "feedback_id = 'E1'")
    finally:
        with psycopg.connect(hidden.url) as connection:
            protect(connection, "marts.feedback", "source")


def test_up_restores_it(hidden):
    database = hidden.admin_url.replace("/postgres?", "/warehouse?")
    with psycopg.connect(database, autocommit=True) as connection:
        assert connection.info.dbname == "warehouse"
        connection.execute("alter function pg_catalog.texteq(text, text) leakproof")
    (fault,) = find_faults(hidden.role_url)
    assert "before the policy that hides them" in fault.text and fault.needs_superuser
    bootstrap(hidden.admin_url, hidden.passwords)
    assert find_faults(hidden.role_url) == []
