"""Following runs to the end, against a recorded Airflow."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

import cli.pipeline
from cli.airflow import Reason, Run, Task, _why
from cli.pipeline import Pipeline, RunError, Watcher, _clocks, short

T0 = datetime(2026, 1, 1, tzinfo=UTC)


class Recorded:
    """Airflow as a list of looks: each holds runs, tasks, and what is due by an asset."""

    def __init__(self, looks):
        self.looks = looks
        self.number = -1

    @property
    def look(self):
        return self.looks[min(self.number, len(self.looks) - 1)]

    def awaits_run(self, dag_id):
        if dag_id == "build_warehouse":  # the first that is asked
            self.number += 1
        return dag_id in self.look.get("due", ())

    def runs(self, since):
        return [run for run in self.look["runs"] if run.run_after >= since]

    def active_runs(self):
        return [run for run in self.look["runs"] if run.active]

    def run(self, run):
        return next(
            r for r in self.look["runs"] if (r.dag_id, r.run_id) == (run.dag_id, run.run_id)
        )

    def tasks(self, runs):
        wanted = {(run.dag_id, run.run_id) for run in runs}
        return [t for t in self.look.get("tasks", ()) if (t.dag_id, t.run_id) in wanted]

    def unwell(self):
        return self.look.get("unwell", [])

    def reason(self, task):
        return Reason(f"why {task.task_id}", "/a/log")


def a_run(dag_id, state, seconds=1, run_id="r"):
    at = T0 + timedelta(seconds=seconds)
    return Run(dag_id, run_id, state, "manual", at, None if state in ("queued", "running") else at)


def a_task(dag_id, task_id, state, run_id="r", seconds=2.0):
    return Task(dag_id, run_id, task_id, state, 1, seconds, T0)


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr(cli.pipeline, "POLL_SECONDS", 0)


def followed(looks, own=(("extract_demo_permits", "r"),), watcher=None):
    pipeline = Pipeline(Recorded(looks), "", watcher or Watcher(), T0)
    pipeline.own = set(own)
    pipeline.follow()
    return pipeline


def test_follows_from_load_to_what_an_asset_starts():
    load, build = "extract_demo_permits", "build_warehouse"
    pipeline = followed(
        [
            {"runs": [a_run(load, "running")]},
            # The load is over, its event waits: not quiet yet.
            {
                "runs": [a_run(load, "success")],
                "due": [build],
                "tasks": [a_task(load, "stage", "success")],
            },
            {"runs": [a_run(load, "success"), a_run(build, "running", 2)]},
            {
                "runs": [a_run(load, "success"), a_run(build, "success", 2)],
                "tasks": [a_task(build, "marts", "success")],
            },
        ]
    )
    assert pipeline.failures() == []
    assert pipeline.seconds() == {f"{load}.stage": 2.0, f"{build}.marts": 2.0}
    assert {run.state for run in pipeline.runs.values()} == {"success"}


def test_an_event_between_two_looks_is_not_missed():
    load, build = "extract_demo_permits", "build_warehouse"
    pipeline = followed(
        [
            {"runs": [a_run(load, "success")]},  # quiet, once
            {"runs": [a_run(load, "success"), a_run(build, "running", 2)]},
            {"runs": [a_run(load, "success"), a_run(build, "success", 2)]},
        ]
    )
    assert pipeline.runs[(build, "r")].state == "success"


def test_runs_of_others_are_left_alone():
    other = a_run("extract_nyc_collisions", "running", run_id="scheduled")
    pipeline = followed([{"runs": [a_run("extract_demo_permits", "success"), other]}])
    assert [run.dag_id for run in pipeline.runs.values()] == ["extract_demo_permits"]


def test_a_run_from_before_is_followed_to_its_end():
    old = "build_warehouse"
    pipeline = followed(
        [{"runs": [a_run(old, "running", -60)]}, {"runs": [a_run(old, "success", -60)]}], own=()
    )
    assert pipeline.runs[(old, "r")].state == "success"


def test_a_failed_task_is_told_with_its_reason():
    load = "extract_demo_permits"
    failed = {"runs": [a_run(load, "failed")], "tasks": [a_task(load, "gate", "failed")]}
    (failure,) = followed([failed]).failures()
    assert (failure.dag_id, failure.task_id) == (load, "gate")
    assert (failure.reason, failure.log) == ("why gate", "/a/log")


def test_a_failure_that_a_later_run_made_good_is_none():
    build = "build_warehouse"
    looks = [
        {
            "runs": [a_run(build, "failed", 1, "r1"), a_run(build, "success", 9, "r2")],
            "tasks": [
                a_task(build, "marts", "failed", "r1"),
                a_task(build, "marts", "success", "r2"),
            ],
        }
    ]
    assert followed(looks).failures() == []


def test_what_failed_twice_is_told_once():
    build = "build_warehouse"
    looks = [
        {
            "runs": [a_run(build, "failed", 1, "r1"), a_run(build, "failed", 9, "r2")],
            "tasks": [
                a_task(build, "marts", "failed", "r1"),
                a_task(build, "marts", "failed", "r2"),
            ],
        }
    ]
    pipeline = followed(looks)
    assert len(pipeline.told) == 2
    assert pipeline.failures() == [pipeline.told[build, "r2", "marts"]]


def test_what_does_not_move_is_told(monkeypatch):
    monkeypatch.setattr(cli.pipeline, "QUIET_SECONDS", 0)
    monkeypatch.setattr(cli.pipeline, "STALLED_SECONDS", 0)
    with pytest.raises(RunError, match=r"extract_demo_permits is not done.*doctor"):
        followed([{"runs": [a_run("extract_demo_permits", "queued")]}])


def test_a_task_that_died_with_its_scheduler_is_not_waited_for_without_end(monkeypatch):
    monkeypatch.setattr(cli.pipeline, "QUIET_SECONDS", 0)
    monkeypatch.setattr(cli.pipeline, "STALLED_SECONDS", 0)
    load = "extract_demo_permits"
    running = {"runs": [a_run(load, "running")], "tasks": [a_task(load, "stage", "running")]}
    with pytest.raises(RunError, match="no sign of life from Airflow's scheduler"):
        followed([running, {**running, "unwell": ["scheduler"]}])


def test_a_long_task_is_waited_for_and_a_sick_part_is_told_once(monkeypatch):
    monkeypatch.setattr(cli.pipeline, "QUIET_SECONDS", 0)
    load = "extract_demo_permits"
    running = {"runs": [a_run(load, "running")], "tasks": [a_task(load, "stage", "running")]}
    sick = {**running, "unwell": ["triggerer"]}
    said = []

    class Heard(Watcher):
        def says(self, text):
            said.append(text)

    followed([running] * 3 + [sick] * 3 + [{"runs": [a_run(load, "success")]}], watcher=Heard())
    assert len(said) == 1 and "triggerer" in said[0] and "`cityloom up`" in said[0]


class Clocks:
    """Airflow's switches: what is paused, and what was switched."""

    def __init__(self, **paused):
        self.paused = paused

    def dags(self):
        return dict(self.paused)

    def pause(self, dag_id, paused):
        assert dag_id in self.paused
        self.paused[dag_id] = paused


