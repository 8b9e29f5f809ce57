"""Following runs to their end, against a recorded Airflow."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import psycopg
import pytest

import cli.pipeline
from cli.airflow import Task, reason_of
from cli.pipeline import Pipeline, RunError, _schedules

T0 = datetime(2026, 1, 1, tzinfo=UTC)


class Recorded:
    """Airflow as a list of looks: each holds runs, tasks, and the step that is behind."""

    def __init__(self, looks):
        self.looks = looks
        self.number = -1
        self.started = []

    @property
    def look(self):
        return self.looks[min(self.number, len(self.looks) - 1)]

    def trigger(self, dag_id, run_id, conf=None):
        self.started.append((dag_id, run_id))

    def active_runs(self):
        self.number += 1
        over = {run[:2] for run in self.look["runs"] if run[2] not in ("queued", "running")}
        return ({run[:2] for run in self.look["runs"]} | set(self.started)) - over

    def tasks(self, since):
        return self.look.get("tasks", ())

    def unhealthy(self):
        return self.look.get("unhealthy", [])

    def explain(self, task):
        reason = f"why {task.task_id} of {task.run_id}"
        return task.model_copy(update={"reason": reason, "log": "/a/log"})


def a_run(dag_id, state, run_id="r"):
    return dag_id, run_id, state


def a_task(dag_id, task_id, state, run_id="r", seconds=2.0):
    return Task(
        dag_id=dag_id, run_id=run_id, task_id=task_id, state=state, try_number=1,
        duration=seconds,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(cli.pipeline, "POLL_SECONDS", 0)


@pytest.fixture
def followed(monkeypatch):
    """Follow recorded looks to the end; every look is needed, or the wait ended too early."""

    def follow(looks, started=(("extract_demo_permits", "r"),), report=lambda event: None):
        airflow = Recorded(looks)
        monkeypatch.setattr(
            cli.pipeline.progress, "is_behind", lambda url, step: step == airflow.look.get("behind")
        )
        pipeline = Pipeline(airflow, "", report, T0)
        pipeline.started = set(started)
        pipeline.follow("r9")
        assert airflow.number >= len(looks) - 1 and not pipeline.active
        return pipeline

    return follow


def failures(pipeline):
    return list(pipeline.failed.values())


def test_follows_from_load_to_what_an_asset_starts(followed):
    load, build = "extract_demo_permits", "build_warehouse"
    pipeline = followed(
        [
            {"runs": [a_run(load, "running")]},
            # The load is over, and its event will start the build.
            {
                "runs": [a_run(load, "success")],
                "behind": "build",
                "tasks": [a_task(load, "stage", "success")],
            },
            {"runs": [a_run(load, "success"), a_run(build, "running")]},
            {
                "runs": [a_run(load, "success"), a_run(build, "success")],
                "tasks": [a_task(build, "marts", "success")],
            },
        ]
    )
    assert failures(pipeline) == []
    assert pipeline.seconds() == {f"{load}.stage": 2.0, f"{build}.marts": 2.0}


def test_a_step_whose_event_was_lost_is_started(monkeypatch, followed):
    monkeypatch.setattr(cli.pipeline, "EVENT_SECONDS", 0)
    load, build = "extract_demo_permits", "build_warehouse"
    over = [a_run(load, "success")]
    running = [*over, a_run(build, "running", "r9_build")]
    done = [*over, a_run(build, "success", "r9_build")]
    looks = [{"runs": over, "behind": "build"}] * 2
    looks += [{"runs": running, "behind": "build"}, {"runs": done}]
    pipeline = followed(looks)
    assert pipeline.airflow.started == [(build, "r9_build")]


def test_a_database_that_restarts_is_waited_for(monkeypatch):
    answers = iter([psycopg.OperationalError("the database system is starting up"), True, False])

    def is_behind(url, step):
        answer = next(answers, False)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(cli.pipeline.progress, "is_behind", is_behind)
    airflow = Recorded([{"runs": []}])
    Pipeline(airflow, "", lambda event: None, T0).follow("r9")
    assert airflow.number == 2 and airflow.started == []


def test_after_a_failure_the_run_that_the_next_event_starts_is_followed(followed):
    build = "build_warehouse"
    failed, tasks = a_run(build, "failed", "r1"), [a_task(build, "marts", "failed", "r1")]
    pipeline = followed(
        [
            {"runs": [failed], "tasks": tasks, "behind": "build"},
            {"runs": [failed, a_run(build, "running", "r2")], "behind": "build"},
            {
                "runs": [failed, a_run(build, "success", "r2")],
                "tasks": [*tasks, a_task(build, "marts", "success", "r2")],
            },
        ]
    )
    assert failures(pipeline) == [] and pipeline.airflow.started == []


def test_a_step_that_stays_behind_is_started_once(monkeypatch, followed):
    monkeypatch.setattr(cli.pipeline, "EVENT_SECONDS", 0)
    done = [a_run("score_feedback", "success", "r9_score")]
    pipeline = followed([{"runs": [], "behind": "score"}] * 2 + [{"runs": done, "behind": "score"}])
    assert pipeline.airflow.started == [("score_feedback", "r9_score")]


def test_a_step_that_failed_is_not_started_again(monkeypatch, followed):
    monkeypatch.setattr(cli.pipeline, "EVENT_SECONDS", 0)
    build = "build_warehouse"
    failed = {"runs": [a_run(build, "failed")], "tasks": [a_task(build, "marts", "failed")]}
    pipeline = followed([{**failed, "behind": "build"}])
    assert pipeline.airflow.started == [] and len(failures(pipeline)) == 1


def test_runs_of_others_are_left_alone(followed):
    load, other = "extract_demo_permits", "extract_nyc_collisions"
    runs = [a_run(load, "success"), a_run(other, "running", "scheduled")]
    tasks = [a_task(load, "stage", "success"), a_task(other, "stage", "failed", "scheduled")]
    pipeline = followed([{"runs": runs, "tasks": tasks}])
    assert pipeline.seconds() == {f"{load}.stage": 2.0} and failures(pipeline) == []


def test_a_run_from_before_is_followed_to_its_end(followed):
    old = "build_warehouse"
    looks = [{"runs": [a_run(old, "running")]}, {"runs": [a_run(old, "success")]}]
    assert followed(looks, started=()).airflow.number == 1


def test_a_failed_task_is_reported_with_its_reason(followed):
    load = "extract_demo_permits"
    failed = {"runs": [a_run(load, "failed")], "tasks": [a_task(load, "gate", "failed")]}
    (failure,) = failures(followed([failed]))
    assert (failure.dag_id, failure.task_id) == (load, "gate")
    assert (failure.reason, failure.log) == ("why gate of r", "/a/log")


def test_a_failure_that_a_later_run_made_good_is_none(followed):
    build = "build_warehouse"
    looks = [
        {
            "runs": [a_run(build, "failed", "r1"), a_run(build, "success", "r2")],
            "tasks": [
                a_task(build, "marts", "failed", "r1"),
                a_task(build, "marts", "success", "r2"),
            ],
        }
    ]
    assert failures(followed(looks)) == []


def test_what_failed_twice_is_reported_once(followed):
    build = "build_warehouse"
    looks = [
        {
            "runs": [a_run(build, "failed", "r1"), a_run(build, "failed", "r2")],
            "tasks": [
                a_task(build, "marts", "failed", "r1"),
                a_task(build, "marts", "failed", "r2"),
            ],
        }
    ]
    pipeline = followed(looks)
    assert [failure.reason for failure in failures(pipeline)] == ["why marts of r2"]


def test_a_run_that_does_not_change_ends_with_an_error(monkeypatch, followed):
    monkeypatch.setattr(cli.pipeline, "WARN_SECONDS", 0)
    monkeypatch.setattr(cli.pipeline, "STALLED_SECONDS", 0)
    with pytest.raises(RunError, match=r"extract_demo_permits is not done.*doctor"):
        followed([{"runs": [a_run("extract_demo_permits", "queued")]}])


def test_a_task_that_died_with_its_scheduler_is_not_waited_for_without_end(monkeypatch, followed):
    monkeypatch.setattr(cli.pipeline, "WARN_SECONDS", 0)
    monkeypatch.setattr(cli.pipeline, "STALLED_SECONDS", 0)
    load = "extract_demo_permits"
    running = {"runs": [a_run(load, "running")], "tasks": [a_task(load, "stage", "running")]}
    with pytest.raises(RunError, match="no heartbeat of Airflow's scheduler"):
        followed([running, {**running, "unhealthy": ["scheduler"]}])


def test_a_long_task_is_waited_for_and_a_dead_component_is_reported_once(monkeypatch, followed):
    monkeypatch.setattr(cli.pipeline, "WARN_SECONDS", 0)
    load = "extract_demo_permits"
    running = {"runs": [a_run(load, "running")], "tasks": [a_task(load, "stage", "running")]}
    unhealthy = {**running, "unhealthy": ["triggerer"]}
    events = []
    looks = [running] * 3 + [unhealthy] * 3 + [{"runs": [a_run(load, "success")]}]
    followed(looks, report=events.append)
    (note,) = [event for event in events if isinstance(event, str)]
    assert "triggerer" in note and "`cityloom up`" in note


def test_a_run_without_anything_new_says_so_once(followed):
    loads = "extract_demo_permits", "extract_demo_calls"
    runs = [a_run(load, "running") for load in loads]
    staged = [a_task(load, "stage", "success") for load in loads]
    first, second = (a_task(load, "gate", "skipped") for load in loads)
    events = []
    followed(
        [
            {"runs": runs, "tasks": [*staged, first]},
            # The last gate and its run end between two looks.
            {
                "runs": [a_run(load, "success") for load in loads],
                "tasks": [*staged, first, second],
            },
        ],
        started=[(load, "r") for load in loads],
        report=events.append,
    )
    (note,) = [event for event in events if isinstance(event, str)]
    assert note == "nothing new in 2 of 2 sources"
    assert events.index(second) < events.index(note)


def test_how_many_sources_had_nothing_new_is_said_where_others_had(followed):
    loads = "extract_demo_permits", "extract_demo_calls", "extract_demo_trees"
    states = "skipped", "success", "failed"
    gates = [a_task(load, "gate", state) for load, state in zip(loads, states, strict=True)]
    runs = [a_run(load, "success") for load in loads]
    events = []
    followed(
        [{"runs": [*runs, a_run("publish", "running")], "tasks": gates}, {"runs": runs}],
        started=[(load, "r") for load in loads],
        report=events.append,
    )
    assert [event for event in events if isinstance(event, str)] == [
        "nothing new in 1 of 3 sources"
    ]


class Switches:
    """Airflow as far as DAGs are paused and unpaused."""

    def __init__(self, **paused):
        self.paused = paused

    def dags(self):
        return dict(self.paused)

    def pause(self, dag_id, paused):
        assert dag_id in self.paused
        self.paused[dag_id] = paused


def test_dags_of_a_snapshot_are_paused_afterwards_also_those_of_a_run_that_was_killed(tmp_path):
    note = tmp_path / "dags-to-pause.json"
    airflow = Switches(a=True, b=False, killed=False)
    note.write_text('["killed", "source_that_is_gone"]')
    with _schedules(airflow, note, ["a", "b"], keep=False):
        assert airflow.paused == {"a": False, "b": False, "killed": False}
        assert json.loads(note.read_text()) == ["a", "killed"]
    assert airflow.paused == {"a": True, "b": False, "killed": True}
    assert not note.exists()
    with _schedules(airflow, note, ["a"], keep=True):
        pass
    assert airflow.paused["a"] is False


def error_line(kind, text, *places):
    frames = [{"filename": place, "lineno": 1, "name": "f"} for place in places]
    detail = {"exc_type": kind, "exc_value": text, "frames": frames}
    return {"level": "error", "event": "Task failed with exception", "error_detail": [detail]}


def test_reason_is_the_last_exception_and_ours_without_the_class():
    library = "/x/.venv/lib/python3.11/site-packages/psycopg/connection.py"
    first = {"level": "error", "event": "x", "error_detail": [{"exc_type": "ValueError"}]}
    ours = error_line("ExtractError", "a.csv: is empty. Send it.", library, "/x/extract/read.py")
    theirs = error_line("OperationalError", "no route", "/x/extract/read.py", library)
    defect = error_line("KeyError", "'b'", "/x/extract/read.py")
    assert reason_of([first, ours]) == "a.csv: is empty. Send it."
    assert reason_of([ours, theirs]) == "OperationalError: no route"
    assert reason_of([ours, defect]) == "KeyError: 'b'"


def test_reason_without_an_exception():
    assert "killed" in reason_of([])
    assert reason_of([{"level": "error", "event": "heartbeat timeout"}]) == "heartbeat timeout"
    assert "without an error" in reason_of([{"level": "info", "event": "hello"}])
