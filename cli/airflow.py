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

#: What names a run: its DAG, and its id.
RunKey = tuple[str, str]


class AirflowError(Exception):
    """Airflow refused, or does not answer; has the request, the answer, and the remedy."""


class Task(BaseModel, frozen=True, populate_by_name=True):
    """A task instance in its newest try. `state` is None before it is scheduled.

    `reason` and `log`: of one that failed, why, and the place of its log where it has one.
    """

    dag_id: str
    run_id: str = Field(alias="dag_run_id")
    task_id: str
    state: str | None
    try_number: int = 0
    duration: float | None = None
    end_date: datetime | None = None
    reason: str = ""
    log: str = ""

    @property
    def run(self) -> RunKey:
        """What names its run."""
        return self.dag_id, self.run_id

    @property
    def name(self) -> str:
        """What names it in every run: `extract_demo_permits.stage`, `build_warehouse.marts`."""
        return f"{self.dag_id}.{self.task_id}"


class Airflow(httpx.Client):
    """A client, logged in as the admin. `options`: of `httpx.Client`."""

    def __init__(self, deployment: Deployment, **options: Any) -> None:
        # A proxy of the environment is for the world outside, not for our own server.
        url = deployment.url("airflow")
        super().__init__(base_url=url, timeout=60, trust_env=False, **options)
        self.deployment = deployment

    def dags(self) -> dict[str, bool]:
        """Return whether each DAG is paused, by name."""
        return {dag["dag_id"]: dag["is_paused"] for dag in self._pages("/dags", "dags")}

    def import_errors(self) -> list[str]:
        """Return what keeps DAG files from being read."""
        errors = self._pages("/importErrors", "import_errors")
        return [f"{error['filename']}: {error['stack_trace'].strip()}" for error in errors]

    def unhealthy(self) -> list[str]:
        """Return the components of Airflow whose last heartbeat is too old."""
        health = self._ask("GET", "/monitor/health").json().items()
        dead = [name for name, answer in health if answer["status"] not in ("healthy", None)]
        return [name.replace("_", "-") for name in dead]

    def pause(self, dag_id: str, paused: bool) -> None:
        """Pause or unpause a DAG."""
        self._ask("PATCH", f"/dags/{dag_id}", json={"is_paused": paused})

    def trigger(self, dag_id: str, run_id: str, conf: dict[str, Any] | None = None) -> None:
        """Start a run. Asking twice for the same `run_id` starts one."""
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf or {}}
        # 409: an answer was lost, not the request.
        self._ask("POST", f"/dags/{dag_id}/dagRuns", json=body, accepted=(200, 409))

    def fail(self, run: RunKey) -> None:
        """End a run as failed; its tasks' processes end with their next heartbeat."""
        path = "/dags/{}/dagRuns/{}".format(*run)
        self._ask("PATCH", path, json={"state": "failed"}, accepted=(200, 404))

    def active_runs(self) -> set[RunKey]:
        """Return the runs that are queued or under way, of all DAGs."""
        found = self._pages("/dags/~/dagRuns", "dag_runs", state=["queued", "running"])
        return {(run["dag_id"], run["dag_run_id"]) for run in found}

    def tasks(self, since: datetime) -> list[Task]:
        """Return the task instances that changed since then, of all DAGs, as they began."""
        query = {"updated_at_gte": since.isoformat(), "order_by": "start_date"}
        found = self._pages("/dags/~/dagRuns/~/taskInstances", "task_instances", **query)
        return [Task(**item) for item in found]

    def log(self, task: Task) -> list[dict[str, Any]]:
        """Return the log of a task's last try, an item a line; empty where none was written."""
        path = "/dags/{}/dagRuns/{}/taskInstances/".format(*task.run)
        path += f"{task.task_id}/logs/{max(task.try_number, 1)}"
        answer = self._ask("GET", path, accepted=(200, 403, 404))
        return answer.json().get("content", []) if answer.is_success else []

    def explain(self, task: Task) -> Task:
        """Return a failed task with its reason, from the log of its last try, and its log."""
        lines = self.log(task)
        places = (event for line in lines if (event := str(line.get("event"))).endswith(".log"))
        log = next(places, f"{self.deployment.logs} (none was written)")
        return task.model_copy(update={"reason": reason_of(lines), "log": log})

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
                if "Authorization" not in self.headers:
                    self._log_in()
                answer = self.request(method, f"/api/v2{path}", **options)
                if answer.status_code in accepted:
                    return answer
                problem = f"{answer.status_code} {answer.text[:500]}"
                if answer.is_client_error and answer.status_code != 401:
                    raise AirflowError(f"Airflow refused {method} {path}: {problem}")
            except httpx.TransportError as error:
                problem = str(error) or type(error).__name__
            # The next server to listen there proves its identity before it is sent a token.
            self.headers.pop("Authorization", None)
            if time.monotonic() > deadline:
                raise AirflowError(
                    f"Airflow does not answer for {RETRY_SECONDS} s ({problem}). `cityloom status` "
                    "shows what is down, `cityloom up` starts it; then run again"
                )
            time.sleep(1)

    def _log_in(self) -> None:
        user, password = self.deployment.login("airflow")
        answer = self.post("/auth/token", json={"username": user, "password": password})
        if answer.is_success:
            self.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        elif answer.status_code in (400, 401, 403):
            raise AirflowError(
                f"{self.deployment.url('airflow')} refuses the login {user!r}: the password in "
                f"{self.deployment.user_and_place('airflow')[1]} is not its own any more; "
                "`cityloom up` gives it the current one"
            )


def reason_of(lines: list[dict[str, Any]]) -> str:
    """Return why a task failed: the last exception of its log, else the last lines on errors."""
    errors = [line for line in lines if line.get("level") in ("error", "critical")]
    if raised := [line["error_detail"][0] for line in errors if line.get("error_detail")]:
        kind, text = raised[-1].get("exc_type", ""), raised[-1].get("exc_value", "")
        *_, place = "", *(frame["filename"] for frame in raised[-1].get("frames") or ())
        # The message of an error that Cityloom raised is complete without the class's name.
        own = place and "/lib/python" not in place and not hasattr(builtins, kind)
        return text if text and own else f"{kind}: {text}".strip(": ")
    if errors:
        return "\n".join(str(line["event"]) for line in errors[-5:])
    if lines:
        return "its process ended without an error message; see the log's last lines"
    return "it wrote no log: its process was killed, or never began"
