"""A client of Airflow's REST API, as far as `cityloom run` needs it.

Waits for an API server that restarts, and logs in again when its token has expired.
"""

from __future__ import annotations

import builtins
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
from pydantic import BaseModel, Field

from infra.contract import Deployment

#: A server that was killed is back within this time, or not at all.
RETRY_SECONDS = 180
PAGE = 100
ACTIVE = ("queued", "running")
RUNS = "/dags/~/dagRuns"


class AirflowError(Exception):
    """Airflow refused, or does not answer; says what was asked, the answer, and the remedy."""


class Run(BaseModel, frozen=True, populate_by_name=True):
    """A DAG run. `state` is `queued`, `running`, `success` or `failed`."""

    dag_id: str
    run_id: str = Field(alias="dag_run_id")
    state: str
    run_after: datetime
    end_date: datetime | None

    @property
    def key(self) -> tuple[str, str]:
        """What names the run."""
        return self.dag_id, self.run_id

    @property
    def active(self) -> bool:
        """Whether it may still change."""
        return self.state in ACTIVE


class Task(BaseModel, frozen=True, populate_by_name=True):
    """A task instance in its newest try. `state` is None before it is scheduled."""

    dag_id: str
    run_id: str = Field(alias="dag_run_id")
    task_id: str
    state: str | None
    try_number: int
    duration: float | None
    start_date: datetime | None

    @property
    def key(self) -> tuple[str, str, str]:
        """What names the task instance."""
        return self.dag_id, self.run_id, self.task_id

    @property
    def label(self) -> str:
        """Its name for a person: `demo/permits stage`, `build marts`."""
        return f"{short(self.dag_id)} {self.task_id}"


