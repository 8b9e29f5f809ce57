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

from catalog.models import City
from cli.airflow import Airflow, RunKey, Task
from infra.contract import Deployment
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
#: States of a gate that its load is past; skipped: nothing was new.
PAST = ("success", "skipped", "failed", "upstream_failed")
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
    """How a run went.

    `loads`: rows of `quality.loads` in the manifests' order; `own` is false for one that another
    run brought in since the reports were last published. `failures`: what failed for good.
    `tasks`: the wall seconds of each task, by its name. `warnings`: what is in raw, but in no
    mart, by source. `test_warnings`: dbt's tests that warn, in their newest outcome.
    """

    city_id: str
    seconds: float = 0.0
    loads: list[dict[str, Any]] = []
    failures: list[Task] = []
    tasks: dict[str, float] = {}
    champion: dict[str, Any] | None = None
    warnings: dict[str, str] = {}
    test_warnings: list[dict[str, Any]] = []


#: Called with a line about the run as a whole, or with a task whose state changed.
Report = Callable[[str | Task], None]


def run(deployment: Deployment, city: City, snapshot: Path | None, report: Report) -> Outcome:
    """Load the sources of a city through Airflow and follow what comes of it to the end.

    `snapshot`: folder to read in place of the live sources. Raises `RunError` when another run is
    under way or nothing changes any more, `AirflowError` when Airflow does not answer.
    """
    warehouse = deployment.database_url("warehouse")
    began = datetime.now(UTC)
    run_id = f"{PREFIX}{began:%Y-%m-%dT%H:%M:%S.%f}"
    dag_ids = [source.dag_id for source in city.sources]
    with _only_run(deployment), Airflow(deployment) as airflow:
        pipeline = Pipeline(airflow, warehouse, report, began - timedelta(seconds=1))
        pipeline.wait_for_dags([*dag_ids, *FOLLOWED])
        for dag_id, earlier in airflow.active_runs():
            if dag_id in dag_ids and earlier.startswith(PREFIX):
                report(f"ending {dag_id}, left over from a `cityloom run` that was killed")
                airflow.fail((dag_id, earlier))
        reported = progress.stored_watermark(warehouse, "publish")
        note = deployment.scratch_dir / "dags-to-pause.json"
        with _schedules(airflow, note, dag_ids, keep=snapshot is None):
            if outcomes.champion(warehouse) is None:
                pipeline.start(TRAIN, run_id)
            for dag_id in dag_ids:
                pipeline.start(dag_id, run_id, {"snapshot": str(snapshot)} if snapshot else None)
            pipeline.follow(run_id)
    champion = outcomes.champion(warehouse)
    if champion and city.simulated:
        champion |= outcomes.agreement(warehouse, city.city_id, champion["version"])
    return Outcome(
        city_id=city.city_id,
        seconds=(datetime.now(UTC) - began).total_seconds(),
        loads=outcomes.run_loads(warehouse, city.sources, run_id, reported),
        failures=list(pipeline.failed.values()),
        tasks=pipeline.seconds(),
        champion=champion,
        test_warnings=[one for one in outcomes.dbt_nodes(warehouse) if one["status"] == "warn"],
    )


