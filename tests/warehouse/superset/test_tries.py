"""Ways to reach through Superset's API what a role may not read: none shows it."""

from __future__ import annotations

import json

import psycopg
import pytest

SECRETS = {
    "analyst": ("secret mail", "secret report"),
    "cio": ("secret mail", "secret report"),
    "boss": ("secret mail", "secret report"),
    "reader_open": ("secret mail", "secret report", "an answer", "theirs"),
    "head": ("secret mail", "secret report", "an answer", "theirs"),
}


def chart(dataset="fct_feedback", result_type="full", result_format="json", **query):
    """A request for a chart's data."""
    asked = {"columns": ["text"], "metrics": [], "row_limit": 100, **query}
    body = {
        "datasource": {"id": f"@{dataset}", "type": "table"},
        "queries": [asked],
        "result_format": result_format,
        "result_type": result_type,
    }
    return "POST", "/api/v1/chart/data", body


def sql(query):
    """A request of SQL Lab."""
    body = {"database_id": "@db", "sql": query, "runAsync": False, "queryLimit": 100}
    return "POST", "/api/v1/sqllab/execute/", body


def expression(text, label="x"):
    """A metric or column that a reader writes as SQL."""
    return {"expressionType": "SQL", "sqlExpression": text, "label": label}


ALL = "string_agg(text, ',')"
FORM = {"datasource": "@{fct_feedback}__table", "viz_type": "table", "all_columns": ["text"]}
WAYS = {
    "chart": chart(),
    "chart of a restricted report": chart("rpt_restricted"),
    "chart of departments": chart("fct_department"),
    "forced past the cache": ("POST", "/api/v1/chart/data", {**chart()[2], "force": True}),
    "csv": chart(result_format="csv"),
    "csv of a restricted report": chart("rpt_restricted", result_format="csv"),
    "spreadsheet": chart("rpt_restricted", result_format="xlsx"),
    "samples": chart(result_type="samples"),
    "drill to detail": chart(result_type="drill_detail"),
    "the query": chart(result_type="query"),
    "metric in SQL": chart(columns=[], metrics=[expression(ALL)]),
    "metric of another table": chart(
        "rpt_open",
        columns=[],
        metrics=[expression("(select string_agg(text, ',') from reporting.rpt_restricted)")],
    ),
    "column in SQL": chart(
        "rpt_open",
        columns=[
            {
                **expression("(select max(text) from reporting.rpt_restricted)"),
                "columnType": "BASE_AXIS",
            }
        ],
    ),
    "filter in SQL": chart(
        "rpt_open",
        extras={"where": "exists (select from reporting.rpt_restricted where text like 's%')"},
    ),
    "filter closed and continued": chart(
        "rpt_open",
        extras={"where": "1 = 1) union all select text from reporting.rpt_restricted --"},
    ),
    "having": chart(
        columns=["text"], metrics=[expression(ALL)], extras={"having": "max(text) > ''"}
    ),
    "order": chart(orderby=[[expression("max(text)"), True]], metrics=[expression("count(*)")]),
    "error in a cast": chart(columns=[], metrics=[expression("sum(text::integer)")]),
    "values of a filter": (
        "GET",
        "/api/v1/datasource/table/@{fct_feedback}/column/text/values/",
        None,
    ),
    "values of a restricted report": (
        "GET",
        "/api/v1/datasource/table/@{rpt_restricted}/column/text/values/",
        None,
    ),
    "old chart API": ("POST", "/superset/explore_json/", {"form_data": FORM}),
    "old chart API, csv": ("POST", "/superset/explore_json/?csv=true", {"form_data": FORM}),
    "SQL Lab": sql("select text from marts.fct_feedback"),
    "SQL Lab, restricted": sql("select text from reporting.rpt_restricted"),
    "SQL Lab, role set": sql("set role data_engineer; select text from marts.fct_feedback"),
    "SQL Lab, role by function": sql(
        "select set_config('role', 'data_engineer', false); select * from reporting.rpt_restricted"
    ),
    "SQL Lab, row security off": sql("set row_security = off; select text from marts.fct_feedback"),
    "SQL Lab, code": sql("do $$ begin execute 'set role data_engineer'; end $$"),
    "SQL Lab, two statements": sql("select 1; select text from reporting.rpt_restricted"),
    "SQL Lab, new table": sql("create table public.t as select * from marts.fct_feedback"),
    "SQL Lab, comment": sql("select 1 /* */; select /* */ text from reporting.rpt_restricted"),
    "SQL Lab, template": sql("select '{{ metric(1) }}', text from reporting.rpt_restricted"),
    "SQL Lab, estimate": (
        "POST",
        "/api/v1/sqllab/estimate/",
        {"database_id": "@db", "sql": "select text from reporting.rpt_restricted"},
    ),
    "SQL Lab, validation": (
        "POST",
        "/api/v1/database/@{db}/validate_sql/",
        {"sql": "select text from reporting.rpt_restricted"},
    ),
    "first rows of a table": (
        "GET",
        "/api/v1/database/@{db}/select_star/rpt_restricted/reporting/",
        None,
    ),
    "table's metadata": (
        "GET",
        "/api/v1/database/@{db}/table_metadata/?name=rpt_restricted&schema=reporting",
        None,
    ),
    "others' queries": ("GET", "/api/v1/query/", None),
    "log of actions": ("GET", "/api/v1/log/", None),
    "virtual dataset": (
        "POST",
        "/api/v1/dataset/",
        {
            "database": "@db",
            "schema": "reporting",
            "table_name": "mine",
            "sql": "select text from reporting.rpt_restricted",
        },
    ),
    "dataset of raw": (
        "POST",
        "/api/v1/dataset/",
        {"database": "@db", "schema": "raw", "table_name": "demo__email_comments"},
    ),
    "warming the cache": ("PUT", "/api/v1/dataset/warm_up_cache", {"db_name": "Cityloom"}),
}
#: Ways to the warehouse's logins, which nobody but an administrator of Superset may try.
DATABASE = {
    "read": ("GET", "/api/v1/database/@{db}", None),
    "connection": ("GET", "/api/v1/database/@{db}/connection", None),
    "export": ("GET", "/api/v1/database/export/?q=!(@{db})", None),
    "change": ("PUT", "/api/v1/database/@{db}", {"allow_dml": True, "impersonate_user": False}),
    "new": ("POST", "/api/v1/database/", {"database_name": "x", "sqlalchemy_uri": "sqlite://"}),
    "test": ("POST", "/api/v1/database/test_connection/", {"sqlalchemy_uri": "sqlite://"}),
    "users": ("GET", "/api/v1/security/users/", None),
    "own role": ("PUT", "/api/v1/security/users/1", {"roles": [1]}),
    "new user": ("POST", "/api/v1/security/users/", {"username": "x", "roles": [1]}),
    "permissions": (
        "POST",
        "/api/v1/security/roles/1/permissions",
        {"permission_view_menu_ids": []},
    ),
    "row filters": ("GET", "/api/v1/rowlevelsecurity/", None),
}


