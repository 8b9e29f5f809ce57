"""Ways to reach by SQL what a role may not read: each is refused, or shows nothing of it."""

from __future__ import annotations

import psycopg
import pytest

from warehouse.bootstrap import role_url

#: What must not be shown: of a restricted source to an analyst, of internal ones to an open reader.
SECRET = {
    "analyst": ("secret mail", "E20240102-01"),
    "cio": ("secret mail", "E20240102-01"),
    "reader_open": (
        *("secret mail", "an answer", "E20240102-01", "S20240102-01", "41.5"),
        *("20240102-0001", "20240102-0002"),
    ),
    "head": ("secret mail", "an answer", "E20240102-01", "20240102-0002"),
}

#: The same of every role.
READING = {
    "plain": "select * from marts.fct_feedback",
    "table": "table marts.fct_feedback",
    "only": "select text from only marts.fct_feedback",
    "subquery": "select (select string_agg(text, ',') from marts.fct_feedback)",
    "with": "with f as materialized (select text from marts.fct_feedback) select * from f",
    "join": "select s.*, f.text from marts.fct_feedback_sentiment s "
    "left join marts.fct_feedback f using (city_id, feedback_id)",
    "full join": "select * from marts.fct_feedback f full join marts.fct_feedback_sentiment s "
    "on f.feedback_id = s.feedback_id",
    "lateral": "select x.text from marts.dim_city c, "
    "lateral (select text from marts.fct_feedback f where f.city_id = c.city_id) x",
    "union": "select text from marts.fct_feedback union all select feedback_id "
    "from marts.fct_feedback_sentiment",
    "exists": "select 'secret mail' where exists "
    "(select from marts.fct_feedback where text = 'secret mail')",
    "like": "select text from marts.fct_feedback where text like 'secret%'",
    "smallest": "select max(text) from marts.fct_feedback where channel = 'email'",
    "group": "select array_agg(text) from marts.fct_feedback group by channel",
    "window": "select first_value(text) over (order by text desc) from marts.fct_feedback",
    "row": "select f::text from marts.fct_feedback f",
    "field": "select (x.f).text from (select f from marts.fct_feedback f) x",
    "json": "select row_to_json(f) from marts.fct_feedback f",
    "ctid": "select text from marts.fct_feedback where ctid = any(array(select "
    "format('(0,%s)', n)::tid from generate_series(1, 100) n))",
    "sample": "select text from marts.fct_feedback tablesample system (100)",
    "prepared": "prepare p as select text from marts.fct_feedback",
    "cursor": "declare c cursor for select text from marts.fct_feedback",
    "for update": "select text from marts.fct_feedback for update",
    "xml of a query": "select query_to_xml('select * from marts.fct_feedback', true, true, '')",
    "xml of a table": "select table_to_xml('marts.fct_feedback', true, true, '')",
    "xml of a schema": "select schema_to_xml('marts', true, true, '')",
    "xml of the database": "select database_to_xml(true, true, '')",
    "raw": "select * from raw.demo__email_comments",
    "staging": "select * from staging.stg_demo__email_comments",
    "union of sources": "select * from intermediate.int_feedback",
    "events": "select * from intermediate.int_kpi_event where metric_id = 'net_sentiment'",
    "stage": "select * from stage.demo__email_comments",
    "explain": "explain (analyze, verbose) select * from marts.fct_feedback where text = 'x'",
    "statistics": "select most_common_vals::text, histogram_bounds::text from pg_stats "
    "where tablename in ('fct_feedback', 'stg_demo__email_comments', 'fct_service_request')",
    "statistics' table": "select stavalues1::text from pg_statistic",
    "extended statistics": "select * from pg_statistic_ext_data",
    "others' queries": "select query from pg_stat_activity",
    "own row security off": "set row_security = off",
    "files": "select pg_read_file(pg_relation_filepath('marts.fct_feedback'))",
    "binary files": "select pg_read_binary_file('base/1/1259')",
    "folder": "select pg_ls_dir('base')",
    "settings' files": "select * from pg_hba_file_rules",
    "passwords": "select rolname, rolpassword from pg_authid",
    "copy to a program": "copy marts.fct_feedback to program 'cat'",
    "copy to a file": "copy marts.fct_feedback to '/tmp/fct_feedback'",
    "copy out": "copy marts.fct_feedback to stdout",
    "cast error": "select text::integer from marts.fct_feedback",
    "cast error in a filter": "select 1 from marts.fct_feedback where text::integer = 1",
    "division error": "select 1 / length(nullif(text, 'secret mail')) from marts.fct_feedback",
    "regular expression error": "select 1 from marts.fct_feedback where 'a' ~ ('(' || text)",
    "date error": "select text::date from marts.fct_feedback order by channel desc",
    "json error": "select text::jsonb from marts.fct_feedback",
    "xml error": "select xmlparse(document text) from marts.fct_feedback",
    "role": "set role data_engineer",
    "owner's role": "set role warehouse",
    "superuser's role": "set role postgres",
    "session": "set session authorization data_engineer",
    "role by function": "select set_config('role', 'data_engineer', false)",
    "membership": "grant data_engineer to current_user",
    "policy dropped": "drop policy tier_internal on marts.fct_feedback",
    "policy added": "create policy mine on marts.fct_feedback using (true)",
    "row security switched off": "alter table marts.fct_feedback disable row level security",
    "own table": "alter table marts.fct_feedback owner to current_user",
    "grant": "grant select on raw.demo__email_comments to current_user",
    "tier": "update access.source set tier = 'open'",
    "source": "insert into access.source values ('demo', 'x', 'x', 'feedback', 'open')",
    "role's tier": "update access.role set tier = 'restricted'",
    "roles": "select * from access.role",
    "protect": "select access.protect('marts.fct_feedback', 'open')",
    "function": "create function public.f() returns setof text language sql security definer "
    "as 'select text from marts.fct_feedback'",
    "view": "create view public.v as select text from marts.fct_feedback",
    "view of a mart": "create or replace view intermediate.int_feedback as select 1 as n",
    "temporary table": "create temporary table t as select * from marts.fct_feedback",
    "temporary function": "create function pg_temp.f(text) returns boolean language sql "
    "as 'select true'",
    "materialized view": "create materialized view marts.m as select * from marts.fct_feedback",
    "rule": "create rule r as on select to marts.fct_feedback do instead select 1",
    "trigger": "create trigger t after insert on marts.fct_feedback execute function suppress()",
    "extension": "create extension dblink",
    "foreign server": "create server s foreign data wrapper postgres_fdw",
    "code": "do $$ begin raise exception '%', (select max(text) from marts.fct_feedback "
    "where channel = 'email'); end $$",
    "code as owner": "do $$ begin set role warehouse; perform text from marts.fct_feedback; end $$",
    "update": "update marts.fct_feedback set text = text returning text",
    "delete": "delete from marts.fct_feedback returning text",
    "merge": "merge into marts.fct_feedback f using marts.dim_city c on true "
    "when matched then delete returning f.text",
    "insert": "insert into quality.progress select 'x', to_jsonb(text) from marts.fct_feedback",
    "truncate": "truncate marts.fct_feedback",
    "lock": "lock table marts.fct_feedback in access exclusive mode",
    "new login": "create role mine login superuser",
    "own attributes": "alter role current_user bypassrls",
    "server's settings": "alter system set row_security = off",
    "library": "load 'auto_explain'",
    "large object": "select lo_import('/etc/passwd')",
    "log switched off": "set log_statement = 'none'",
}

