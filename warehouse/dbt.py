"""Running dbt, and storing the outcome of each node.

`build` runs dbt in a process of its own (its runner keeps global state and cannot share one),
with the profile's values and the target folder in its environment, and stores each node's outcome
in `quality.dbt_results`. One build at a time: others wait. Where dbt is imported already, as in
the tasks of a scheduler that preloads it, that process is a fork and imports nothing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from catalog import generate
from catalog.models import City
from catalog.problems import ManifestError
from warehouse.tiers import declare_cities

PROJECT = generate.DBT_PROJECT
#: Models that need the scores of comments; the others are built before them.
NEEDS_SCORES = "source:ml+"
FAILED = ("error", "fail", "runtime error")
EXAMPLES = 3


@dataclass(frozen=True)
class NodeOutcome:
    """The outcome of one model, seed or test, as in `quality.dbt_results`.

    `failures` is a test's count of failing rows, `rows_affected` a model's rows.
    """

    node_id: str
    resource_type: str
    name: str
    status: str
    seconds: float
    rows_affected: int | None
    failures: int | None
    message: str | None

    @property
    def failed(self) -> bool:
        """Whether the build failed for it; a node that was skipped did not fail."""
        return self.status in FAILED


@dataclass(frozen=True)
class DbtSummary:
    """One invocation of dbt."""

    invocation_id: str
    seconds: float
    nodes: tuple[NodeOutcome, ...]

    def _count(self, *resource_types: str, status: tuple[str, ...] = ("success", "pass")) -> int:
        return sum(n.resource_type in resource_types and n.status in status for n in self.nodes)

    @property
    def models(self) -> int:
        """Models and seeds that were built."""
        return self._count("model", "seed")

    @property
    def tests(self) -> int:
        """Tests that passed."""
        return self._count("test", "unit_test")

    @property
    def rows(self) -> int:
        """Rows of the tables that were built."""
        return sum(n.rows_affected or 0 for n in self.nodes if n.resource_type == "model")

    @property
    def skipped(self) -> int:
        """Nodes that were not run because something before them failed."""
        return sum(node.status == "skipped" for node in self.nodes)

    @property
    def warnings(self) -> tuple[NodeOutcome, ...]:
        """Tests that found rows and are to warn only."""
        return tuple(node for node in self.nodes if node.status == "warn")

    @property
    def failures(self) -> tuple[NodeOutcome, ...]:
        """Nodes that failed."""
        return tuple(node for node in self.nodes if node.failed)

    def __str__(self) -> str:
        """Return one line: what was built, tested, skipped, failed."""
        return (
            f"{self.models} models and seeds, {self.tests} tests passed, "
            f"{len(self.failures)} failed, {self.skipped} skipped, {self.seconds:.0f} s"
        )


class DbtFailed(Exception):
    """dbt failed. `summary` is None where it ended before its first node."""

    def __init__(self, message: str, summary: DbtSummary | None = None) -> None:
        self.summary = summary
        super().__init__(message)


def environment(warehouse_url: str) -> dict[str, str]:
    """Return the variables that `dbt_project/profiles.yml` reads, for a `postgresql://` URL.

    The URL's other options (`require_auth`, `sslmode`, ...) are for libpq, which dbt's profile has
    no place for: without them the password would be sent to any server on the port that asks.
    """
    parts = conninfo_to_dict(warehouse_url)
    options = {
        option.envvar.decode(): str(parts[option.keyword.decode()])
        for option in pq.Conninfo.get_defaults()
        if option.envvar and option.keyword.decode() in parts
    }
    login = ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE")
    return {
        **{name: value for name, value in options.items() if name not in login},
        "CITYLOOM_DBT_HOST": unquote(str(parts.get("host") or "127.0.0.1")),
        "CITYLOOM_DBT_PORT": str(parts.get("port") or 5432),
        "CITYLOOM_DBT_USER": str(parts.get("user") or "warehouse"),
        "CITYLOOM_DBT_PASSWORD": str(parts.get("password") or ""),
        "CITYLOOM_DBT_DBNAME": str(parts.get("dbname") or "warehouse"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }


def build(
    warehouse_url: str,
    *,
    select: Sequence[str] = (),
    exclude: Sequence[str] = (),
    target_dir: Path = PROJECT / "target",
    run_id: str = "",
    retry: bool = False,
    unit_tests: bool = False,
    threads: int = 4,
    echo: Callable[[str], object] = print,
    redact: Callable[[str], str] = str,
    project: Path = PROJECT,
    cities: Iterable[City] | None = None,
) -> DbtSummary:
    """Run `dbt build` (seeds, models, data tests) and store the outcome of each node.

    `select` and `exclude` are dbt's own; without them all is built. What dbt parsed and its
    results are kept under `target_dir`, in a folder for each selection. With `retry`, what
    failed or was skipped in the last run of this selection and `run_id` is run again by `dbt
    retry`; a run that left no results is run whole. Unit tests are the test suite's, unless
    `unit_tests`. `echo` takes dbt's log lines. `redact` masks personal data in whatever quotes
    the database: log lines, messages, failing rows. What dbt reads of `cities` (all of them, if
    not given) is generated first.

    Raises `DbtFailed` with each failing node's reason; the outcomes are stored then, too.
    """
    try:
        generate.refresh(project, cities, echo)
    except ManifestError as error:
        raise DbtFailed(str(error)) from error
    declare_cities(warehouse_url, generate.declared(project))
    arguments = [*(["--select", *select] if select else [])]
    arguments += ["--exclude", *exclude] if exclude else []
    if not unit_tests:
        arguments += ["--exclude-resource-type", "unit_test"]
    folder = target_dir / hashlib.sha256("\n".join(arguments).encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    results_file = folder / "run_results.json"
    run_file = folder / "run_id"
    # Results of an older run are no reason to retry: this run would then build nothing.
    if retry and results_file.is_file() and run_file.is_file() and run_file.read_text() == run_id:
        command = ["retry"]
    else:
        results_file.unlink(missing_ok=True)
        run_file.write_text(run_id)
        command = ["build", *arguments]
    before = results_file.stat().st_mtime_ns if results_file.is_file() else None
    # dbt parses all anew where its variables change. In what it kept, a staging model that was left
    # out would stay so when its source is declared again.
    sources = (project / generate.GENERATED / "macros/raw_tables.sql").read_bytes()
    command += ["--vars", json.dumps({"sources": hashlib.sha256(sources).hexdigest()[:12]})]
    with _one_at_a_time(warehouse_url, echo) as lock:
        code, tail = _dbt(
            [*command, "--threads", str(threads)],
            warehouse_url,
            folder,
            target_dir,
            project,
            lambda line: echo(redact(line)),
            lock,
        )
    fresh = results_file.is_file() and results_file.stat().st_mtime_ns != before
    if not fresh:
        if code == 0:  # a retry that found nothing to do
            return DbtSummary("", 0.0, ())
        text = "\n".join(map(redact, tail[-15:]))
        raise DbtFailed(f"dbt ended before it ran anything:\n{text}")
    document = json.loads(results_file.read_text(encoding="utf-8"))
    summary = _summary(document, redact)
    _record(warehouse_url, summary, document["metadata"]["generated_at"], run_id)
    compiled = {r["unique_id"]: r.get("compiled_code") for r in document["results"]}
    for line in _described(warehouse_url, summary.warnings, compiled):
        echo(redact(f"warning: {line.removeprefix('- ')}"))
    if summary.failures:
        lines = _described(warehouse_url, summary.failures, compiled)
        raise DbtFailed(redact("\n".join([f"dbt: {summary}", *lines])), summary)
    if code != 0:
        raise DbtFailed("dbt failed:\n" + "\n".join(map(redact, tail[-15:])), summary)
    return summary


def _dbt(
    arguments: list[str],
    warehouse_url: str,
    folder: Path,
    target_dir: Path,
    project: Path,
    echo: Callable[[str], object],
    lock: int,
) -> tuple[int, list[str]]:
    """Run dbt; return its exit code and the last lines it wrote.

    It keeps the build lock's connection, `lock`, open: if this process is killed, the lock lasts
    for as long as dbt still builds.
    """
    variables = {
        **os.environ,
        **environment(warehouse_url),
        "DBT_TARGET_PATH": str(folder),
        "DBT_LOG_PATH": str(folder),
        "DBT_PROJECT_DIR": str(project),
        "DBT_PROFILES_DIR": str(project),
        "DBT_USE_COLORS": "false",
        "DBT_VERSION_CHECK": "true",
    }
    if not (folder / "partial_parse.msgpack").is_file():
        # All selections are of one project, so the parse of one serves the others.
        known = next(target_dir.glob("*/partial_parse.msgpack"), None)
        if known:
            variables["DBT_PARTIAL_PARSE_FILE_PATH"] = str(known)
    process: multiprocessing.process.BaseProcess | _Spawned
    if "dbt.cli.main" in sys.modules:
        process, output = _fork(arguments, variables, project)  # which inherits `lock`
    else:
        process, output = _spawn(arguments, variables, project, lock)
    tail: list[str] = []
    try:
        for line in output:
            line = line.rstrip()
            if not line or " START " in line:
                continue
            tail = [*tail[-49:], line]
            echo(line)
        process.join()
        return process.exitcode or 0, tail
    finally:
        output.close()
        if process.is_alive():
            process.terminate()
            process.join(timeout=20)
            process.kill()


class _Spawned(subprocess.Popen[str]):
    """A program with the methods of a process of `multiprocessing`."""

    @property
    def exitcode(self) -> int | None:
        return self.poll()

    def is_alive(self) -> bool:
        return self.poll() is None

    def join(self, timeout: float | None = None) -> None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(timeout)


def _spawn(
    arguments: list[str], variables: dict[str, str], project: Path, lock: int
) -> tuple[_Spawned, IO[str]]:
    process = _Spawned(
        [sys.executable, "-c", "from dbt.cli.main import cli; cli()", *arguments],
        cwd=project,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=(lock,),
    )
    assert process.stdout is not None
    return process, process.stdout


def _fork(
    arguments: list[str], variables: dict[str, str], project: Path
) -> tuple[multiprocessing.process.BaseProcess, IO[str]]:
    reading, writing = os.pipe()
    process = multiprocessing.get_context("fork").Process(
        target=_in_fork, args=(arguments, variables, project, writing)
    )
    process.start()
    os.close(writing)
    return process, os.fdopen(reading, encoding="utf-8", errors="replace")


def _in_fork(arguments: list[str], variables: dict[str, str], project: Path, writing: int) -> None:
    from dbt.cli.main import cli

    for stream in (1, 2):
        os.dup2(writing, stream)
    sys.stdout = sys.stderr = os.fdopen(writing, "w", encoding="utf-8", buffering=1)
    logging.getLogger().handlers.clear()  # they write where the parent does
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(project)
    cli(arguments)


@contextmanager
def _one_at_a_time(warehouse_url: str, echo: Callable[[str], object]) -> Iterator[int]:
    """Hold the build lock: two builds at once would replace each other's tables.

    Yields the file descriptor of the connection that holds it.
    """
    lock = "hashtext('cityloom.dbt')"
    with psycopg.connect(warehouse_url, autocommit=True) as connection:
        ((is_free,),) = connection.execute(f"select pg_try_advisory_lock({lock})").fetchall()
        if not is_free:
            echo("waiting for another dbt build to end")
            connection.execute(f"select pg_advisory_lock({lock})")
        yield connection.fileno()


def _summary(document: dict[str, Any], redact: Callable[[str], str]) -> DbtSummary:
    nodes = []
    for result in document["results"]:
        node_id = result["unique_id"]
        resource_type = node_id.split(".")[0]
        if resource_type == "exposure":
            continue
        nodes.append(
            NodeOutcome(
                node_id=node_id,
                resource_type=resource_type,
                # test.cityloom.<name>.<hash>, model.cityloom.<name>
                name=node_id.split(".")[2],
                status=result["status"],
                seconds=round(result["execution_time"], 3),
                rows_affected=(result.get("adapter_response") or {}).get("rows_affected"),
                failures=result.get("failures"),
                message=redact(result["message"]) if result.get("message") else None,
            )
        )
    return DbtSummary(document["metadata"]["invocation_id"], document["elapsed_time"], tuple(nodes))


def _without_rows(message: str | None) -> str | None:
    """Return a message without PostgreSQL's details, which quote keys and rows of any tier."""
    return message and re.sub(r"\n\s*(DETAIL|CONTEXT):.*(?=\n|$)", "", message)


