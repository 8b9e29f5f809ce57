"""What each role reads of a built warehouse: rows and columns of its tier, through every way in."""

from __future__ import annotations

import subprocess
from datetime import date

import psycopg
import pytest

from extract.manifests import load_cities
from infra.local.postgres import shipped_programs
from warehouse import kpi, tiers
from warehouse.bootstrap import find_faults
from warehouse.query import relations_in_part
from warehouse.schema import SCHEMAS, create_schemas, find_grant_faults
from warehouse.tiers import ROLES, declare_cities

DENIED = psycopg.errors.InsufficientPrivilege
#: Readers by what they may see.
OPEN = ("reader_open", "dashboards", "department_head")
INTERNAL = ("analyst", "cio")
RESTRICTED = ("data_engineer", "ml_engineer")


def one_column(rows):
    return sorted(value for (value,) in rows)


def test_rows_of_a_fact_are_of_their_sources_tiers(ask):
    query = "select text from marts.fct_feedback"
    for role in OPEN:
        assert one_column(ask(role, query)) == ["nice app"], role
    for role in INTERNAL:
        assert one_column(ask(role, query)) == ["an answer", "nice app"], role
    for role in RESTRICTED:
        assert one_column(ask(role, query)) == ["an answer", "nice app", "secret mail"], role
    query = "select feedback_id from marts.fct_feedback_sentiment"
    assert one_column(ask("cio", query)) == ["A20240102-01", "S20240102-01"]
    assert one_column(ask("reader_open", query)) == ["A20240102-01"]


def test_without_a_source_a_row_has_the_strictest_tier_of_its_citys_sources(ask):
    query = "select service_request_id from marts.fct_service_request"
    for role in OPEN:
        assert one_column(ask(role, query)) == ["77"], role
    for role in INTERNAL + RESTRICTED:
        assert one_column(ask(role, query)) == ["20240102-0001", "20240102-0002", "77"], role


def test_a_head_reads_the_open_rows_and_those_of_the_own_department(ask):
    requests = "select service_request_id from marts.fct_service_request"
    assert one_column(ask("head", requests)) == ["20240102-0001", "77"]
    assert one_column(ask("head", "select text from marts.fct_feedback")) == ["nice app"]
    # the fact has no column for it: the source is the department's own
    rounds = "select collection_round_id from marts.fct_collection_round"
    assert one_column(ask("head", rounds)) == ["20240102-D01"]
    assert ask("reader_open", rounds) == []
    months = "select distinct city_id, department_id from reporting.rpt_department_month"
    assert ask("head", months) == [("demo", "sanitation")]


#: What the page of departments shows; the view reads one of the tables as its reader does. Beside
#: them is rpt_department_district, of which these rows make nothing: they are in no district.
DEPARTMENT = (
    *("rpt_department", "rpt_department_measure", "rpt_department_month"),
    *("rpt_department_service", "rpt_department_case", "rpt_department_source"),
)


@pytest.mark.parametrize("report", DEPARTMENT)
def test_a_report_of_departments_is_each_departments_own(ask, report):
    whose = f"select distinct city_id || '.' || department_id from reporting.{report}"
    everybodys = one_column(ask("cio", whose))
    assert {"demo.sanitation", "demo.transport"} < set(everybodys)
    assert one_column(ask("analyst", whose)) == everybodys
    assert one_column(ask("head", whose)) == ["demo.sanitation"]
    # allowed to ask, so that the page says it instead of showing an error
    for role in OPEN:
        assert ask(role, whose) == [], role


def test_exact_places_of_requests_reach_no_open_reader(ask):
    for column in ("latitude", "longitude", "*"):
        for role in ("reader_open", "dashboards"):
            with pytest.raises(DENIED):
                ask(role, f"select {column} from marts.fct_service_request")
    assert ask("reader_open", "select count(*) from marts.fct_service_request") == [(1,)]
    assert len(ask("analyst", "select latitude, * from marts.fct_service_request")) == 3


