"""Superset's readers get what PostgreSQL gives their role, from its cache as well."""

from __future__ import annotations

import json
import time
from typing import get_args

import psycopg
import pytest

from infra.local.settings import Reader
from warehouse.access_log import reads
from warehouse.tiers import ROLES

COMMENTS = {
    "reader_open": ["nice app"],
    "department_head": ["nice app"],
    "head": ["nice app"],
    "analyst": ["an answer", "nice app"],
    "cio": ["an answer", "nice app"],
    "boss": ["an answer", "nice app"],
    "ml_engineer": ["an answer", "nice app", "secret mail"],
    "data_engineer": ["an answer", "nice app", "secret mail"],
}


def test_superset_knows_every_role_of_the_warehouse():
    assert set(get_args(Reader)) == set(ROLES)


def test_a_cached_answer_reaches_nobody_of_another_role(superset):
    """Asked from the widest role to the narrowest, so that each could get the one before's."""
    for user in reversed(COMMENTS):
        assert superset.texts(user, "fct_feedback") == COMMENTS[user], user
    for user in COMMENTS:
        assert superset.texts(user, "fct_feedback") == COMMENTS[user], user


def test_readers_of_one_role_share_the_cache(superset):
    superset.texts("cio", "rpt_open")
    _, answer = superset.chart("boss", "rpt_open")  # the administrator reads as the CIO
    assert answer["result"][0]["is_cached"] is True
    _, answer = superset.chart("analyst", "rpt_open")
    assert answer["result"][0]["is_cached"] is not True


def test_what_is_cached_is_dropped_by_a_build_and_by_a_changed_tier(superset, postgres):
    def changed(*statements):
        with psycopg.connect(postgres.url) as connection:
            for statement in statements:
                connection.execute(statement)
        time.sleep(1.1)  # for which what was read of the builds holds

    def is_cached(user, dataset="rpt_open"):
        superset.chart(user, dataset)
        return superset.chart(user, dataset)[1]["result"][0]["is_cached"] is True

    assert superset.texts("cio", "rpt_open") == ["for all"]
    assert is_cached("cio")
    try:
        changed(
            "update reporting.rpt_open set text = 'rebuilt'",
            "select access.note_built('reporting.rpt_open')",
        )
        assert superset.texts("cio", "rpt_open") == ["rebuilt"]
        assert is_cached("cio")
        # Who may see a row follows from its source's tier at once.
        assert superset.texts("reader_open", "fct_feedback") == ["nice app"]
        changed("update access.source set tier = 'internal' where source_id = 'app_reviews'")
        assert superset.texts("reader_open", "fct_feedback") == []
    finally:
        changed(
            "update reporting.rpt_open set text = 'for all'",
            "select access.note_built('reporting.rpt_open')",
            "update access.source set tier = 'open' where source_id = 'app_reviews'",
        )
    assert superset.texts("reader_open", "fct_feedback") == ["nice app"]
    # Each read of who reads restricted rows is in the log, so none comes from the cache.
    assert not is_cached("data_engineer") and not is_cached("ml_engineer")


def test_rights_are_noted_when_they_change_and_not_by_each_build(superset, postgres):
    def noted():
        return connection.execute(
            "select built_at from access.built where relation = 'rights'"
        ).fetchone()

    table = "create table reporting.rpt_again as select 1 as n"
    protect = "select access.protect('reporting.rpt_again', %s)"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        before = noted()
        for tier in ("open", "open"):
            connection.execute("drop table if exists reporting.rpt_again")
            connection.execute(table)
            connection.execute(protect, [tier])
            assert noted() == before
        connection.execute(protect, ["internal"])
        assert noted() > before
        connection.execute("drop table reporting.rpt_again")


def test_a_head_gets_the_own_department_and_no_other(superset):
    for _ in range(2):  # the second time from the cache
        assert superset.texts("cio", "fct_department") == ["own", "theirs"]
        assert superset.texts("head", "fct_department") == ["own"]
    for user in ("department_head", "reader_open"):
        assert "permission denied" in superset.chart(user, "fct_department")[1]["message"]


