"""One throw-away PostgreSQL 18 a test session, bootstrapped as the stack's own is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from bench.server import throwaway
from warehouse.bootstrap import OWNERS, READERS, bootstrap, role_url
from warehouse.schema import create_schemas


@dataclass(frozen=True)
class Warehouse:
    """URLs of the session's server.

    `url`: the owner role `warehouse`. `admin_url`: the superuser, on database `postgres`. `log`:
    the server's log.
    """

    admin_url: str
    passwords: dict[str, str]
    log: Path

    @property
    def url(self) -> str:
        return self.role_url("warehouse")

    def role_url(self, role: str, database: str | None = None) -> str:
        """URL of any role of warehouse.bootstrap (`analyst`, `dashboards`, `mlflow`, ...)."""
        return role_url(self.admin_url, role, self.passwords[role], database)

    def reset(self) -> None:
        """Drop everything in the warehouse and make the schemas and control tables anew."""
        with psycopg.connect(self.url) as connection:
            for (schema,) in connection.execute(
                "select nspname from pg_namespace where nspowner = 'warehouse'::regrole"
            ).fetchall():
                connection.execute(f'drop schema "{schema}" cascade')
        create_schemas(self.url)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """Server with roles and databases, shared by the session."""
    log = tmp_path_factory.mktemp("postgres") / "server.log"
    with throwaway(log) as admin_url:
        passwords = {role: f"test-{role}" for role in (*OWNERS, *READERS)}
        bootstrap(admin_url, passwords)
        create_schemas(role_url(admin_url, "warehouse", passwords["warehouse"]))
        yield Warehouse(admin_url, passwords, log)


@pytest.fixture(scope="module")
def warehouse(postgres: Warehouse) -> Warehouse:
    """Warehouse with empty control tables; fresh for each test module."""
    postgres.reset()
    return postgres
