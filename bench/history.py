"""`python -m bench.history`: what a build of the warehouse costs as the history grows.

On throw-away servers with the stack's settings, one for each size of history: a city of N service
requests, one every 30 seconds as in New York, and the same city with ten times as many, each with
the corrections of a month. Each is built in full twice; the second build counts, whose models dbt
has parsed.

The ratio is of wall time at ten times the history and at N: what does not grow with it makes it
less than ten.

Example, in some minutes: python -m bench.history --rows 200000
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from bench.server import throwaway
from extract.load import ensure_raw_tables
from extract.manifests import load_cities
from warehouse import dbt
from warehouse.bootstrap import OWNERS, READERS, bootstrap, role_url
from warehouse.schema import create_schemas

#: Aim of the project: a build of ten times the history costs at most so many times one of N.
AIM = 10.0
MIN_ROWS = 150_000
#: When the newest request of a history is opened: whatever its size, days are in the same months.
NEWEST = "timestamp '2024-12-20'"

#: Requests by number, from 1: one every 30 seconds, each closed within two weeks or, one in 50,
#: within half a year; what is closed after `as_of` is open still.
_REQUESTS = """
insert into raw.nyc__service_requests (
  unique_key, created_date, closed_date, due_date, agency, agency_name, complaint_type, descriptor,
  status, community_board, open_data_channel_type, latitude, longitude,
  _load_id, _row_hash, _source_file, _source_row)
select (50000000 + number)::text, opened_at, case when is_closed then closed_at end,
  opened_at + interval '5 days', agency, agency || ' office', 'Service ' || number % 40,
  'Descriptor ' || number % 200, case when is_closed then 'Closed' else 'Open' end,
  case when number % 25 <> 0 then lpad((1 + number % 12)::text, 2, '0') || ' ' || borough end,
  (array['ONLINE', 'PHONE', 'MOBILE'])[1 + number % 3],
  40.5 + (number % 12 + 0.2 + 0.6 * (hashint8extended(place, 1) & 65535) / 65536.0) * 0.4 / 12,
  -74.2 + (number / 7 % 5 + 0.2 + 0.6 * (hashint8extended(place, 2) & 65535) / 65536.0) * 0.1,
  {load_id}, 'h', 'bench', number
from (
  -- One in five is of a place that has many.
  select number, opened_at, closed_at, closed_at <= {as_of} as is_closed,
    case when number % 5 = 0 then number % 2003 else number end as place,
    (array['NYPD', 'DSNY', 'HPD', 'DOT', 'DEP'])[1 + number % 5] as agency,
    (array['MANHATTAN', 'BRONX', 'BROOKLYN', 'QUEENS', 'STATEN ISLAND'])[1 + number / 7 % 5]
      as borough
  from (
    select number, opened_at,
      opened_at + (number * 2654435761 % 1000003) / 1000003.0
      * case when number % 50 = 0 then interval '180 days' else interval '14 days' end as closed_at
    from (
      select number::bigint, {newest} + (number - {rows}) * interval '30 seconds' as opened_at
      from {numbers} as number
    ) as numbered
  ) as dated
) as request
"""
#: A district is a circle of 400 corners, wide enough to overlap its neighbours' boxes.
_DISTRICTS = """
insert into raw.nyc__community_districts (boro_cd, geometry,
  _load_id, _row_hash, _source_file, _source_row)
select (borough * 100 + board)::text,
  json_build_object('type', 'Polygon', 'coordinates', json_build_array((
    select json_agg(json_build_array(
      -74.2 + (borough - 1) * 0.1 + 0.05 + 0.05 * cos(2 * pi() * corner / 400),
      40.5 + (board - 1) * 0.4 / 12 + 0.4 / 24 + 0.4 / 24 * sin(2 * pi() * corner / 400))
      order by corner)
    from generate_series(0, 400) as corner)))::text,
  1, 'h', 'bench', borough * 100 + board
from generate_series(1, 5) as borough, generate_series(1, 12) as board
"""


@dataclass(frozen=True)
class Cost:
    """Of one build: seconds of wall, of PostgreSQL's CPU, and of the slowest models and tests."""

    wall: float
    cpu: float
    slowest: dict[str, float]