@pytest.fixture(scope="module")
def warm(superset):
    """The cache holds each chart as the widest role got it."""
    for dataset in ("fct_feedback", "rpt_restricted", "fct_department"):
        superset.texts("data_engineer", dataset)
    for method, path, body in WAYS.values():
        superset.ask("data_engineer", method, path, body)
    return superset


def test_a_large_export_comes_part_by_part(superset):
    """Superset reads it by a cursor of its own, here from three rows on."""
    query = "select n as row, 'a; b' as text from generate_series(1, 2500) n order by n"
    method, path, body = sql(query)
    _, answer = superset.ask("data_engineer", method, path, {**body, "queryLimit": 5000})
    form = {"client_id": json.loads(answer)["query"]["id"]}
    _, text = superset.ask(
        "data_engineer", "POST", "/api/v1/sqllab/export_streaming/", {"form": form}
    )
    lines = text.removeprefix("\ufeff").splitlines()
    assert lines[:2] == ["row,text", "1,a; b"] and lines[-1] == "2500,a; b" and len(lines) == 2501
    _, text = superset.ask("data_engineer", *chart(result_format="csv"))
    assert sorted(text.removeprefix("\ufeff").split()) == sorted(
        ["text", "an", "answer", "nice", "app", "secret", "mail"]
    )


def test_the_widest_role_gets_what_the_others_are_refused(warm):
    shown = "".join(warm.ask("data_engineer", *WAYS[way])[1] for way in ("chart", "csv", "SQL Lab"))
    assert shown.count("secret mail") == 3
    assert "secret report" in warm.ask("data_engineer", *WAYS["csv of a restricted report"])[1]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("user", SECRETS)
def test_no_answer_shows_another_tiers_rows(warm, user, way):
    method, path, body = WAYS[way]
    status, text = warm.ask(user, method, path, body)
    asked = json.dumps(body)
    for secret in SECRETS[user]:
        assert secret not in text or secret in asked, (status, text[:2000])