#: More ways of readers of the open tier, to places and to what is not theirs.
OPEN = {
    "place": "select latitude, longitude from marts.fct_service_request",
    "place in a row": "select r::text from marts.fct_service_request r",
    "place in json": "select to_json(r) from marts.fct_service_request r",
    "place by order": "select service_request_id from marts.fct_service_request order by latitude",
    "place by filter": "select 41.5 from marts.fct_service_request where latitude = 41.5",
    "place by group": "select count(*) from marts.fct_service_request group by longitude",
    "place by join": "select 41.5 from marts.fct_service_request a "
    "join marts.fct_service_request b on a.latitude = b.latitude",
    "place by natural join": "select * from marts.fct_service_request "
    "natural join (select 41.5::float8 as latitude) p",
    "place in staging": "select * from staging.stg_demo__service_requests",
    "place of all subjects": "select * from intermediate.int_located_subject",
    "scores": "select * from ml.feedback_score",
    "quarantine": "select record from quality.quarantine",
    "loads": "select message from quality.loads",
}
TRIES = [
    (role, way, query) for role in ("analyst", "reader_open") for way, query in READING.items()
]
TRIES += [("reader_open", way, query) for way, query in OPEN.items()]
TRIES += [("cio", way, READING[way]) for way in ("plain", "raw", "union of sources", "events")]
TRIES += [("head", way, READING[way]) for way in ("plain", "join", "raw")]
TRIES += [
    ("head", "other department", "select * from marts.fct_service_request"),
    (
        "head",
        "other department's months",
        "select * from reporting.rpt_department_month where department_id <> 'sanitation'",
    ),
    (
        "head",
        "other department's cases",
        "select * from reporting.rpt_department_case where department_id <> 'sanitation'",
    ),
    (
        "head",
        "other department's cases by join",
        "select c.* from marts.dim_department d "
        "left join reporting.rpt_department_case c using (city_id, department_id)",
    ),
    ("reader_open", "cases", "select * from reporting.rpt_department_case"),
    (
        "reader_open",
        "cases by rows",
        "select c::text from reporting.rpt_department_case c, marts.dim_city",
    ),
]