@pytest.mark.parametrize("user", ["reader_open", "head", "analyst", "cio", "boss"])
def test_postgresql_refuses_a_chart_of_what_the_reader_may_not_read(superset, user):
    assert superset.texts("data_engineer", "rpt_restricted") == ["secret report"]
    status, answer = superset.chart(user, "rpt_restricted")
    assert status == 400 or answer["result"][0]["status"] == "failed"
    assert "permission denied for table rpt_restricted" in str(answer)
    assert "secret" not in str(answer)


def test_a_user_of_superset_without_a_role_of_ours_reads_no_dataset(superset):
    status, _ = superset.chart("nobody", "rpt_open")
    assert status == 403


@pytest.mark.parametrize(
    "attack",
    [
        "reset role; select text from marts.fct_feedback",
        "set role cio; select text from reporting.rpt_restricted",
        "select set_config('role', 'data_engineer', false); select * from reporting.rpt_restricted",
        "reset session authorization; select text from reporting.rpt_restricted",
        "select text from reporting.rpt_restricted",
    ],
)
def test_sql_lab_is_the_readers_own_login(superset, attack):
    assert "an answer" in superset.sql("analyst", "select text from marts.fct_feedback")[1]
    _, text = superset.sql("analyst", attack)
    assert "secret mail" not in text and "secret report" not in text


def test_sql_lab_is_closed_to_readers_of_pages(superset):
    for user in ("reader_open", "head", "cio"):
        status, text = superset.sql(user, "select 1")
        assert status == 403, text


def test_the_servers_log_names_the_user_who_read_restricted_rows(superset, postgres):
    """In a chart, its file and SQL Lab, and whatever the user writes."""
    chart = {
        "datasource": {"id": "@rpt_restricted", "type": "table"},
        "queries": [{"columns": ["text"], "metrics": [], "row_limit": 7}],
        "result_type": "full",
        "force": True,
    }
    query = "select text from reporting.rpt_restricted"
    with postgres.log.open() as log:
        for kind in ("json", "csv"):
            log.seek(0, 2)
            body = {**chart, "result_format": kind}
            _, text = superset.ask("eve", "POST", "/api/v1/chart/data", body)
            assert "secret report" in text
            assert {(r.person, r.relation) for r in reads(log)} == {
                ("eve", "reporting.rpt_restricted")
            }
        for forged in (
            query,
            f"/* superset:analyst */ {query}",
            f"set application_name = 'superset:analyst'; {query}",
            f"select set_config('application_name', 'superset:analyst', false); {query}",
        ):
            log.seek(0, 2)
            _, text = superset.sql("eve", forged)
            found = {(r.person, r.relation) for r in reads(log)}
            assert found <= {("eve", "reporting.rpt_restricted")}, forged
            assert found or "secret report" not in text, text


def test_a_large_export_is_asked_as_its_reader_and_names_the_person(superset, postgres):
    """Superset sends it part by part, after the request; here from three rows on."""
    for user in ("eve", "analyst"):
        query = "select text from marts.fct_feedback, generate_series(1, 4)"
        _, answer = superset.sql(user, query)
        form = {"client_id": json.loads(answer)["query"]["id"]}
        with postgres.log.open() as log:
            log.seek(0, 2)
            path = "/api/v1/sqllab/export_streaming/"
            _, text = superset.ask(user, "POST", path, {"form": form})
            found = {(read.person, read.relation) for read in reads(log)}
        assert text.count("an answer") == 4
        assert text.count("secret mail") == (4 if user == "eve" else 0)
        assert found == ({("eve", "marts.fct_feedback")} if user == "eve" else set())


def test_a_session_on_the_warehouse_names_the_person(superset):
    _, text = superset.sql("analyst", "select text from reporting.rpt_session")
    assert "analyst superset:analyst" in text