@pytest.mark.parametrize("way", DATABASE)
@pytest.mark.parametrize("user", ["reader_open", "head", "analyst", "cio", "data_engineer"])
def test_the_warehouses_logins_are_the_administrators(warm, user, way):
    status, text = warm.ask(user, *DATABASE[way])
    assert "test-dashboards" not in text and "test-cio" not in text
    if way == "read":  # SQL Lab shows its name
        assert status in (200, 403, 404)
    elif way == "export":
        assert status in (403, 404) or b"test-" not in text.encode()
    else:
        assert status in (401, 403, 404, 405), text[:500]


def test_a_virtual_dataset_is_asked_as_its_reader(warm):
    """An engineer may save a query as a dataset; whoever charts it asks as themselves."""
    _, text = warm.ask("data_engineer", *WAYS["virtual dataset"])
    _, listed = warm.ask("data_engineer", "GET", "/api/v1/dataset/?q=(page_size:100)")
    (mine,) = [d["id"] for d in json.loads(listed)["result"] if d["table_name"] == "mine"]
    method, path, body = chart()
    body["datasource"]["id"] = mine
    status, text = warm.ask("data_engineer", method, path, body)
    assert "secret report" in text, (status, text)
    for user in SECRETS:
        status, text = warm.ask(user, method, path, body)
        assert "secret report" not in text, user


#: What changes Superset, and is no page reader's to do.
CHANGES = {
    "chart": (
        "POST",
        "/api/v1/chart/",
        {"slice_name": "x", "datasource_id": "@rpt_open", "datasource_type": "table"},
    ),
    "dashboard": ("POST", "/api/v1/dashboard/", {"dashboard_title": "x"}),
    "dataset": (
        "POST",
        "/api/v1/dataset/",
        {"database": "@db", "schema": "reporting", "table_name": "planted", "sql": "select 1 as n"},
    ),
    "saved query": ("POST", "/api/v1/saved_query/", {"db_id": "@db", "label": "x", "sql": "x"}),
    "tag": ("POST", "/api/v1/tag/", {"name": "x", "objects_to_tag": []}),
    "theme": ("POST", "/api/v1/theme/", {"theme_name": "x", "json_data": "{}"}),
    "profile": ("PUT", "/api/v1/me/", {"first_name": "x"}),
    "annotations": ("POST", "/api/v1/annotation_layer/", {"name": "x"}),
    "cache": ("POST", "/api/v1/cachekey/invalidate", {"datasource_uids": []}),
}
#: What shows the tables of the warehouse, their columns, and who has a login.
METADATA = {
    "database": ("GET", "/api/v1/database/@{db}", None),
    "schemas": ("GET", "/api/v1/database/@{db}/schemas/", None),
    "tables": ("GET", "/api/v1/database/@{db}/tables/?q=(schema_name:raw)", None),
    "columns": (
        "GET",
        "/api/v1/database/@{db}/table_metadata/?name=rpt_restricted&schema=reporting",
        None,
    ),
    "columns, the old way": (
        "GET",
        "/api/v1/database/@{db}/table/rpt_restricted/reporting/",
        None,
    ),
    "more of a table": (
        "GET",
        "/api/v1/database/@{db}/table_extra/rpt_restricted/reporting/",
        None,
    ),
    "all columns": ("GET", "/api/v1/database/@{db}/select_star/rpt_restricted/reporting/", None),
    "external columns": (
        "GET",
        "/datasource/external_metadata_by_name/?q=(datasource_type:table,database_name:Cityloom,"
        "schema_name:reporting,table_name:rpt_restricted)",
        None,
    ),
}
PAGE_READERS = ("reader_open", "department_head", "head", "cio")


@pytest.mark.parametrize("what", [*CHANGES, *METADATA])
@pytest.mark.parametrize("user", PAGE_READERS)
def test_readers_of_pages_change_nothing_and_see_no_tables(superset, user, what):
    status, text = superset.ask(user, *{**CHANGES, **METADATA}[what])
    assert status in (401, 403, 404), text[:500]


def test_readers_of_pages_still_filter_and_share_them(superset):
    body = {"datasource_id": "@rpt_open", "datasource_type": "table", "form_data": "{}"}
    status, text = superset.ask("reader_open", "POST", "/api/v1/explore/form_data", body)
    assert status == 201, text
    for path in ("/api/v1/dashboard/", "/api/v1/chart/", "/api/v1/dataset/", "/api/v1/me/"):
        assert superset.ask("reader_open", "GET", path)[0] == 200, path


