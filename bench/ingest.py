"""`python -m bench.ingest`: what a load costs beside a plain COPY of the same file.

A file of 1,000,000 rows shaped like New York's 311 export (41 columns, about 330 MB) is
- copied by plain COPY into a table of text columns, in the transaction that makes it;
- loaded for the first time: read, typed, hashed, compared, staged by ADBC, committed to `raw`;
- loaded again unchanged;
- loaded by a dlt pipeline with its defaults (once; `--no-dlt` leaves it out).

All on one throw-away PostgreSQL with the stack's settings, in turns. Each figure is the median
over rounds of the ratio to that round's COPY, so that what else the machine does matters less.
Loads run in a process of their own, whose peak memory is shown for this file and for its first
quarter.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import psycopg
from psycopg import sql

from bench.service_requests import HEADER, write
from catalog.models import Column, Reader, Source, normalise

TYPES = {
    "unique_key": "integer",
    "created_date": "timestamp",
    "closed_date": "timestamp",
    "due_date": "timestamp",
    "resolution_action_updated_date": "timestamp",
    "x_coordinate_state_plane": "integer",
    "y_coordinate_state_plane": "integer",
    "latitude": "double",
    "longitude": "double",
}
#: Aims of the project: ratio to COPY.
AIMS = {"first load": 1.6, "reload, unchanged": 1.0}


def main() -> int:
    """Run the benchmark; return 1 when an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-dlt", action="store_true", help="leave the peer out (a minute)")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    parser.add_argument("--load", nargs=2, metavar=("URL", "FILE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.load:
        print(json.dumps(_load(*given.load)))
        return 0
    result = run(given.rows, given.rounds, with_dlt=not given.no_dlt)
    print(json.dumps(result, indent=1) if given.json else _table(result))
    return 0 if all(result["ratios"][name] <= aim for name, aim in AIMS.items()) else 1


def run(rows: int, rounds: int, *, with_dlt: bool) -> dict:
    """Return seconds, ratios and peak memory; see the module."""
    with tempfile.TemporaryDirectory(prefix="cityloom-bench-") as folder, _server() as url:
        whole, quarter = Path(folder) / "whole.csv", Path(folder) / "quarter.csv"
        size = write(whole, rows)
        write(quarter, rows // 4)
        seconds: dict[str, list[float]] = {}
        ratios: dict[str, list[float]] = {}
        memory: dict[str, int] = {}

        def note(name: str, took: float, copy: float) -> None:
            seconds.setdefault(name, []).append(took)
            ratios.setdefault(name, []).append(took / copy)

        _warm(whole)
        for number in range(rounds):
            before = _copy(url, whole)
            first = _child(url, whole, fresh=True)
            again = _child(url, whole)
            copy = (before + _copy(url, whole)) / 2
            note("plain COPY", copy, copy)
            note("first load", first["seconds"], copy)
            note("reload, unchanged", again["seconds"], copy)
            assert (first["new"], again["unchanged"]) == (rows, rows), (first, again)
            memory["first load"] = max(first["peak"], memory.get("first load", 0))
            memory["reload, unchanged"] = max(again["peak"], memory.get("reload, unchanged", 0))
            if with_dlt and number == rounds - 1:
                note("dlt, defaults", _dlt(url, whole), copy)
        memory["first load, a quarter"] = _child(url, quarter, fresh=True)["peak"]
        memory["reload, a quarter"] = _child(url, quarter)["peak"]
    return {
        "rows": rows,
        "bytes": size,
        "rounds": rounds,
        "seconds": {name: round(median(values), 2) for name, values in seconds.items()},
        "ratios": {name: round(median(values), 2) for name, values in ratios.items()},
        "spread": {name: [round(v, 2) for v in sorted(values)] for name, values in ratios.items()},
        "peak_megabytes": memory,
        "load_average": round(os.getloadavg()[0], 1),
    }


@contextmanager
def _server() -> Iterator[str]:
    """Start a server that flushes to disk, as the stack's own does; yield its URL."""
    from bench.server import throwaway
    from warehouse.bootstrap import READERS

    with throwaway() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                connection.execute(f"alter system set {setting} = on")
            connection.execute("select pg_reload_conf()")
            for role in READERS:
                connection.execute(f"create role {role}")
        yield url


def _source(file: Path) -> Source:
    return Source(
        source="service_requests",
        department="oti",
        title="311",
        grain="one row a request",
        owner="bench",
        licence="CC0-1.0",
        tier="open",
        cadence="@daily",
        city_id="bench",
        primary_key=("unique_key",),
        read=Reader(connector="csv", files=(file.name,)),
        columns={normalise(h): Column(type=TYPES.get(normalise(h), "text")) for h in HEADER},
    )


def _load(url: str, file: str) -> dict:
    """Stage and commit a file; return seconds, what came of it, and this process' peak MB."""
    from extract import load as loader

    path = Path(file)
    source = _source(path)
    start = time.perf_counter()
    report = loader.stage(source, url, path.parent)
    if report.state == "staged":
        report = loader.commit(report.load_id, url, source)
    return {
        "seconds": time.perf_counter() - start,
        "new": report.rows_new,
        "unchanged": report.rows_unchanged,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def _child(url: str, file: Path, *, fresh: bool = False) -> dict:
    from warehouse.schema import SCHEMAS, create_schemas

    if fresh:
        with psycopg.connect(url) as connection:
            for schema in SCHEMAS:
                connection.execute(f"drop schema if exists {schema} cascade")
        create_schemas(url)
    _settle(url)
    command = [sys.executable, "-m", "bench.ingest", "--load", url, str(file)]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1]
    )
    return json.loads(done.stdout)


