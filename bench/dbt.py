"""`python -m bench.dbt`: what the warehouse's build costs in Airflow beside a native `dbt build`.

On the installation under CITYLOOM_HOME, which is started, and filled with the demo city, where
that is still to be done. In turns:
- native: `dbt build` of everything, as an analytics engineer types it (4 threads, no unit tests,
  with what an earlier run has parsed);
- Airflow: `build_warehouse` triggered by hand, and what follows from it by assets. Its figure is
  the wall time of the tasks between raw and reports, each a process: `wait_for_loads`, `marts`,
  `reports`.

The ratio is of the medians. The whole way by assets, with scheduling, scoring and the push of the
dashboards, is printed as well.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from statistics import median

import psycopg

from catalog import generate
from cli.airflow import Airflow
from cli.pipeline import FOLLOWED, Pipeline
from infra.contract import Deployment, started
from warehouse import progress
from warehouse.dbt import PROJECT, environment

AIM = 1.3
TASKS = ("build_warehouse.wait_for_loads", "build_warehouse.marts", "publish.reports")


def main() -> int:
    """Run the benchmark; return 1 when the aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    given = parser.parse_args()
    deployment = _filled()
    rounds = []
    for number in range(given.rounds + 1):
        native = _native(deployment)
        airflow = _airflow(deployment, f"bench__{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}")
        if number:  # the first only warms: parse, page cache, statistics
            rounds.append({"native": native, **airflow})
    middle = {name: round(median(r[name] for r in rounds), 2) for name in rounds[0]}
    ratio = round(sum(middle[name] for name in TASKS) / middle["native"], 2)
    found = {"seconds": middle, "ratio": ratio, "aim": AIM, "rounds": rounds}
    if given.json:
        print(json.dumps(found, indent=2))
    else:
        print(f"{'native dbt build':<44} {middle['native']:7.1f} s")
        for name in TASKS:
            print(f"{'Airflow task ' + name:<44} {middle[name]:7.1f} s")
        print(f"{'by assets, from trigger to dashboards':<44} {middle['whole way']:7.1f} s")
        print(f"{'tasks / native':<44} {ratio:7.2f}   (aim: {AIM})")
    return 0 if ratio <= AIM else 1


def _filled() -> Deployment:
    """Return the settings of a running stack whose marts hold something."""
    deployment = started(lambda name, text, done: None)
    if progress.pending_watermark(deployment.database_url("warehouse"), "publish"):
        return deployment
    subprocess.run([sys.executable, "-m", "cli.main", "run", "demo"], check=True, stdout=sys.stderr)
    return deployment


def _native(deployment: Deployment) -> float:
    """Return the wall seconds of `dbt build`."""
    target = deployment.scratch_dir / "dbt" / "bench"
    target.mkdir(parents=True, exist_ok=True)
    generate.write()  # as `make generate` does for dbt by hand
    began = time.perf_counter()
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from dbt.cli.main import cli; cli()", "build"),
            *("--threads", "4", "--exclude-resource-type", "unit_test"),
        ],
        cwd=PROJECT,
        env={
            **os.environ,
            **environment(deployment.database_url("warehouse")),
            "DBT_TARGET_PATH": str(target),
            "DBT_LOG_PATH": str(target),
            "DBT_PROFILES_DIR": str(PROJECT),
        },
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"native dbt build failed:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    return time.perf_counter() - began


def _airflow(deployment: Deployment, run_id: str) -> dict[str, float]:
    """Return the wall seconds of the tasks that build, and of the whole way."""
    url = deployment.database_url("warehouse")
    with psycopg.connect(url) as connection:  # so that every step is to be done again
        connection.execute("delete from quality.progress")
    began = datetime.now(UTC)
    with Airflow(deployment) as airflow:
        pipeline = Pipeline(airflow, url, lambda event: None, began)
        pipeline.wait_for_dags(FOLLOWED)
        pipeline.start("build_warehouse", run_id)
        pipeline.follow(run_id)
    for failure in pipeline.failed.values():
        raise SystemExit(f"{failure.dag_id}: {failure.reason}\n{failure.log}")
    seconds = pipeline.seconds()
    ended = max(task.end_date for task in pipeline.tasks.values() if task.end_date)
    whole = (ended - began).total_seconds()
    return {**{name: seconds[name] for name in TASKS}, "whole way": whole}


if __name__ == "__main__":
    sys.exit(main())