def test_work_schemas_show_an_analyst_no_restricted_row(ask):
    for table in (
        "raw.demo__email_comments",
        "staging.stg_demo__email_comments",
    ):
        assert ask("analyst", f"select * from {table}") == []
        assert len(ask("data_engineer", f"select * from {table}")) == 1
        for role in (*OPEN, "cio", "ml_engineer"):
            with pytest.raises(DENIED):
                ask(role, f"select * from {table}")
    assert len(ask("analyst", "select * from raw.demo__survey_comments")) == 1
    # a view shows what its reader may read of the tables behind it
    assert one_column(ask("analyst", "select text from intermediate.int_feedback")) == [
        "an answer",
        "nice app",
    ]
    assert len(ask("data_engineer", "select text from intermediate.int_feedback")) == 3


def test_quarantine_shows_rows_by_their_source(walls, ask):
    with psycopg.connect(walls.url) as connection:
        for source in ("email_comments", "survey_comments"):
            load = connection.execute(
                "insert into quality.loads (city_id, source_id, mode, state) "
                "values ('demo', %s, 'read', 'accepted') returning load_id",
                [source],
            ).fetchone()[0]
            connection.execute(
                "insert into quality.quarantine (city_id, source_id, load_id, last_load_id, "
                "reasons, row_hash, record) values ('demo', %s, %s, %s, '{}', 'h', '{}')",
                [source, load, load],
            )
    query = "select source_id from quality.quarantine"
    assert one_column(ask("analyst", query)) == ["survey_comments"]
    assert one_column(ask("data_engineer", query)) == ["email_comments", "survey_comments"]
    for role in (*OPEN, "ml_engineer"):
        with pytest.raises(DENIED):
            ask(role, query)


def test_pages_show_every_role_the_open_reports(ask):
    for role in ROLES:
        for report in (
            "rpt_area_kpi_month",
            "rpt_district_month",
            "rpt_event",
            "rpt_service_status",
        ):
            ask(role, f"select * from reporting.{report}")
    for report in ("reporting.rpt_sentiment_month", "marts.fct_kpi"):
        ask("cio", f"select * from {report}")
        for role in (*OPEN, "head"):
            with pytest.raises(DENIED):
                ask(role, f"select * from {report}")


def test_a_stricter_manifest_holds_at_once_and_a_looser_one_too(walls, ask):
    query = "select count(*) from marts.fct_feedback"
    cities = load_cities().cities
    changed = [
        city.model_copy(
            update={"sources": tuple(s.model_copy(update={"tier": tier}) for s in city.sources)}
        )
        for city, tier in ((c, "restricted") for c in cities)
    ]
    try:
        declare_cities(walls.url, changed)
        assert ask("reader_open", query) == ask("analyst", query) == [(0,)]
        assert ask("data_engineer", query) == [(3,)]
    finally:
        declare_cities(walls.url, cities)
    assert ask("reader_open", query) == [(1,)]


def test_a_build_keeps_rights_and_a_second_one_changes_none(walls, ask):
    query = "select relation, rights from (select schema_name || relation_name as relation, rights"
    query += " from access.relation) as r order by 1"
    before = walls.rows(query)
    assert before
    walls.build(select=["fct_feedback", "rpt_area_kpi_month", "source_catalog"])
    assert walls.rows(query) == before
    assert one_column(ask("reader_open", "select text from marts.fct_feedback")) == ["nice app"]
    # a model that is not made anew, as an incremental one: nothing is granted again
    with psycopg.connect(walls.url) as connection:
        connection.execute(
            "select access.protect('marts.fct_feedback', 'source', 'feedback', '{}')"
        )
        locks = connection.execute(
            "select mode from pg_locks where relation = 'marts.fct_feedback'::regclass"
        ).fetchall()
    assert ("AccessExclusiveLock",) not in locks


def test_every_relation_is_declared_and_nobody_else_reads_it(walls, postgres):
    undeclared = walls.rows(
        "select schemaname, tablename from pg_tables where schemaname = any(array["
        + ", ".join(f"'{schema}'" for schema in SCHEMAS)
        + "]) except select schema_name, relation_name from access.relation"
    )
    assert undeclared == []
    assert find_faults(postgres.role_url) == []


