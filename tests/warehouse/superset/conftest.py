"""A real Superset on a warehouse with rows of every tier, and one user a role."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from dashboards.code import place_uuid
from extract.manifests import load_cities
from infra.home import ROOT
from infra.local.services import COMMON
from infra.setup import SUPERSET
from warehouse.tiers import ROLES, declare_cities, department_role

HEAD = department_role("demo", "sanitation")
EVENT = {"department_name": "TEXT", "first_day": "DATE", "last_day": "DATE", "title": "TEXT"}
TABLES = {
    "marts.fct_feedback": (
        "source",
        "values ('demo', 'email_comments', 'secret mail'), "
        "('demo', 'survey_comments', 'an answer'), ('demo', 'app_reviews', 'nice app')",
        ("city_id", "source_id", "text"),
    ),
    "marts.fct_department": (
        "internal",
        "values ('demo', 'sanitation', 'own'), ('demo', 'transport', 'theirs')",
        ("city_id", "department_id", "text"),
    ),
    "reporting.rpt_open": ("open", "values ('for all')", ("text",)),
    "reporting.rpt_restricted": ("restricted", "values ('secret report')", ("text",)),
    "reporting.rpt_line": (
        "open",
        "select city.*, date '2024-01-01' + interval '1 month' * n, n::float "
        "from (values ('demo', 'Loomfield'), ('nyc', 'New York')) as city, "
        "generate_series(0, 11) as n",
        ("city_id", "city_name", "month", "value"),
    ),
    # Stricter than the project's, so that each reader may read others.
    "reporting.rpt_event": (
        "department",
        "values ('demo', 'Loomfield', 'sanitation', 'Sanitation', date '2024-03-14', "
        "date '2024-05-02', 'Strike'), "
        "('demo', 'Loomfield', 'transport', 'Transport', date '2024-03-20', date '2024-03-20', "
        "'Marathon'), "
        "('nyc', 'New York', 'dsny', 'Sanitation', date '2024-02-03', date '2024-02-03', "
        "'Blizzard')",
        ("city_id", "city_name", "department_id", *EVENT),
    ),
    "reporting.rpt_secret_event": (
        "restricted",
        "values ('Loomfield', null::text, date '2024-03-14', date '2024-03-14', 'secret event')",
        ("city_name", *EVENT),
    ),
}
#: Columns of their datasets in Superset; those of the others are a text.
COLUMNS = {
    "rpt_line": {"city_name": "TEXT", "month": "DATE", "value": "FLOAT"},
    "rpt_event": {"city_name": "TEXT", **EVENT},
    "rpt_secret_event": {"city_name": "TEXT", **EVENT},
}


class Superset:
    """Requests to Superset as a user."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, user: str, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Return status and text of an answer; see `server.py`."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([user, method, path, body]) + "\n")
        self._process.stdin.flush()
        status, text = json.loads(self._process.stdout.readline())
        return status, text

    def chart(self, user: str, dataset: str, **query: Any) -> tuple[int, dict[str, Any]]:
        """Return what a chart of a dataset's texts gets."""
        asked = {"columns": ["text"], "metrics": [], "row_limit": 100, **query}
        body = {
            "datasource": {"id": f"@{dataset}", "type": "table"},
            "queries": [asked],
            "result_format": "json",
            "result_type": "full",
        }
        status, text = self.ask(user, "POST", "/api/v1/chart/data", body)
        return status, json.loads(text)

    def texts(self, user: str, dataset: str) -> list[str]:
        """Return the texts that a chart of a dataset shows."""
        status, answer = self.chart(user, dataset)
        assert status == 200, answer
        return sorted(row["text"] for row in answer["result"][0]["data"])

    def sql(self, user: str, query: str) -> tuple[int, str]:
        """Return what SQL Lab answers."""
        body = {"database_id": "@db", "sql": query, "runAsync": False, "queryLimit": 100}
        return self.ask(user, "POST", "/api/v1/sqllab/execute/", body)