@dataclass
class Pipeline:
    """The runs of one `cityloom run`, from the first trigger until nothing is active.

    Tasks that changed after `since` are looked at. `failed`, by name: what failed for good in the
    newest run that came to it.
    """

    airflow: Airflow
    warehouse: str
    report: Report
    since: datetime
    started: set[RunKey] = field(default_factory=set)
    active: set[RunKey] = field(default_factory=set)
    tasks: dict[tuple[RunKey, str], Task] = field(default_factory=dict)
    failed: dict[str, Task] = field(default_factory=dict)

    def wait_for_dags(self, dag_ids: Sequence[str], seconds: float = 180) -> None:
        """Wait until Airflow has read every DAG; its processor needs a moment after a start."""
        deadline = time.monotonic() + seconds
        while missing := sorted(set(dag_ids) - set(self.airflow.dags())):
            if errors := self.airflow.import_errors():
                raise RunError("Airflow cannot read dags/:\n" + "\n".join(errors))
            if time.monotonic() > deadline:
                unknown = f"after {seconds:.0f} s Airflow does not know {', '.join(missing)}"
                raise RunError(f"{unknown}; see the log of its dag-processor (`cityloom status`)")
            time.sleep(1)

    def start(self, dag_id: str, run_id: str, conf: dict[str, Any] | None = None) -> None:
        """Trigger a DAG."""
        self.airflow.trigger(dag_id, run_id, conf)
        self.started.add((dag_id, run_id))

    def follow(self, run_id: str) -> None:
        """Return when no run is active and no step is behind, but for one that failed.

        A step that stays behind while nothing is active is started, as `run_id`: its event was
        never emitted.
        """
        changed_at, noted = time.monotonic(), ""
        while True:
            if self._look():
                changed_at = time.monotonic()
            still = time.monotonic() - changed_at
            note = self._standstill(still) or self._unchanged()
            if note and note != noted:
                self.report(note)
                noted = note
            behind = None if self.active else self._step_behind(run_id)
            if not self.active and not behind:
                return
            if behind and still > EVENT_SECONDS:
                if any(task.dag_id == behind for task in self.failed.values()):
                    return
                self.report(f"{behind} is behind; starting it")
                self.start(behind, f"{run_id}_{STEPS[behind]}")
            time.sleep(POLL_SECONDS)

    def _look(self) -> bool:
        """Read runs and tasks, report the tasks whose state changed; return whether any did."""
        before = self.active
        self.active = {run for run in self.airflow.active_runs() if self._is_followed(run)}
        changed = self.active != before
        for task in self.airflow.tasks(self.since):
            known = self.tasks.get((task.run, task.task_id))
            same = known and (known.state, known.try_number) == (task.state, task.try_number)
            if same or not self._is_followed(task.run):
                continue
            changed = True
            self.tasks[task.run, task.task_id] = task
            if task.state == "failed":
                task = self.failed[task.name] = self.airflow.explain(task)
            elif task.state in ("running", "success", "skipped"):  # cleared, or of a later run
                self.failed.pop(task.name, None)
            self.report(task)
        return changed

    def _is_followed(self, run: RunKey) -> bool:
        return run in self.started or run[0] in FOLLOWED

    def _step_behind(self, run_id: str) -> str | None:
        """Return the first DAG whose step is behind and was not yet started for that.

        A champion that a person chose in MLflow meanwhile can keep a step behind.
        """
        for dag_id, step in STEPS.items():
            with suppress(psycopg.OperationalError):
                tried = (dag_id, f"{run_id}_{step}") in self.started
                if tried or not progress.is_behind(self.warehouse, step):
                    continue
            return dag_id  # also while the database restarts: then it is asked again
        return None

    def _unchanged(self) -> str:
        """Return in how many sources nothing was new, once each load is past its gate."""
        loads = [run for run in self.started if run[0] not in FOLLOWED]
        gates = [task.state for run in loads if (task := self.tasks.get((run, "gate")))]
        unchanged = gates.count("skipped")
        if not unchanged or sum(state in PAST for state in gates) < len(loads):
            return ""
        return f"nothing new in {unchanged} of {len(loads)} sources"

    def _standstill(self, seconds: float) -> str:
        """Return why nothing changes; empty while a task runs and all of Airflow lives.

        Raises `RunError` when that has lasted too long.
        """
        if seconds <= WARN_SECONDS:
            return ""
        # A task that died with its scheduler stays "running": ask whether the scheduler lives.
        dead = ", ".join(self.airflow.unhealthy())
        if not dead and any(task.state == "running" for task in self.tasks.values()):
            return ""
        why = f"no heartbeat of Airflow's {dead}" if dead else "no task runs"
        if seconds > STALLED_SECONDS:
            raise RunError(
                f"nothing has changed for {seconds:.0f} s ({why}), and "
                f"{', '.join(sorted(dag_id for dag_id, _ in self.active))} is not done; "
                "`cityloom doctor` looks for the cause, then run again"
            )
        return f"{why}; `cityloom up` in another terminal starts what is down"

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each task, over all runs, by its name."""
        sums: defaultdict[str, float] = defaultdict(float)
        for task in self.tasks.values():
            sums[task.name] += round(task.duration or 0, 2)
        return dict(sums)


@contextmanager
def _only_run(deployment: Deployment) -> Iterator[None]:
    """Keep a second `cityloom run` out: it would end this one's loads as left over."""
    # In scratch, for a lock on a folder that machines share does not hold everywhere.
    with (deployment.scratch_dir / "run.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            busy = "another `cityloom run` of this installation is under way; wait for it"
            raise RunError(busy) from error
        yield


@contextmanager
def _schedules(airflow: Airflow, note: Path, dag_ids: Sequence[str], keep: bool) -> Iterator[None]:
    """Unpause the DAGs; afterwards `keep` them so, or pause those that were paused before.

    A city that was read from a snapshot does not call a live portal each night. What is to be
    paused is noted in a file first, so that the next run does it for one that was killed.
    """
    paused = airflow.dags()  # without those of sources that were removed
    noted = paused.keys() & json.loads(note.read_text()) if note.is_file() else set()
    unpaused = {dag_id for dag_id in dag_ids if paused[dag_id]}
    to_pause = noted - set(dag_ids) if keep else noted | unpaused
    write_private(note, json.dumps(sorted(to_pause)))  # whole, also on a full disk
    for dag_id in unpaused:
        airflow.pause(dag_id, False)
    yield
    for dag_id in to_pause:
        airflow.pause(dag_id, True)
    note.unlink()