class Airflow:
    """A client, logged in as the admin."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        # Loopback: whatever proxy the machine uses is not for this.
        self.client = httpx.Client(base_url=deployment.url("airflow"), timeout=60, trust_env=False)

    def __enter__(self) -> Airflow:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def dags(self) -> dict[str, bool]:
        """Return whether each DAG is paused, by name."""
        return {dag["dag_id"]: dag["is_paused"] for dag in self._pages("/dags", "dags")}

    def import_errors(self) -> list[str]:
        """Return what keeps DAG files from being read."""
        return [
            f"{error['filename']}: {error['stack_trace'].strip()}"
            for error in self._pages("/importErrors", "import_errors")
        ]

    def unhealthy(self) -> list[str]:
        """Return the components of Airflow whose last heartbeat is too old."""
        health = self._ask("GET", "/monitor/health").json()
        return [
            component.replace("_", "-")
            for component, answer in health.items()
            if answer["status"] not in ("healthy", None)
        ]

    def pause(self, dag_id: str, paused: bool) -> None:
        """Pause or unpause a DAG."""
        self._ask("PATCH", f"/dags/{dag_id}", json={"is_paused": paused})

    def trigger(self, dag_id: str, run_id: str, conf: dict[str, Any] | None = None) -> Run:
        """Start a run. Asking twice for the same `run_id` starts one."""
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf or {}}
        answer = self._ask("POST", f"/dags/{dag_id}/dagRuns", json=body, accepted=(200, 409))
        if answer.status_code == 409:  # an answer was lost, not the request
            answer = self._ask("GET", f"/dags/{dag_id}/dagRuns/{run_id}")
        return Run.model_validate(answer.json())

    def fail(self, run: Run) -> None:
        """End a run as failed; its tasks' processes end with their next heartbeat."""
        path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}"
        self._ask("PATCH", path, json={"state": "failed"}, accepted=(200, 404))

    def active_runs(self) -> list[Run]:
        """Return the runs that are queued or under way, of all DAGs."""
        found = self._pages(RUNS, "dag_runs", state=list(ACTIVE))
        return [Run.model_validate(item) for item in found]

    def runs(self, since: datetime) -> list[Run]:
        """Return the runs that changed since then, or are active, of all DAGs."""
        found = self._pages(RUNS, "dag_runs", updated_at_gte=since.isoformat())
        # The active ones first: one that ends between the two questions is then in the second.
        return [*self.active_runs(), *(Run.model_validate(item) for item in found)]

    def tasks(self, since: datetime) -> list[Task]:
        """Return the task instances that changed since then, of all DAGs, as they began."""
        query = {"updated_at_gte": since.isoformat(), "order_by": "start_date"}
        found = self._pages(f"{RUNS}/~/taskInstances", "task_instances", **query)
        return [Task.model_validate(item) for item in found]

    def event(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Return what a run attached to the last asset event that it emitted; empty without one."""
        found = self._pages(
            "/assets/events", "asset_events", source_dag_id=dag_id, source_run_id=run_id
        )
        return next((item["extra"] for item in reversed(list(found))), {})

    def log(self, task: Task) -> list[dict[str, Any]]:
        """Return the log of a task's last try, an item a line; empty where none was written."""
        path = (
            f"/dags/{task.dag_id}/dagRuns/{task.run_id}/taskInstances/{task.task_id}"
            f"/logs/{max(task.try_number, 1)}"
        )
        headers = {"Accept": "application/json"}
        answer = self._ask("GET", path, headers=headers, accepted=(200, 403, 404))
        found: list[dict[str, Any]] = []
        if answer.status_code == 200:
            found = answer.json().get("content", [])
        return found

    def reason(self, task: Task) -> tuple[str, str]:
        """Return why a task failed, from the log of its last try, and the log's place."""
        lines = self.log(task)
        log = next(
            (str(line["event"]) for line in lines if str(line.get("event")).endswith(".log")),
            f"{self.deployment.logs} (none was written)",
        )
        return reason_of(lines), log

    def _pages(self, path: str, key: str, **query: Any) -> Iterator[dict[str, Any]]:
        offset, total = 0, 1
        while offset < total:
            page = self._ask("GET", path, params={**query, "limit": PAGE, "offset": offset}).json()
            yield from page[key]
            offset, total = offset + PAGE, page["total_entries"]

    def _ask(
        self, method: str, path: str, accepted: tuple[int, ...] = (200,), **options: Any
    ) -> httpx.Response:
        """Ask until there is an answer; raise `AirflowError` when it is not an accepted one."""
        deadline = time.monotonic() + RETRY_SECONDS
        while True:
            try:
                if "Authorization" not in self.client.headers:
                    self._log_in()
                answer = self.client.request(method, f"/api/v2{path}", **options)
                if answer.status_code in accepted:
                    return answer
                problem = f"{answer.status_code} {answer.text[:500]}"
                if answer.status_code == 401:
                    del self.client.headers["Authorization"]
                elif answer.status_code < 500:
                    raise AirflowError(f"Airflow refused {method} {path}: {problem}")
            except httpx.TransportError as error:
                problem = str(error) or type(error).__name__
                # Whoever listens there next proves itself before it is sent a token.
                self.client.headers.pop("Authorization", None)
            if time.monotonic() > deadline:
                raise AirflowError(
                    f"Airflow does not answer for {RETRY_SECONDS} s ({problem}). `cityloom status` "
                    "shows what is down, `cityloom up` starts it; then run again"
                )
            time.sleep(1)

    def _log_in(self) -> None:
        user, password = self.deployment.login("airflow")
        answer = self.client.post("/auth/token", json={"username": user, "password": password})
        if answer.status_code in (400, 401, 403):
            raise AirflowError(
                f"{self.deployment.url('airflow')} refuses the login {user!r}: the password in "
                f"{self.deployment.user_and_place('airflow')[1]} is not its own any more; "
                "`cityloom up` gives it the current one"
            )
        if answer.is_success:
            self.client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


def short(dag_id: str) -> str:
    """Return a DAG's name for a person: `demo/permits`, `build`.

    >>> short("extract_demo_call_log"), short("score_feedback")
    ('demo/call_log', 'score')
    """
    if dag_id.startswith("extract_"):
        return dag_id.removeprefix("extract_").replace("_", "/", 1)
    return dag_id.partition("_")[0]


def reason_of(lines: list[dict[str, Any]]) -> str:
    """Return why a task failed: the last exception of its log, else the last lines on errors."""
    errors = [line for line in lines if line.get("level") in ("error", "critical")]
    for line in reversed(errors):
        if details := line.get("error_detail"):
            kind, text = details[0].get("exc_type", ""), details[0].get("exc_value", "")
            return text if text and _is_own(details[0]) else f"{kind}: {text}".strip(": ")
    if errors:
        return "\n".join(str(line["event"]) for line in errors[-5:])
    if lines:
        return "its process ended without an error message; see the log's last lines"
    return "it wrote no log: its process was killed, or never began"


def _is_own(error: dict[str, Any]) -> bool:
    """Return whether Cityloom raised an error; its message says all, without the class's name."""
    frames = error.get("frames") or [{}]
    place = frames[-1].get("filename", "site-packages")
    library = "site-packages" in place or "/lib/python" in place
    return not library and not hasattr(builtins, error.get("exc_type", ""))