def _make_a_figure(connection: psycopg.Connection) -> None:
    """Make calls of the demo city in a month; a call's id is the statement that reads it."""
    connection.execute(
        """
        create table reporting.rpt_area_measure as
        select *, 'calls_offered' as metric_id, 'Calls offered' as metric_name
        from (
            values ('demo', 'Loomfield', '*', 'Whole city'), ('nyc', 'New York', '*', 'Whole city')
        ) as area (city_id, city_name, district_id, area);
        create table marts.fct_kpi as
        select 'demo' as city_id, '*' as district_id, 'calls_offered' as metric_id,
            date '2024-03-01' as period_start, true as is_complete, 2 as n, 2.0 as numerator,
            null::float as denominator, 2.0 as value, null::text as null_reason,
            null::float as target, 3.0 as moving_target, null::float as score,
            1 as definition_version, false as is_restated, false as is_break,
            timestamp '2024-05-01' as as_of;
        create table reporting.rpt_kpi_scorecard as
        select 'demo' as city_id, '*' as district_id, 'calls_offered' as metric_id,
            date '2024-04-01' as year_end, 24 as year_n, 2.0 as year_value,
            null::text as year_null_reason, 12 as year_months,
            date '2023-04-01' as year_covered_from, date '2024-04-01' as year_covered_until;
        create table reporting.rpt_service_status as
        select 'demo' as city_id, 'call_log' as source_id, 'Call log' as title,
            'A sample: one call in ten' as note;
        create view marts.fct_call as
        select 'demo' as city_id, 'call_log' as source_id, left(current_query(), 40) as call_id,
            null::text as district_id,
            timestamp '2024-03-01 09:00' + n * interval '1 day' as offered_at
        from generate_series(1, 2) as n;
        create table staging.stg_demo__call_log (
            call_id text, _load_id bigint, _source_file text, _source_row bigint
        );
        create table marts.dim_district as
        select 'demo' as city_id, 'D05' as district_id, 'Eastgate' as district_name;
        """
    )
    for table, tier in (
        ("reporting.rpt_area_measure", "open"),
        ("marts.fct_kpi", "internal"),
        ("reporting.rpt_kpi_scorecard", "internal"),
        ("reporting.rpt_service_status", "open"),
        ("marts.fct_call", "open"),
        ("staging.stg_demo__call_log", "source"),
        ("marts.dim_district", "open"),
    ):
        connection.execute("select access.protect(%s::regclass, %s)", [table, tier])


@pytest.fixture(scope="package")
def superset(postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Superset]:
    warehouse = postgres
    warehouse.reset()
    declare_cities(warehouse.url, load_cities().cities)
    with psycopg.connect(warehouse.url) as connection:
        for table, (tier, rows, columns) in TABLES.items():
            connection.execute(
                f"create table {table} as select * from ({rows}) as r({', '.join(columns)})"
            )
            connection.execute("select access.protect(%s::regclass, %s)", [table, tier])
            connection.execute("select access.note_built(%s::regclass)", [table])
        connection.execute(
            "create view reporting.rpt_session as "
            "select session_user || ' ' || current_setting('application_name') as text"
        )
        connection.execute("select access.protect('reporting.rpt_session', 'open')")
        _make_a_figure(connection)
    with psycopg.connect(warehouse.admin_url, autocommit=True) as connection:
        connection.execute(f"create role {HEAD} login password 'head' in role department_head")
        connection.execute(f"grant connect on database warehouse to {HEAD}")
    home = tmp_path_factory.mktemp("home")
    address = urlsplit(warehouse.url)
    database = {"host": address.hostname, "port": address.port, "options": ""}
    ports = {"postgres": address.port, "superset": 1, "airflow": 1, "mlflow": 1}
    (home / "stack.json").write_text(json.dumps({"ports": ports, "database": database}))
    (home / "secrets").mkdir(mode=0o700)
    for role, password in {**warehouse.passwords, HEAD: "head"}.items():
        (home / "secrets" / f"postgres_{role}").write_text(password)
    process = subprocess.Popen(
        [SUPERSET.python, str(Path(__file__).with_name("server.py"))],
        cwd=ROOT,
        env=os.environ
        | COMMON
        | {
            "PYTHONPATH": str(ROOT),
            "CITYLOOM_HOME": str(home),
            "SUPERSET_CONFIG_PATH": str(Path(__file__).with_name("superset_config.py")),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=(home / "log").open("w"),
        text=True,
    )
    try:
        assert process.stdin and process.stdout
        uri = warehouse.role_url("dashboards").split("?")[0]
        plan = {
            "database": uri.replace("postgresql:", "postgresql+psycopg2:"),
            "tables": [
                [schema, name, place_uuid(name), COLUMNS.get(name, {"text": "TEXT"})]
                for schema, name in (table.split(".") for table in TABLES)
            ],
            "users": {
                **{role: [role] for role in ROLES if role != "dashboards"},
                "head": ["department_head", HEAD],
                "boss": ["Admin"],
                "eve": ["data_engineer"],
                "nobody": ["Gamma"],
            },
        }
        process.stdin.write(json.dumps(plan) + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == '"ready"\n', (home / "log").read_text()[-4000:]
        yield Superset(process)
    finally:
        process.stdin.close()  # type: ignore[union-attr]
        process.wait(60)
        with psycopg.connect(warehouse.admin_url) as connection:
            connection.execute(f"revoke connect on database warehouse from {HEAD}")
            connection.execute(f"drop role {HEAD}")