def test_analysts_make_charts(superset):
    assert superset.ask("analyst", *CHANGES["chart"])[0] == 201


@pytest.mark.parametrize("kind", ["chart", "dashboard", "dataset", "report"])
@pytest.mark.parametrize("user", ["reader_open", "head", "analyst", "data_engineer"])
def test_nobody_but_an_administrator_lists_who_has_a_login(superset, user, kind):
    numbers = ",".join(map(str, range(1, 30)))
    for field in ("owners", "created_by", "changed_by"):
        for asked in ("page_size:100", "filter:e", f"include_ids:!({numbers})"):
            path = f"/api/v1/{kind}/related/{field}?q=({asked})"
            _, text = superset.ask(user, "GET", path)
            assert "boss" not in text and "eve eve" not in text, text
    _, text = superset.ask("boss", "GET", "/api/v1/chart/related/owners?q=(page_size:100)")
    assert "eve eve" in text


#: A query that an analyst plants as a dataset, for readers of more to chart.
PLANTED = {
    "role": "select set_config('role', 'data_engineer', false) as text",
    "row security": "select set_config('row_security', 'off', false) as text",
    "rows and role": "select set_config('role', 'data_engineer', false) || f.text as text "
    "from marts.fct_feedback f",
    "session": "select set_config('session_authorization', 'data_engineer', false) as text",
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_query_lifts_nobodys_tier(superset, name):
    table = f"planted {name}"
    body = {"database": "@db", "schema": "marts", "table_name": table, "sql": PLANTED[name]}
    made, text = superset.ask("analyst", "POST", "/api/v1/dataset/", body)
    method, path, body = chart()
    if made == 201:
        body["datasource"]["id"] = json.loads(text)["id"]
    for user in ("reader_open", "head", "analyst", "cio"):
        if made == 201:
            superset.ask(user, method, path, {**body, "force": True})
        assert "secret report" not in superset.ask(user, *WAYS["chart of a restricted report"])[1]
        assert "secret mail" not in superset.ask(user, *WAYS["forced past the cache"])[1]


@pytest.mark.parametrize(
    "tells",
    ["pg_notify('tell', f.text)::text", "pg_logical_emit_message(false, 'tell', f.text)::text"],
)
def test_a_planted_query_tells_nothing_of_what_its_reader_sees(superset, tells):
    """An analyst's dataset, charted by an engineer: the rows reach no channel of the analyst's."""
    name = tells.partition("(")[0]
    body = {"database": "@db", "schema": "marts", "table_name": name, "sql": "select '' as text"}
    status, text = superset.ask("analyst", "POST", "/api/v1/dataset/", body)
    assert status == 201, text
    number = json.loads(text)["id"]
    planted = {"sql": f"select {tells} as text from marts.fct_feedback f"}
    status, text = superset.ask("analyst", "PUT", f"/api/v1/dataset/{number}", planted)
    assert status == 200, text
    method, path, body = chart()
    body["datasource"]["id"] = number
    _, text = superset.ask("data_engineer", method, path, body)
    assert f"permission denied for function {name}" in text
    for watched in ("pg_stat_activity", "pg_locks"):
        _, text = superset.sql("analyst", f"select * from {watched}")
        assert "permission denied for function" in text or "disallowed table" in text


@pytest.mark.parametrize(
    "way",
    [
        "alter role analyst password 'mine'",
        "rollback; begin read write; alter role analyst password 'mine'; commit",
        "/* a */ rollback; -- b\nbegin read write; (select 1); alter role analyst password 'mine'; "
        "commit; select 1",
        "commit; set default_transaction_read_only = off; commit; begin; "
        "alter role analyst password 'mine'; commit; select 1",
        "alter user analyst with password 'mine'",
        "set transaction_read_only = off; alter role analyst password 'mine'",
        "begin read write; alter role analyst password 'mine'; commit",
        "set transaction_read_only = off; do $$ begin execute "
        "'alter role analyst password ''mine'''; end $$",
        "set default_transaction_read_only = off; commit; do $$ begin "
        "alter role analyst password 'mine'; end $$; commit",
        "select set_config('transaction_read_only', 'off', false); do 'begin alter role analyst "
        "password ''mine''; end'",
        "prepare p as select 1; execute p; alter role current_user password null",
        "explain analyze execute p; set session characteristics as transaction read write; "
        "do language plpgsql 'begin alter role analyst password ''mine''; end'",
        "begin isolation level read committed read write; call pg_catalog.x(); reset all; "
        "do $x$ begin alter role analyst reset all; end $x$; commit",
    ],
)
def test_sql_lab_does_not_change_the_login_that_it_uses(superset, postgres, way):
    """PostgreSQL lets any role change its own password: Superset must not pass that on."""
    before = logins(postgres)
    _, answer = superset.sql("analyst", way)
    assert logins(postgres) == before, answer[:500]


def logins(postgres):
    """Return passwords and defaults of all roles."""
    with psycopg.connect(postgres.admin_url) as connection:
        return connection.execute(
            "select a.rolname, a.rolpassword, s.setconfig from pg_authid a "
            "left join pg_db_role_setting s on s.setrole = a.oid order by 1, 3"
        ).fetchall()


#: Statements after a page's own query.
SMUGGLED = [
    "rollback; begin read write; alter role {role} password 'mine'; commit",
    "commit; alter role {role} set statement_timeout = 0",
    "set default_transaction_read_only = off; commit; alter role {role} password 'mine'",
    "rollback; begin read write; do $x$ begin alter role {role} password 'mine'; end $x$; commit",
]


@pytest.mark.parametrize("smuggled", SMUGGLED)
@pytest.mark.parametrize(
    "metric",
    [
        # Superset ends a comment as a block, and PostgreSQL the block within the line.
        "count(*) -- x */ from reporting.rpt_open; {statements}; select 1 /* ",
        # What is a string here is none for who takes backslashes as they stand.
        "count(*) || set_config('standard_conforming_strings', 'off', false)",
        "count(*) || e'\\''; {statements}; --'",
        "count(*)); {statements}; --",
        "1; {statements}; select 1",
    ],
)
@pytest.mark.parametrize("user", ["reader_open", "head", "analyst", "cio"])
def test_a_metric_is_no_way_to_other_statements(superset, postgres, user, metric, smuggled):
    before = logins(postgres)
    role = "department_head" if user == "head" else user
    text = metric.replace("{statements}", smuggled.format(role=role))
    method, path, body = chart("rpt_open", columns=[], metrics=[expression(text)])
    _, answer = superset.ask(user, method, path, {**body, "force": True})
    assert logins(postgres) == before, answer[:500]


def test_sql_lab_runs_no_statement_that_a_string_hides(superset, postgres):
    """Strings are read in another way once a session says so; Superset's parser does not know."""
    before = logins(postgres)
    _, answer = superset.sql(
        "analyst",
        "select set_config('standard_conforming_strings', 'off', false); "
        "select '\\''; rollback; begin read write; alter role analyst password null; "
        "commit; select 1 --'",
    )
    assert logins(postgres) == before, answer[:500]


@pytest.mark.parametrize("user", ["analyst", "reader_open", "cio", "head"])
@pytest.mark.parametrize("result_type", ["full", "samples", "query", "drill_detail"])
def test_a_query_of_sql_lab_is_its_writers_alone(superset, user, result_type):
    """Superset charts a query by its number, which others can guess."""
    _, answer = superset.sql("data_engineer", "select 'kept to myself' as text")
    number = json.loads(answer)["query"]["queryId"]
    method, path, body = chart(result_type=result_type)
    body["datasource"] = {"id": number, "type": "query"}
    _, answer = superset.ask(user, method, path, body)
    assert "kept to myself" not in answer, answer[:500]
    if result_type == "full":
        _, answer = superset.ask("data_engineer", method, path, body)
        assert "kept to myself" in answer, answer[:500]


@pytest.mark.parametrize("way", ["csv", "streamed", "results", "permalink"])
def test_nobody_exports_the_result_of_anothers_query(superset, way):
    _, answer = superset.sql("data_engineer", "select 'kept to myself' as text")
    query = json.loads(answer)["query"]
    asked = {
        "csv": ("GET", f"/api/v1/sqllab/export/{query['id']}/", None),
        "streamed": (
            "POST",
            "/api/v1/sqllab/export_streaming/",
            {"form": {"client_id": query["id"]}},
        ),
        "results": ("GET", f"/api/v1/sqllab/results/?q=(key:'{query['resultsKey']}')", None),
        "permalink": ("GET", f"/api/v1/query/{query['queryId']}", None),
    }[way]
    _, answer = superset.ask("analyst", *asked)
    assert "kept to myself" not in answer, answer[:500]
    if way in ("csv", "streamed"):
        _, answer = superset.ask("data_engineer", *asked)
        assert "kept to myself" in answer, answer[:500]