def test_there_are_a_hundred_tries_and_more():
    assert len(TRIES) >= 100


@pytest.fixture(scope="module")
def login(walls, postgres, ask):
    """The URL of a role; `ask` has made the head's."""

    def url(role):
        if role == "head":
            return role_url(postgres.admin_url, "head_demo__sanitation", "h", "warehouse")
        return postgres.role_url(role)

    return url


@pytest.mark.parametrize(("role", "way", "query"), TRIES, ids=[f"{r}: {w}" for r, w, _ in TRIES])
def test_nothing_of_another_tier_is_shown(login, role, way, query):
    """Rows, messages and notices are searched for what the role may not see."""
    shown: list[object] = []
    with psycopg.connect(login(role), autocommit=True) as connection:
        connection.add_notice_handler(lambda notice: shown.append(notice.message_primary))
        connection.execute("set default_transaction_read_only = off")
        try:
            if query.startswith("copy"):
                with connection.cursor().copy(query) as copy:
                    shown += [bytes(block).decode() for block in copy]
            elif query.startswith(("prepare", "declare")):
                with connection.transaction():
                    connection.execute(query)
                    then = "execute p" if query.startswith("prepare") else "fetch all from c"
                    shown += connection.execute(then).fetchall()
            else:
                answer = connection.execute(query)
                shown += answer.fetchall() if answer.description else []
                # what the statement may have opened
                answer = connection.execute("select text from marts.fct_feedback")
                shown += answer.fetchall()
        except psycopg.Error as error:
            shown.append(f"{error} {error.diag.message_detail} {error.diag.context}")
    # what the query itself says is no secret
    text = str(shown).replace(query, "")
    for secret in SECRET[role]:
        assert secret not in text, text


def test_the_tries_find_what_is_there(walls):
    """As the owner the same ways show it: what is refused above is not just absent."""
    with psycopg.connect(walls.url) as connection:
        for way in ("plain", "join", "row", "json", "raw", "staging", "union of sources"):
            assert "E20240102-01" in str(connection.execute(READING[way]).fetchall()), way
        for way in ("place", "place in a row", "place of all subjects"):
            assert "41.5" in str(connection.execute(OPEN[way]).fetchall()), way
