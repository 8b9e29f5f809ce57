"""`cityloom run`: run a city's pipeline through Airflow and report its outcome.

The loads are triggered here. What follows from them is started by their assets, and followed here
until the watermarks of `warehouse.progress` show no step behind. A step that no event started,
because a process was killed before it emitted one, is triggered.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from pydantic import BaseModel

from catalog.models import City, Source
from cli.airflow import Airflow, RunKey, Task
from infra.contract import Deployment, DeploymentError
from infra.home import write_private
from warehouse import outcomes, progress

#: What follows from a load, and the step whose watermark shows that it is behind.
STEPS: dict[str, progress.Step] = {
    "build_warehouse": "build",
    "score_feedback": "score",
    "publish": "publish",
}
TRAIN = "train_sentiment"
FOLLOWED = (*STEPS, TRAIN)
#: The run ids of this command begin with it, so that a later one knows what a killed one left.
PREFIX = "cityloom__"
POLL_SECONDS = 1.5
#: With a dead scheduler, a task is found and started anew within about two minutes.
STALLED_SECONDS = 420
#: An asset event starts a run sooner than this, or was never emitted.
EVENT_SECONDS = 20
#: After this long without a change, a note gives the reason.
WARN_SECONDS = 60


class RunError(Exception):
    """The pipeline cannot be run as asked, or makes no progress; has the reason and the remedy."""


class Outcome(BaseModel):
    """How a run went."""

    city_id: str
    seconds: float = 0.0
    #: Rows of `quality.loads` in the manifests' order; `own` is false for a load that another run
    #: brought in since the reports were last published.
    loads: list[dict[str, Any]] = []
    #: What failed for good.
    failures: list[Task] = []
    #: Wall seconds of each task, by `dag_id.task_id`.
    tasks: dict[str, float] = {}
    champion: dict[str, Any] | None = None


#: What happens while a run is followed: a line about the run as a whole, or a task whose state
#: changed.
Event = str | Task
Report = Callable[[Event], None]


def run(
    deployment: Deployment,
    city: City,
    sources: Sequence[Source],
    snapshot: Path | None,
    report: Report,
) -> Outcome:
    """Load these sources of a city through Airflow and follow what comes of it to the end.

    `snapshot`: folder to read in place of the live sources. Raises `RunError` when another run is
    under way or nothing changes any more, `AirflowError` when Airflow does not answer.
    """
    warehouse = deployment.database_url("warehouse")
    began = datetime.now(UTC)
    run_id = f"{PREFIX}{began:%Y-%m-%dT%H:%M:%S.%f}"
    dag_ids = [source.dag_id for source in sources]
    with _only_run(deployment), Airflow(deployment) as airflow:
        pipeline = Pipeline(airflow, warehouse, report, began - timedelta(seconds=1))
        pipeline.wait_for_dags([*dag_ids, *FOLLOWED])
        pipeline.end_leftovers(dag_ids)
        reported = progress.stored_watermark(warehouse, "publish")
        with _schedules(airflow, deployment, dag_ids, keep=snapshot is None):
            if outcomes.champion(warehouse) is None:
                pipeline.start(TRAIN, run_id)
            for dag_id in dag_ids:
                pipeline.start(dag_id, run_id, {"snapshot": str(snapshot)} if snapshot else None)
            pipeline.follow(run_id)
        decision = airflow.event(TRAIN, pipeline.since).get("reason")
    return Outcome(
        city_id=city.city_id,
        seconds=(datetime.now(UTC) - began).total_seconds(),
        loads=outcomes.run_loads(warehouse, sources, run_id, reported),
        failures=list(pipeline.failed.values()),
        tasks=pipeline.seconds(),
        champion=_champion(deployment, city, decision),
    )


@dataclass
class Pipeline:
    """The runs of one `cityloom run`, from the first trigger until nothing is active."""

    airflow: Airflow
    warehouse: str
    report: Report
    #: Tasks that changed since then are looked at.
    since: datetime
    started: set[RunKey] = field(default_factory=set)
    active: set[RunKey] = field(default_factory=set)
    tasks: dict[tuple[RunKey, str], Task] = field(default_factory=dict)
    #: By DAG and task: what failed for good in the newest run that came to it.
    failed: dict[tuple[str, str], Task] = field(default_factory=dict)

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
        for dag_id, run_id in self.airflow.active_runs():
            if dag_id in dag_ids and run_id.startswith(PREFIX):
                self.report(f"ending {dag_id}, left over from an earlier run")
                self.airflow.fail((dag_id, run_id))

    def start(self, dag_id: str, run_id: str, conf: dict[str, Any] | None = None) -> None:
        """Trigger a DAG."""
        self.airflow.trigger(dag_id, run_id, conf)
        self.started.add((dag_id, run_id))

    def follow(self, run_id: str) -> None:
        """Return when no run is active and no step is behind, but for one that failed.

        A step that stays behind while nothing is active is started, as `run_id`: its event was
        never emitted.
        """
        changed_at, warned = time.monotonic(), False
        while True:
            if self._look():
                changed_at, warned = time.monotonic(), False
            behind = None if self.active else self._step_behind(run_id)
            if not self.active and not behind:
                return
            still = time.monotonic() - changed_at
            if behind and still > EVENT_SECONDS:
                if any(dag_id == behind for dag_id, _ in self.failed):
                    return
                self.report(f"{behind} is behind; starting it")
                self.start(behind, f"{run_id}_{STEPS[behind]}")
            if still > WARN_SECONDS and (why := self._standstill()):
                why = f"nothing has changed for {still:.0f} s ({why})"
                if still > STALLED_SECONDS:
                    raise RunError(
                        f"{why}, and {', '.join(sorted(dag for dag, _ in self.active))} is not "
                        "done; `cityloom doctor` looks for the cause, then run again"
                    )
                if not warned:
                    self.report(f"{why}; `cityloom up` in another terminal starts what is down")
                    warned = True
            time.sleep(POLL_SECONDS)

    def _look(self) -> bool:
        """Read the runs and tasks that changed; return whether any did."""
        before = self.active, dict(self.tasks)
        self.active = {run for run in self.airflow.active_runs() if self._is_followed(run)}
        for task in self.airflow.tasks(self.since):
            if self._is_followed(task.key[0]):
                self._take(task)
        return before != (self.active, self.tasks)

    def _is_followed(self, run: RunKey) -> bool:
        return run in self.started or run[0] in FOLLOWED

    def _take(self, task: Task) -> None:
        """Report a task whose state changed, and keep account of what failed."""
        before = self.tasks.get(task.key)
        self.tasks[task.key] = task
        if before and (before.state, before.try_number) == (task.state, task.try_number):
            return
        name = (task.dag_id, task.task_id)
        if task.state == "failed":
            task = self.failed[name] = self.airflow.explain(task)
        elif task.state in ("running", "success", "skipped"):  # it was cleared, or a later run's
            self.failed.pop(name, None)
        self.report(task)

    def _step_behind(self, run_id: str) -> str | None:
        """Return the first DAG whose step is behind and was not yet started for that.

        A champion that a person chose in MLflow meanwhile can keep a step behind.
        """
        for dag_id, step in STEPS.items():
            if (dag_id, f"{run_id}_{step}") in self.started:
                continue
            try:
                if progress.is_behind(self.warehouse, step):
                    return dag_id
            except psycopg.OperationalError:  # the database restarts: ask again
                return dag_id
        return None

    def _standstill(self) -> str:
        """Return why nothing changes; empty while a task runs and all of Airflow lives."""
        # A task that died with its scheduler stays "running": ask whether the scheduler lives.
        if dead := self.airflow.unhealthy():
            return f"no heartbeat of Airflow's {', '.join(dead)}"
        busy = any(task.state == "running" for task in self.tasks.values())
        return "" if busy else "no task runs"

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each task, over all runs, by `dag_id.task_id`."""
        sums: defaultdict[str, float] = defaultdict(float)
        for task in self.tasks.values():
            sums[f"{task.dag_id}.{task.task_id}"] += task.duration or 0
        return {name: round(total, 2) for name, total in sums.items()}