def _record(warehouse_url: str, summary: DbtSummary, completed_at: str, run_id: str) -> None:
    with psycopg.connect(warehouse_url) as connection, connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into quality.dbt_results (
                invocation_id, node_id, resource_type, name, status, rows_affected, seconds,
                failures, message, run_id, completed_at
            )
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            on conflict do nothing
            """,
            [
                (
                    summary.invocation_id,
                    node.node_id,
                    node.resource_type,
                    node.name,
                    node.status,
                    # dbt says -1 where it cannot count
                    node.rows_affected if (node.rows_affected or 0) >= 0 else None,
                    node.seconds,
                    node.failures,
                    _without_rows(node.message),
                    run_id,
                    completed_at,
                )
                for node in summary.nodes
            ],
        )


def _described(
    warehouse_url: str, nodes: Sequence[NodeOutcome], compiled: dict[str, str | None]
) -> list[str]:
    """Return what is wrong with each node; for a test with a few of the rows that it found."""
    lines = []
    for node in nodes:
        text = " ".join((node.message or "no message").split())
        lines.append(f"- {node.resource_type} {node.name}: {text}")
        if node.resource_type == "test" and node.status in ("fail", "warn"):
            lines += [f"    {row}" for row in _examples(warehouse_url, compiled[node.node_id])]
    return lines


def _examples(warehouse_url: str, query: str | None) -> list[str]:
    if not query:
        return []
    try:
        with psycopg.connect(warehouse_url) as connection:
            cursor = connection.execute(f"select * from ({query}\n) as failing limit {EXAMPLES}")
            names = [column.name for column in cursor.description or ()]
            return [
                ", ".join(
                    f"{name}={value}" for name, value in zip(names, row, strict=True) if value
                )[:200]
                for row in cursor
            ]
    except psycopg.Error as error:
        return [f"(its rows could not be read: {error})"]
