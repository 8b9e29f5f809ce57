"""The client of Airflow's REST API, against recorded answers."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import httpx
import pytest

import cli.airflow
from cli.airflow import Airflow, AirflowError, Task

T0 = datetime(2026, 1, 1, tzinfo=UTC)
RUN = {"dag_id": "build_warehouse", "dag_run_id": "r1", "state": "running", "run_type": "manual"}


@pytest.fixture
def airflow(monkeypatch):
    """A client whose server answers by `airflow.answer(request)`, and wants a login."""
    monkeypatch.setattr(cli.airflow.time, "sleep", lambda seconds: None)
    deployment = SimpleNamespace(
        url=lambda server: "http://airflow", login=lambda server: ("admin", "secret"),
        user_and_place=lambda server: ("admin", "/a/file"), logs="/a/logs",
    )  # fmt: skip

    def handle(request):
        if request.url.path == "/auth/token":
            return httpx.Response(201, json={"access_token": f"token {len(client.asked)}"})
        client.asked.append(request)
        return client.answer(request)

    client = Airflow(deployment, transport=httpx.MockTransport(handle))
    client.asked = []
    return client


def test_every_page_is_read(airflow):
    def answer(request):
        offset = int(request.url.params["offset"])
        runs = [{**RUN, "dag_run_id": f"r{offset + n}"} for n in range(min(100, 250 - offset))]
        return httpx.Response(200, json={"dag_runs": runs, "total_entries": 250})

    airflow.answer = answer
    assert airflow.active_runs() == {("build_warehouse", f"r{n}") for n in range(250)}
    assert airflow.asked[0].url.params.get_list("state") == ["queued", "running"]


def test_what_changed_since_is_asked_for(airflow):
    airflow.answer = lambda request: httpx.Response(200, json={
        "total_entries": 1, "task_instances": [{
            "dag_id": "build_warehouse", "dag_run_id": "r1", "task_id": "marts", "state": None,
            "try_number": 0, "duration": None}],
    })  # fmt: skip
    (task,) = airflow.tasks(T0)
    assert task.run == ("build_warehouse", "r1") and task.name == "build_warehouse.marts"
    (asked,) = airflow.asked
    assert asked.url.params["updated_at_gte"] == T0.isoformat()


def test_an_expired_login_is_renewed_and_a_restart_waited_for(airflow):
    answers = iter([401, 503, 200])
    airflow.answer = lambda request: httpx.Response(
        next(answers),
        json={"scheduler": {"status": "unhealthy"}, "dag_processor": {"status": None}},
    )
    assert airflow.unhealthy() == ["scheduler"]
    tokens = [request.headers["Authorization"] for request in airflow.asked]
    assert tokens == ["Bearer token 0", "Bearer token 1", "Bearer token 2"]


def test_a_run_that_was_started_by_a_lost_answer_is_not_started_twice(airflow):
    airflow.answer = lambda request: httpx.Response(409, json={"detail": "exists"})
    airflow.trigger("build_warehouse", "r1")
    (request,) = airflow.asked
    assert request.method == "POST" and b'"dag_run_id":"r1"' in request.content


def test_a_refusal_and_a_server_that_stays_down_are_errors(airflow, monkeypatch):
    airflow.answer = lambda request: httpx.Response(403, text="no")
    with pytest.raises(AirflowError, match="refused PATCH /dags/build_warehouse: 403 no"):
        airflow.pause("build_warehouse", True)
    monkeypatch.setattr(cli.airflow, "RETRY_SECONDS", -1)
    airflow.answer = lambda request: httpx.Response(502, text="down")
    with pytest.raises(AirflowError, match=r"does not answer .*502 down.*`cityloom up`"):
        airflow.dags()


def test_a_login_that_is_refused_names_the_password_file(airflow):
    refusing = httpx.MockTransport(lambda request: httpx.Response(401))
    airflow = Airflow(airflow.deployment, transport=refusing)
    with pytest.raises(AirflowError, match="refuses the login 'admin': the password in /a/file"):
        airflow.dags()


def test_the_reason_and_the_log_of_a_failed_task(airflow):
    task = Task(dag_id="d", run_id="r", task_id="t", state="failed", try_number=2,
                duration=1.0)  # fmt: skip
    lines = [{"event": "/a/logs/try=2.log"}, {"event": "boom", "level": "error"}]
    airflow.answer = lambda request: httpx.Response(200, json={"content": lines})
    explained = airflow.explain(task)
    assert (explained.reason, explained.log) == ("boom", "/a/logs/try=2.log")
    assert airflow.asked[0].url.path.endswith("/taskInstances/t/logs/2")
    airflow.answer = lambda request: httpx.Response(404, json={})
    explained = airflow.explain(task)
    assert "killed" in explained.reason and explained.log == "/a/logs (none was written)"