def test_clocks_of_a_snapshot_stand_still_afterwards_also_those_of_a_run_that_was_killed(tmp_path):
    deployment = SimpleNamespace(scratch_dir=tmp_path)
    note = tmp_path / "clocks-to-stop.json"
    airflow = Clocks(a=True, b=False, killed=False)
    note.write_text('["killed", "source_that_is_gone"]')
    with _clocks(airflow, deployment, ["a", "b"], keep=False):
        assert airflow.paused == {"a": False, "b": False, "killed": False}
        assert json.loads(note.read_text()) == ["a", "killed"]
    assert airflow.paused == {"a": True, "b": False, "killed": True}
    assert not note.exists()
    with _clocks(airflow, deployment, ["a"], keep=True):
        pass
    assert airflow.paused["a"] is False


def test_short_names():
    assert short("extract_nyc_taxi_trips") == "nyc/taxi_trips"
    assert short("train_sentiment") == "train"


def test_why_takes_the_last_exception_and_leaves_our_class_out():
    first = {"level": "error", "event": "x", "error_detail": [{"exc_type": "ValueError"}]}
    ours = {
        "level": "error",
        "event": "Task failed with exception",
        "error_detail": [{"exc_type": "ExtractError", "exc_value": "a.csv: is empty. Send it."}],
    }
    theirs = {
        "level": "error",
        "event": "Task failed with exception",
        "error_detail": [{"exc_type": "OperationalError", "exc_value": "no route"}],
    }
    assert _why([first, ours]) == "a.csv: is empty. Send it."
    assert _why([ours, theirs]) == "OperationalError: no route"


def test_why_without_an_exception():
    assert "killed" in _why([])
    assert _why([{"level": "error", "event": "heartbeat timeout"}]) == "heartbeat timeout"
    assert "without a word" in _why([{"level": "info", "event": "hello"}])
