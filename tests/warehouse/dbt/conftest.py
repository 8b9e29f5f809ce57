"""A warehouse with the raw tables of every city, and ways to fill and build it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from extract.load import ensure_raw_tables
from extract.manifests import load_cities
from warehouse import dbt


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