def main() -> int:
    """Run the benchmark; return 1 when the aim is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="N (%(default)s)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 10], help="histories, times N")
    parser.add_argument("--slowest", type=int, default=0, help="list so many models and tests, too")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    given = parser.parse_args()
    if given.rows < MIN_ROWS:
        parser.error(f"--rows must be at least {MIN_ROWS}: a month corrects the last six weeks")
    found = {size * given.rows: measure(size * given.rows) for size in given.sizes}
    rows = sorted(found)
    ratio = round(found[rows[-1]].wall / found[rows[0]].wall, 2)
    load = os.getloadavg()[0]
    if given.json:
        costs = {str(size): asdict(found[size]) for size in rows}
        print(json.dumps({"load": load, "ratio": ratio, "builds": costs}, indent=1))
    else:
        print(f"load average {load:.1f} on {os.cpu_count()} cores")
        for size in rows:
            print(f"{size:>12,} requests{found[size].cpu:9.1f} s CPU{found[size].wall:9.1f} s wall")
            for node, seconds in list(found[size].slowest.items())[: given.slowest]:
                print(f"    {node:<60}{seconds:7.1f} s wall")
        print(f"ratio {ratio} for {rows[-1] / rows[0]:.0f} times the history (aim: at most {AIM})")
    return 0 if ratio <= AIM else 1


def measure(rows: int) -> Cost:
    """Return what the build of a history costs."""
    with _warehouse() as (url, cpu_seconds), tempfile.TemporaryDirectory() as folder:
        target = Path(folder)
        dbt.build(url, target_dir=target, echo=_silent)  # dbt parses the project once
        with psycopg.connect(url) as connection:
            connection.execute(_DISTRICTS)
            _append(connection, 1, rows, f"generate_series(1, {rows})", newest=rows)
            for day in range(1, 31):
                newest = rows + 200 * day
                numbers = (
                    f"unnest(array(select generate_series({newest - 199}, {newest})"
                    f" union select {rows} - 250 * n - {day} from generate_series(1, 80) as n"
                    f" union select {rows} - 6000 * n - {day}"
                    " from generate_series(1, 20) as n))"
                )
                _append(connection, 1 + day, rows, numbers, newest)
            connection.execute("analyze raw.nyc__service_requests")
        return _build(url, target, cpu_seconds)


@contextmanager
def _warehouse() -> Iterator[tuple[str, Callable[[], float]]]:
    """Start a server with an empty warehouse; yield its URL, and what CPU time it has used."""
    with throwaway() as admin_url:
        passwords = {role: role for role in (*OWNERS, *READERS)}
        bootstrap(admin_url, passwords)
        url = role_url(admin_url, "warehouse", passwords["warehouse"])
        create_schemas(url)
        ensure_raw_tables(url, load_cities().cities)
        with psycopg.connect(admin_url) as connection:
            ((pid_file,),) = connection.execute(
                "select current_setting('data_directory') || '/postmaster.pid'"
            ).fetchall()
            ((text,),) = connection.execute("select pg_read_file(%s)", [pid_file]).fetchall()
        yield url, lambda: _cpu_seconds(int(text.split()[0]))


def _cpu_seconds(postmaster: int) -> float:
    """Return the CPU time of a server's processes, those that have ended included."""
    ticks = 0
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    for pid in (str(postmaster), *children):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        # utime, stime, and of the postmaster those of the children it has waited for
        ticks += sum(map(int, fields[11:15] if pid == str(postmaster) else fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _append(
    connection: psycopg.Connection, load_id: int, rows: int, numbers: str, newest: int
) -> None:
    """Append requests to raw as a load does, as they are when the newest is opened."""
    connection.execute(
        sql.SQL(_REQUESTS).format(
            load_id=sql.Literal(load_id),
            numbers=sql.SQL(numbers),
            rows=sql.Literal(rows),
            newest=sql.SQL(NEWEST),
            as_of=sql.SQL(f"{NEWEST} + {newest - rows} * interval '30 seconds'"),
        )
    )


def _build(url: str, target: Path, cpu_seconds: Callable[[], float]) -> Cost:
    cpu, began = cpu_seconds(), time.perf_counter()
    built = dbt.build(url, target_dir=target, echo=_silent)
    wall = time.perf_counter() - began
    slowest = {n.name: n.seconds for n in sorted(built.nodes, key=lambda node: -node.seconds)[:25]}
    return Cost(round(wall, 1), round(cpu_seconds() - cpu, 1), slowest)


def _silent(line: str) -> None:
    """Drop a line of dbt's log."""


if __name__ == "__main__":
    raise SystemExit(main())
