"""A warehouse with the raw tables of every city, and ways to fill and build it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from expectations import gate
from extract import load as loader
from extract.load import ensure_raw_tables
from extract.manifests import load_cities, load_city
from simulator import growth
from warehouse import dbt
from warehouse.tiers import department_role

DAY = datetime(2024, 1, 2, 9)


@dataclass
class Built:
    """Raw tables to write to, and dbt."""

    url: str
    target_dir: Path
    log: list[str] = field(default_factory=list)

    def add(self, table: str, load_id: int, *rows: dict[str, Any]) -> None:
        """Append versions of rows to `raw.<table>`."""
        with psycopg.connect(self.url) as connection:
            for number, row in enumerate(rows, 1):
                full = {
                    **row,
                    "_load_id": load_id,
                    "_row_hash": "h",
                    "_source_file": "test",
                    "_source_row": number,
                }
                connection.execute(
                    sql.SQL("insert into raw.{} ({}) values ({})").format(
                        sql.Identifier(table),
                        sql.SQL(", ").join(map(sql.Identifier, full)),
                        sql.SQL(", ").join([sql.Placeholder()] * len(full)),
                    ),
                    list(full.values()),
                )

    def load(self, city_id: str, sources: Iterable[str], folder: Path, docs: Path) -> None:
        """Load files of a city's sources, through the gate."""
        city = load_city(city_id)
        for name in sources:
            report = loader.stage(city.source(name), self.url, folder, salt=b"salt")
            gated = gate.run(city.source(name), report.load_id, self.url, docs / name)
            assert gated.load.state == "accepted", name

    def build(self, **options: Any) -> dbt.DbtSummary:
        return dbt.build(self.url, target_dir=self.target_dir, echo=self.log.append, **options)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(query).fetchall()

    def hashes(self) -> dict[str, str]:
        """A hash of each mart's and report's rows, whatever their order."""
        found = {}
        for schema, table in self.rows(
            "select schemaname, tablename from pg_tables where schemaname in ('marts', 'reporting')"
        ):
            lines = sorted(str(row) for row in self.rows(f"select * from {schema}.{table}"))
            found[table] = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        return found


@pytest.fixture(scope="module")
def built(warehouse, tmp_path_factory: pytest.TempPathFactory) -> Built:
    ensure_raw_tables(warehouse.url, load_cities().cities)
    # One folder for all modules: dbt parses the project once.
    target = tmp_path_factory.getbasetemp() / "dbt"
    return Built(warehouse.url, target)


@pytest.fixture(scope="module")
def drop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo city's files of its first four months."""
    folder = tmp_path_factory.mktemp("drop")
    growth.ensure(folder, last_day=date(2023, 4, 30))
    return folder


@pytest.fixture(scope="module")
def walls(built):
    """Rows of sources of every tier, built; a head of the demo city's sanitation."""
    comment = {"language": "en", "district": "D01", "topic": "sanitation"}
    built.add(
        "demo__email_comments",
        1,
        {**comment, "message_id": "E20240102-01", "received_at": DAY, "body": "secret mail"},
    )
    built.add(
        "demo__survey_comments",
        1,
        {**comment, "response_id": "S20240102-01", "submitted_at": DAY, "comment": "an answer"},
    )
    built.add(
        "demo__app_reviews",
        1,
        {**comment, "review_id": "A20240102-01", "created_at": DAY, "stars": 4, "text": "nice app"},
    )
    request = {
        "service_name": "Missed collection",
        "channel": "phone",
        "status": "open",
        "opened_at": DAY,
        "due_at": DAY,
        "latitude": 41.5,
        "longitude": -101.5,
        "updated_at": DAY,
    }
    built.add(
        "demo__service_requests",
        1,
        {**request, "request_id": "20240102-0001", "department": "sanitation"},
        {**request, "request_id": "20240102-0002", "department": "transport"},
    )
    built.add(
        "nyc__service_requests",
        1,
        {
            **{"unique_key": "77", "created_date": DAY, "agency": "DSNY", "status": "Open"},
            **{"complaint_type": "Noise", "latitude": 40.7, "longitude": -73.9},
        },
    )
    built.add(
        "demo__collection_rounds",
        1,
        {
            **{"round_id": "20240102-D01", "round_date": date(2024, 1, 2), "district": "D01"},
            **{"scheduled_stops": 100, "missed_stops": 1},
        },
    )
    with psycopg.connect(built.url) as connection:
        connection.execute("insert into ml.champion values ('sentiment', 1)")
        for key in ("E20240102-01", "S20240102-01", "A20240102-01"):
            connection.execute(
                "insert into ml.feedback_score values "
                "('demo', %s, 'sentiment', 1, 'h', 'negative', 0.9, 0.9, 0.05, 0.05)",
                [key],
            )
    built.build()
    return built


@pytest.fixture(scope="module")
def ask(walls, postgres):
    """Rows of a query, as a role of the warehouse or as a department's head."""
    head = department_role("demo", "sanitation")
    with psycopg.connect(postgres.admin_url, autocommit=True) as connection:
        connection.execute(f"create role {head} login password 'h' in role department_head")
        connection.execute(f"grant connect on database warehouse to {head}")

    def as_role(role, query):
        url = postgres.role_url("analyst").replace("analyst:test-analyst", f"{role}:test-{role}")
        if role == "head":
            url = postgres.role_url("analyst").replace("analyst:test-analyst", f"{head}:h")
        with psycopg.connect(url) as connection:
            return connection.execute(query).fetchall()

    yield as_role
    with psycopg.connect(postgres.admin_url) as connection:
        connection.execute(f"revoke connect on database warehouse from {head}")
        connection.execute(f"drop role {head}")