def test_what_was_granted_by_hand_is_found_and_taken_back(walls, postgres, ask):
    def faults():
        return [fault.text for fault in find_faults(postgres.role_url)]

    for damage, found in {
        "grant select on marts.fct_kpi to reader_open": "marts.fct_kpi otherwise",
        "grant select (latitude) on marts.fct_service_request to public": "fct_service_request",
        "alter table marts.fct_feedback disable row level security": "marts.fct_feedback otherwise",
        "create policy more on marts.fct_feedback using (true)": "marts.fct_feedback otherwise",
        "alter view intermediate.int_feedback reset (security_invoker)": "int_feedback otherwise",
        "grant usage on schema raw to cio": "cio reads schema raw",
        "alter default privileges in schema raw grant select on tables to analyst": (
            "analyst may read tables to come in schema raw"
        ),
    }.items():
        with psycopg.connect(walls.url) as connection:
            connection.execute(damage)
        assert any(found in text for text in faults()), damage
        create_schemas(walls.url)
        assert faults() == [], damage
    assert one_column(ask("reader_open", "select text from marts.fct_feedback")) == ["nice app"]


def test_a_table_that_nobody_declared_is_read_by_data_engineers_only(walls, ask):
    with psycopg.connect(walls.url) as connection:
        connection.execute("create table marts.by_hand as select 'x' as text")
    try:
        assert ask("data_engineer", "select text from marts.by_hand") == [("x",)]
        for role in ROLES.keys() - {"data_engineer"}:
            with pytest.raises(DENIED):
                ask(role, "select text from marts.by_hand")
    finally:
        with psycopg.connect(walls.url) as connection:
            connection.execute("drop table marts.by_hand")


def test_an_unknown_tier_is_refused(walls):
    with (
        psycopg.connect(walls.url) as connection,
        pytest.raises(psycopg.errors.RaiseException, match="write open, internal, restricted"),
    ):
        tiers.protect(connection, "marts.fct_kpi", "public")
    # rows of no department are nobody's
    with (
        psycopg.connect(walls.url) as connection,
        pytest.raises(psycopg.errors.RaiseException, match="write internal"),
    ):
        tiers.protect(connection, "marts.fct_kpi", "department")


def test_statements_of_restricted_readers_are_logged_and_they_cannot_switch_it_off(ask, postgres):
    for role in RESTRICTED:
        assert ask(role, "show log_statement") == [("all",)]
        with (
            psycopg.connect(postgres.role_url(role)) as connection,
            pytest.raises(DENIED),
        ):
            connection.execute("set log_statement = 'none'")
    assert ask("analyst", "show log_statement") == [("none",)]


def test_a_restored_dump_has_the_same_rights(walls, postgres, tmp_path):
    programs, dump = shipped_programs(), tmp_path / "warehouse.sql"
    url = postgres.url.replace("/warehouse?", "/restored?")
    with psycopg.connect(postgres.admin_url, autocommit=True) as connection:
        connection.execute("create database restored owner warehouse template template0")
    try:
        subprocess.run([programs / "pg_dump", "--file", dump, postgres.url], check=True)
        load = [programs / "psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--file", dump, url]
        subprocess.run(load, check=True, stdout=subprocess.DEVNULL)
        query = "select text from marts.fct_feedback order by text"
        for role, texts in {
            "reader_open": [("nice app",)],
            "analyst": [("an answer",), ("nice app",)],
            "data_engineer": [("an answer",), ("nice app",), ("secret mail",)],
        }.items():
            with psycopg.connect(postgres.role_url(role, "restored")) as connection:
                assert connection.execute(query).fetchall() == texts
        with psycopg.connect(url) as connection:
            assert find_grant_faults(connection) == []
    finally:
        with psycopg.connect(postgres.admin_url, autocommit=True) as connection:
            connection.execute("drop database restored with (force)")


def test_an_analyst_is_shown_that_rows_are_left_out(walls, postgres):
    analyst, engineer = postgres.role_url("analyst"), postgres.role_url("data_engineer")
    query = "select count(*) from marts.fct_feedback join marts.fct_service_request using (city_id)"
    assert relations_in_part(analyst, query) == ["marts.fct_feedback"]
    assert relations_in_part(analyst, "select 1 from staging.stg_demo__email_comments") == [
        "staging.stg_demo__email_comments"
    ]
    assert relations_in_part(engineer, query) == []
    # One of three comments is of an e-mail: none is listed, for it would follow from the others.
    asked = ("comments_read", "demo", "*", date(2024, 1, 1))
    found = kpi.explain(analyst, *asked)
    assert found["value"]["n"] == 3
    assert found["withheld"] == {"rows": None} and found["events"] == []
    told = kpi.explain(engineer, *asked)
    assert told["withheld"] is None and len(told["events"]) == 3
