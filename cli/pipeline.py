"""`cityloom run`: drive a city's pipeline through Airflow, and tell how it went.

The loads are triggered here; what follows from them is started by their assets, and followed
here until all is quiet. What a killed process left undone is found by the marks of
`warehouse.progress`, and triggered.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row

from catalog.models import City, Source
from cli.airflow import Airflow, Run, Task
from infra.contract import Deployment
from infra.home import write_private
from warehouse import progress

#: What follows from a load, and the mark by which each step is known to be behind.
STEPS: dict[str, progress.Step] = {
    "build_warehouse": "build",
    "score_feedback": "score",
    "publish": "publish",
}
TRAIN = "train_sentiment"
FOLLOWED = (*STEPS, TRAIN)
#: Runs of this command carry it, so that a later one knows what a killed one left.
PREFIX = "cityloom__"
POLL_SECONDS = 1.5
#: With a dead scheduler, a task is found and started anew within about two minutes.
STALLED_SECONDS = 420
#: Whoever looks on is told why nothing happens.
QUIET_SECONDS = 60


class RunError(Exception):
    """The pipeline cannot be run as asked, or does not move; says why and what to do."""


@dataclass(frozen=True)
class Failure:
    """A task that failed for good: why, and the place of its log."""

    dag_id: str
    task_id: str
    reason: str
    log: str


@dataclass
class Outcome:
    """How a run went. `loads` are rows of `quality.loads`, in the manifests' order."""

    city_id: str
    seconds: float = 0.0
    loads: list[dict[str, Any]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    #: Wall seconds of each task, by `dag_id.task_id`.
    tasks: dict[str, float] = field(default_factory=dict)
    champion: dict[str, Any] | None = None

    @property
    def succeeded(self) -> bool:
        """Whether nothing failed for good."""
        return not self.failures


class Watcher:
    """Is told of what happens while a run is followed; this one keeps silent."""

    def says(self, text: str) -> None:
        """Take a line about the run as a whole."""

    def moved(self, task: Task, label: str) -> None:
        """Take a task whose state changed."""

    def failed(self, failure: Failure) -> None:
        """Take a task that failed for good."""

    def now(self, tasks: Sequence[Task], waiting: int) -> None:
        """Take the tasks under way, and the number of runs that wait."""


def run(
    deployment: Deployment,
    city: City,
    sources: Sequence[Source],
    snapshot: Path | None,
    watcher: Watcher,
) -> Outcome:
    """Load these sources of a city through Airflow and follow what comes of it to the end.

    `snapshot`: folder to read in place of the live sources. Raises `RunError` when another run
    is under way or nothing moves any more, `AirflowError` when Airflow is gone.
    """
    warehouse = deployment.database_url("warehouse")
    began = datetime.now(UTC)
    with _alone(deployment), Airflow(deployment) as airflow:
        pipeline = Pipeline(airflow, warehouse, watcher, began - timedelta(seconds=1))
        dag_ids = {f"extract_{s.city_id}_{s.source}": s for s in sources}
        pipeline.wait_for_dags([*dag_ids, *FOLLOWED])
        pipeline.end_leftovers(dag_ids)
        run_id = f"{PREFIX}{began:%Y-%m-%dT%H:%M:%S.%f}"
        with _clocks(airflow, deployment, list(dag_ids), keep=snapshot is None):
            if not _has_champion(warehouse):
                pipeline.start(TRAIN, run_id)
            for dag_id in dag_ids:
                pipeline.start(dag_id, run_id, {"snapshot": str(snapshot)} if snapshot else None)
            pipeline.follow()
            pipeline.make_up(run_id)
    outcome = Outcome(city.city_id)
    outcome.loads = _loads(warehouse, sources, run_id)
    outcome.failures = pipeline.failures()
    outcome.tasks = pipeline.seconds()
    outcome.champion = describe_champion(deployment, city)
    outcome.seconds = (datetime.now(UTC) - began).total_seconds()
    return outcome


class Pipeline:
    """The runs of one `cityloom run`, from the first trigger until all is quiet."""

    def __init__(self, airflow: Airflow, warehouse: str, watcher: Watcher, since: datetime) -> None:
        self.airflow = airflow
        self.warehouse = warehouse
        self.watcher = watcher
        self.since = since
        self.own: set[tuple[str, str]] = set()
        self.runs: dict[tuple[str, str], Run] = {}
        self.tasks: dict[tuple[str, str, str], Task] = {}
        self.settled: set[tuple[str, str]] = set()
        self.told: dict[tuple[str, str, str], Failure] = {}

    def wait_for_dags(self, dag_ids: Sequence[str], seconds: float = 180) -> None:
        """Wait until Airflow has read every DAG; its processor needs a moment after a start."""
        deadline = time.monotonic() + seconds
        while missing := sorted(set(dag_ids) - set(self.airflow.dags())):
            if errors := self.airflow.import_errors():
                raise RunError("Airflow cannot read dags/:\n" + "\n".join(errors))
            if time.monotonic() > deadline:
                raise RunError(
                    f"Airflow does not know {', '.join(missing)} after {seconds:.0f} s; "
                    "see the log of airflow-dag-processor (`cityloom status` names the folder)"
                )
            time.sleep(1)

    def end_leftovers(self, dag_ids: Sequence[str]) -> None:
        """End loads that a killed `cityloom run` of these sources left behind."""
        for found in self.airflow.active_runs():
            if found.dag_id in dag_ids and found.run_id.startswith(PREFIX):
                self.watcher.says(f"ending {found.dag_id}, left over from an earlier run")
                self.airflow.fail(found)

    def start(self, dag_id: str, run_id: str, conf: dict[str, Any] | None = None) -> None:
        """Trigger a DAG."""
        started = self.airflow.trigger(dag_id, run_id, conf)
        self.own.add((started.dag_id, started.run_id))

    def follow(self) -> None:
        """Return when no run is active, nor any due by an asset, at two looks in a row."""
        quiet = 0
        moved = time.monotonic()
        told = False
        while quiet < 2:
            # Events before runs: an event leaves the queue only as a run that is then seen.
            due = [dag_id for dag_id in STEPS if self.airflow.awaits_run(dag_id)]
            changed = self._look()
            active = [found for found in self.runs.values() if found.active]
            quiet = 0 if active or due else quiet + 1
            busy = [task for task in self.tasks.values() if task.state == "running"]
            self.watcher.now(busy, len(active))
            if changed:
                moved, told = time.monotonic(), False
            still = time.monotonic() - moved
            # A task that died with its scheduler stays "running": only a live one says so of it.
            if still > QUIET_SECONDS and ((sick := self.airflow.unwell()) or not busy):
                why = f"no sign of life from Airflow's {', '.join(sick)}" if sick else "all wait"
                if still > STALLED_SECONDS:
                    names = ", ".join(sorted({found.dag_id for found in active} | set(due)))
                    raise RunError(
                        f"nothing has moved for {still:.0f} s ({why}), and {names} is not done; "
                        "`cityloom doctor` looks for the cause, then run again"
                    )
                if not told:
                    self.watcher.says(
                        f"nothing has moved for {still:.0f} s ({why}); `cityloom up` in another "
                        "terminal starts what is down"
                    )
                    told = True
            time.sleep(POLL_SECONDS)

    def make_up(self, run_id: str) -> None:
        """Start what a killed process never told of: steps that are behind and did not fail."""
        for dag_id, step in STEPS.items():
            failed = any(failure.dag_id in FOLLOWED for failure in self.failures())
            if not failed and progress.is_behind(self.warehouse, step):
                self.watcher.says(f"{dag_id} is behind; starting it")
                self.start(dag_id, f"{run_id}_{step}")
                self.follow()

    def failures(self) -> list[Failure]:
        """Return the tasks that failed for good, unless a later run of their DAG did well."""
        newest: dict[str, Run] = {}
        for found in self.runs.values():
            if found.dag_id not in newest or found.run_after > newest[found.dag_id].run_after:
                newest[found.dag_id] = found
        last: dict[tuple[str, str], Failure] = {}
        for (dag_id, run_id, task_id), failure in sorted(
            self.told.items(), key=lambda item: self.runs[item[0][:2]].run_after
        ):
            if newest[dag_id].run_id == run_id or newest[dag_id].state == "failed":
                # What failed, and failed again in the next run, is one thing to mend.
                last[dag_id, task_id] = failure
        return list(last.values())

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each task, over all runs."""
        sums: dict[str, float] = {}
        for task in self.tasks.values():
            name = f"{task.dag_id}.{task.task_id}"
            sums[name] = round(sums.get(name, 0.0) + (task.seconds or 0.0), 2)
        return sums

    def ended(self) -> datetime:
        """Return when the last of the runs ended."""
        return max(run.ended for run in self.runs.values() if run.ended)

    def _look(self) -> bool:
        """Read runs and tasks anew; tell whether anything changed."""
        before = (dict(self.runs), dict(self.tasks))
        found = {
            (run.dag_id, run.run_id): run
            for run in (*self.airflow.runs(self.since), *self.airflow.active_runs())
        }
        for key, run in self.runs.items():
            if run.active and key not in found:  # older than this command, and over now
                found[key] = self.airflow.run(run)
        for key, run in found.items():
            if key in self.own or run.dag_id in FOLLOWED:
                self.runs[key] = run
        unsettled = [run for key, run in self.runs.items() if run.active or key not in self.settled]
        for task in self.airflow.tasks(unsettled):
            self._take(task)
        self.settled |= {(found.dag_id, found.run_id) for found in unsettled if not found.active}
        return before != (self.runs, self.tasks)

    def _take(self, task: Task) -> None:
        key = (task.dag_id, task.run_id, task.task_id)
        before = self.tasks.get(key)
        self.tasks[key] = task
        if before is None or (before.state, before.try_number) != (task.state, task.try_number):
            self.watcher.moved(task, label(task))
            if task.state == "failed":
                reason = self.airflow.reason(task)
                self.told[key] = Failure(task.dag_id, task.task_id, reason.text, reason.log)
                self.watcher.failed(self.told[key])
            elif key in self.told:  # it was cleared, and runs again
                del self.told[key]


def label(task: Task) -> str:
    """Return a task's name for a person: `demo/permits stage`, `build marts`."""
    return f"{short(task.dag_id)} {task.task_id}"


def short(dag_id: str) -> str:
    """Return a DAG's name for a person: `demo/permits`, `build`.

    >>> short("extract_demo_call_log"), short("score_feedback")
    ('demo/call_log', 'score')
    """
    if dag_id.startswith("extract_"):
        city, _, source = dag_id.removeprefix("extract_").partition("_")
        return f"{city}/{source}"
    return dag_id.partition("_")[0]


@contextmanager
def _alone(deployment: Deployment) -> Iterator[None]:
    """Keep a second `cityloom run` out: it would end this one's loads as left over."""
    with (deployment.scratch_dir / "run.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunError(
                "another `cityloom run` of this installation is under way; wait for it"
            ) from error
        yield


@contextmanager
def _clocks(
    airflow: Airflow, deployment: Deployment, dag_ids: Sequence[str], keep: bool
) -> Iterator[None]:
    """Let the DAGs run; afterwards `keep` their clocks going, or stop those that stood still.

    A snapshot is no reason to call a live portal each night. What is to be stopped is written
    down first, so that the next run makes up for one that was killed.
    """
    note = deployment.scratch_dir / "clocks-to-stop.json"
    to_stop = set(json.loads(note.read_text())) if note.is_file() else set()
    paused = airflow.dags()
    still = {dag_id for dag_id in dag_ids if paused[dag_id]}
    to_stop = to_stop - set(dag_ids) if keep else to_stop | still
    to_stop &= set(paused)  # a source that is gone has no clock any more
    write_private(note, json.dumps(sorted(to_stop)))  # whole, also on a full disk
    for dag_id in still:
        airflow.pause(dag_id, False)
    yield
    for dag_id in to_stop:
        airflow.pause(dag_id, True)
    note.unlink()


def _has_champion(warehouse: str) -> bool:
    with psycopg.connect(warehouse) as connection:
        found = connection.execute(
            "select 1 from ml.champion where model_name = %s", [progress.MODEL]
        )
        return found.fetchone() is not None


def _loads(warehouse: str, sources: Sequence[Source], run_id: str) -> list[dict[str, Any]]:
    """Return what became of each source's load in this run."""
    with psycopg.connect(warehouse, row_factory=dict_row) as connection:
        found = {
            row["source_id"]: row
            for row in connection.execute(
                """
                select source_id, load_id, state, rows_read, rows_accepted, rows_unchanged,
                       rows_quarantined, message, data_docs
                from quality.loads where run_id = %s and city_id = %s order by load_id
                """,
                [run_id, sources[0].city_id],
            )
        }
    return [found[s.source] for s in sources if s.source in found]


def describe_champion(deployment: Deployment, city: City) -> dict[str, Any] | None:
    """Return the champion's name and version, or None.

    `description` is what MLflow says of it: its net and its figures. For a simulated city, which
    knows what its residents meant, also `agreement`: the share of `n` comments that the champion
    reads as they were meant.
    """
    with psycopg.connect(deployment.database_url("warehouse"), row_factory=dict_row) as connection:
        champion = connection.execute(
            "select model_name as model, model_version as version from ml.champion "
            "where model_name = %s",
            [progress.MODEL],
        ).fetchone()
        if champion is None:
            return None
        table = connection.execute("select to_regclass('reporting.rpt_model_agreement')")
        if city.simulated and table.fetchone()["to_regclass"]:
            champion |= connection.execute(
                """
                select sum(n)::bigint as n,
                       round(sum(n) filter (where agrees) / nullif(sum(n), 0), 4)::float8
                           as agreement
                from reporting.rpt_model_agreement where city_id = %s and model_version = %s
                """,
                [city.city_id, champion["version"]],
            ).fetchone()
    # By REST, because importing MLflow's client costs more than all the rest of this.
    with suppress(httpx.HTTPError, KeyError):
        answer = httpx.get(
            f"{deployment.url('mlflow')}/api/2.0/mlflow/model-versions/get",
            params={"name": champion["model"], "version": champion["version"]},
            auth=deployment.login("mlflow"),
            trust_env=False,
        )
        champion["description"] = answer.json()["model_version"]["description"]
    return champion