@contextmanager
def _only_run(deployment: Deployment) -> Iterator[None]:
    """Keep a second `cityloom run` out: it would end this one's loads as left over."""
    with (deployment.scratch_dir / "run.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            busy = "another `cityloom run` of this installation is under way; wait for it"
            raise RunError(busy) from error
        yield


@contextmanager
def _schedules(
    airflow: Airflow, deployment: Deployment, dag_ids: Sequence[str], keep: bool
) -> Iterator[None]:
    """Unpause the DAGs; afterwards `keep` them so, or pause those that were paused before.

    A city that was read from a snapshot does not call a live portal each night. What is to be
    paused is written down first, so that the next run does it for one that was killed.
    """
    note = deployment.scratch_dir / "dags-to-pause.json"
    noted = set(json.loads(note.read_text())) if note.is_file() else set()
    paused = airflow.dags()
    unpaused_here = {dag_id for dag_id in dag_ids if paused[dag_id]}
    to_pause = noted - set(dag_ids) if keep else noted | unpaused_here
    to_pause &= set(paused)  # the DAG of a source that was removed is gone
    write_private(note, json.dumps(sorted(to_pause)))  # whole, also on a full disk
    for dag_id in unpaused_here:
        airflow.pause(dag_id, False)
    yield
    for dag_id in to_pause:
        airflow.pause(dag_id, True)
    note.unlink()


def _champion(deployment: Deployment, city: City, decision: str | None) -> dict[str, Any] | None:
    """Return the champion: its description in MLflow, and how well it reads a simulated city."""
    from ml.registry import description

    warehouse = deployment.database_url("warehouse")
    found = outcomes.champion(warehouse)
    if found is None:
        return None
    if city.simulated:
        found |= outcomes.agreement(warehouse, city.city_id, found["version"])
    with suppress(DeploymentError):
        mlflow = deployment.url("mlflow"), deployment.login("mlflow")
        found["description"] = description(*mlflow, found["model"], found["version"])
    return {**found, "decision": decision}