def _copy(url: str, file: Path) -> float:
    table = sql.Identifier("public", "plain")
    columns = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(h)) for h in HEADER)
    _settle(url)
    with psycopg.connect(url) as connection:
        connection.execute(sql.SQL("drop table if exists {}").format(table))
        connection.commit()
        start = time.perf_counter()
        connection.execute(sql.SQL("create table {} ({})").format(table, columns))
        statement = sql.SQL("copy {} from stdin (format csv, header)").format(table)
        with connection.cursor().copy(statement) as copy, file.open("rb") as opened:
            while data := opened.read(1 << 20):
                copy.write(data)
        connection.commit()
        took = time.perf_counter() - start
        connection.execute(sql.SQL("drop table {}").format(table))
    return took


def _dlt(url: str, file: Path) -> float:
    """Load the file as dlt's documentation does, with nothing set; return seconds."""
    os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}
    import dlt
    from dlt.sources.filesystem import filesystem, read_csv

    _settle(url)
    with tempfile.TemporaryDirectory(prefix="cityloom-dlt-") as folder:
        pipeline = dlt.pipeline(
            "bench",
            pipelines_dir=folder,
            destination=dlt.destinations.postgres(url),
            dataset_name="peer",
        )
        files = filesystem(bucket_url=file.parent.as_uri(), file_glob=file.name)
        start = time.perf_counter()
        pipeline.run((files | read_csv()).with_name("requests"))
        return time.perf_counter() - start


def _settle(url: str) -> None:
    """Let no run pay for what the one before it left to write."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("checkpoint")


def _warm(file: Path) -> None:
    with file.open("rb") as opened:
        while opened.read(1 << 22):
            pass


def _table(result: dict) -> str:
    lines = [
        f"{result['rows']:,} rows, {result['bytes'] / 1e6:.0f} MB, median of {result['rounds']} "
        f"rounds, load average {result['load_average']}",
        f"{'':24}{'seconds':>9}{'x COPY':>9}{'aim':>7}{'peak MB':>9}",
    ]
    for name, took in result["seconds"].items():
        aim = f"{AIMS[name]:.1f}" if name in AIMS else ""
        peak = result["peak_megabytes"].get(name, "")
        lines.append(f"{name:24}{took:9.2f}{result['ratios'][name]:9.2f}{aim:>7}{peak:>9}")
    for name, peak in result["peak_megabytes"].items():
        if name not in result["seconds"]:
            lines.append(f"{name:24}{'':25}{peak:>9}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
