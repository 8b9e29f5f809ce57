"""One running stack for the whole tier, in a home of its own; always taken down."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from infra.contract import Deployment, load_deployment
from infra.home import ROOT
from infra.local.ports import is_free
from infra.local.settings import Settings, settings_from
from infra.local.state import FIRST_PORTS

NYC = Path(os.environ.get("CITYLOOM_TEST_DATA") or ROOT.parent / "shared" / "data") / "nyc"
#: What depends on neither the order nor the number of loads; `rpt_service_status` tells of loads.
STABLE = ("marts", "reporting")
UNSTABLE = ("rpt_service_status",)


@dataclass(frozen=True)
class Stack:
    """A running installation, driven as a user does: by the command."""

    home: Path
    ports: dict[str, int]

    @property
    def deployment(self) -> Deployment:
        return load_deployment(self.home / "deployment.json")

    @property
    def settings(self) -> Settings:
        return settings_from(self.home, json.loads((self.home / "stack.json").read_text()))

    @property
    def environment(self) -> dict[str, str]:
        ports = {f"CITYLOOM_PORT_{name.upper()}": str(port) for name, port in self.ports.items()}
        return {**os.environ, "CITYLOOM_HOME": str(self.home), **ports}

    def start(self, *arguments: str, log: Path) -> subprocess.Popen[str]:
        """Begin a command; its words go to `log`."""
        with log.open("w") as file:
            return subprocess.Popen(
                [sys.executable, "-m", "cli.main", *arguments],
                cwd=ROOT,
                env=self.environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def command(
        self, *arguments: str, succeeds: bool = True, seconds: float = 1800
    ) -> subprocess.CompletedProcess[str]:
        """Run `cityloom` with these arguments; fail the test unless it ends as expected."""
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        output = f"cityloom {' '.join(arguments)} ended with {done.returncode}:\n"
        output += done.stdout[-4000:] + done.stderr[-4000:]
        assert (done.returncode == 0) is succeeds, output
        return done

    def run(self, *arguments: str, succeeds: bool = True) -> dict[str, Any]:
        """Run a city's pipeline; return its outcome, loads by source.

        Where a source's schedule loaded it as well, the load that brought something is the one.
        """
        done = self.command("run", *arguments, "--json", succeeds=succeeds)
        outcome = json.loads(done.stdout)
        loads = sorted(outcome["loads"], key=lambda load: load["state"] == "accepted")
        outcome["loads"] = {load["source_id"]: load for load in loads}
        return outcome

    def sql(self, query: str) -> list[tuple]:
        """Return a query's rows, of every tier."""
        with psycopg.connect(self.settings.database_url("warehouse")) as connection:
            return connection.execute(query).fetchall()

    def value(self, query: str) -> Any:
        """Return a query's one value."""
        ((value,),) = self.sql(query)
        return value

    def fingerprint(self) -> dict[str, tuple[int, str]]:
        """Return rows and a hash of each table that people read."""
        tables = self.sql(
            "select schemaname || '.' || tablename from pg_tables "
            f"where schemaname in {STABLE} and tablename not in ('{UNSTABLE[0]}') order by 1"
        )
        return {
            table: self.sql(
                "select count(*), coalesce(md5(string_agg(md5(t::text), '' "
                f"order by md5(t::text))), '') from {table} t"
            )[0]
            for (table,) in tables
        }

    def admin(self, *statements: str) -> None:
        """Run statements as the server's superuser, outside the warehouse."""
        settings = self.settings
        url = (
            f"postgresql://postgres:{settings.secret('postgres_superuser')}"
            f"@127.0.0.1:{settings.ports['postgres']}/postgres"
        )
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def copy_warehouse(self, source: str, target: str) -> None:
        """Make database `target` what database `source` is."""
        self.admin(
            f"select pg_terminate_backend(pid) from pg_stat_activity "
            f"where datname in ('{source}', '{target}')",
            f"drop database if exists {target} with (force)",
            f"create database {target} template {source} owner warehouse",
            f"revoke all on database {target} from public",
            f"grant connect on database {target} to analyst, dashboards",
        )


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The stack, up; its home and servers are gone afterwards."""
    # Short, because a socket's path must be.
    home = Path(tempfile.mkdtemp(prefix="cl-"))
    # Drawn by lot: another installation that starts just now would find the same ones free.
    ports = dict.fromkeys(FIRST_PORTS, 0)
    for name in ports:
        while not ports[name] or not is_free(ports[name]):
            ports[name] = random.randrange(20_000, 30_000)
    running = Stack(home, ports)
    try:
        running.command("up")
        yield running
    finally:
        kept = os.environ.get("CITYLOOM_TEST_LOGS")
        if kept and (home / "logs").is_dir():
            shutil.copytree(home / "logs", kept, dirs_exist_ok=True)
        running.command("down", seconds=900)
        running.command("reset", "--yes", seconds=900)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def demo(stack: Stack) -> dict[str, Any]:
    """The demo city's first run: what came of it."""
    return stack.run("demo")


@pytest.fixture(scope="session")
def nyc_data() -> Path:
    """New York's files, beside the checkout."""
    if not NYC.is_dir():
        pytest.skip(f"no public data at {NYC}")
    return NYC


@pytest.fixture(scope="session")
def nyc(stack: Stack, demo: dict[str, Any], nyc_data: Path) -> dict[str, Any]:
    """New York's first run, from its files."""
    return stack.run("nyc", "--snapshot", str(nyc_data))
