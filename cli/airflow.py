"""Airflow's REST API, as far as `cityloom run` drives it.

An API server that restarts in the middle is waited for; a login that ran out is renewed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from infra.contract import Deployment

#: A server that was killed is back within this time, or not at all.
PATIENCE_SECONDS = 180
PAGE = 100
ACTIVE = ("queued", "running")


class AirflowError(Exception):
    """Airflow refused, or does not answer; says what was asked, the answer, and the remedy."""


@dataclass(frozen=True)
class Run:
    """A DAG run. `state` is `queued`, `running`, `success` or `failed`."""

    dag_id: str
    run_id: str
    state: str
    run_type: str
    run_after: datetime
    ended: datetime | None

    @property
    def active(self) -> bool:
        """Whether it may still change."""
        return self.state in ACTIVE


@dataclass(frozen=True)
class Task:
    """A task instance in its newest try. `state` is None before it is scheduled."""

    dag_id: str
    run_id: str
    task_id: str
    state: str | None
    try_number: int
    seconds: float | None
    started: datetime | None


@dataclass(frozen=True)
class Reason:
    """Why a task failed, as its log has it, and where the log is."""

    text: str
    log: str


@dataclass
class Airflow:
    """A client, logged in as the admin."""

    deployment: Deployment
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        # Loopback: whatever proxy the machine uses is not for this.
        self.client = httpx.Client(
            base_url=self.deployment.url("airflow"), timeout=60, trust_env=False
        )

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

    def unwell(self) -> list[str]:
        """Return the parts of Airflow that have given no sign of life for too long."""
        health = self._ask("GET", "/monitor/health").json()
        return [
            part.replace("_", "-")
            for part, said in health.items()
            if said["status"] not in ("healthy", None)
        ]

    def pause(self, dag_id: str, paused: bool) -> None:
        """Stop a DAG's clock and runs, or let them go."""
        self._ask("PATCH", f"/dags/{dag_id}", json={"is_paused": paused})

    def trigger(self, dag_id: str, run_id: str, conf: dict[str, Any] | None = None) -> Run:
        """Start a run. Asking twice for the same `run_id` starts one."""
        body = {"dag_run_id": run_id, "logical_date": None, "conf": conf or {}}
        answer = self._ask("POST", f"/dags/{dag_id}/dagRuns", json=body, accepted=(200, 409))
        if answer.status_code == 409:  # an answer was lost, not the request
            answer = self._ask("GET", f"/dags/{dag_id}/dagRuns/{run_id}")
        return _run(answer.json())

    def fail(self, run: Run) -> None:
        """End a run as failed; its tasks' processes are told with their next heartbeat."""
        path = f"/dags/{run.dag_id}/dagRuns/{run.run_id}"
        self._ask("PATCH", path, json={"state": "failed"}, accepted=(200, 404))

    def run(self, run: Run) -> Run:
        """Return a run as it is now."""
        return _run(self._ask("GET", f"/dags/{run.dag_id}/dagRuns/{run.run_id}").json())

    def runs(self, since: datetime) -> list[Run]:
        """Return the runs that were asked for since then, of all DAGs."""
        query = {"run_after_gte": since.isoformat()}
        return [_run(item) for item in self._pages("/dags/~/dagRuns", "dag_runs", query)]

    def active_runs(self) -> list[Run]:
        """Return the runs that are queued or under way, of all DAGs."""
        query = {"state": list(ACTIVE)}
        return [_run(item) for item in self._pages("/dags/~/dagRuns", "dag_runs", query)]

    def tasks(self, runs: Iterable[Run]) -> list[Task]:
        """Return the tasks of these runs."""
        runs = list(runs)
        if not runs:
            return []
        body = {
            "dag_ids": sorted({run.dag_id for run in runs}),
            "dag_run_ids": sorted({run.run_id for run in runs}),
        }
        wanted = {(run.dag_id, run.run_id) for run in runs}
        items = self._pages_of_post("/dags/~/dagRuns/~/taskInstances/list", "task_instances", body)
        return [task for item in items if ((task := _task(item)).dag_id, task.run_id) in wanted]

    def awaits_run(self, dag_id: str) -> bool:
        """Tell whether an asset event waits to start a run of this DAG."""
        path = f"/dags/{dag_id}/assets/queuedEvents"
        answer = self._ask("GET", path, accepted=(200, 404))
        return answer.status_code == 200 and answer.json()["total_entries"] > 0

    def reason(self, task: Task) -> Reason:
        """Return why a task failed, from the log of its last try, and the log's place."""
        path = (
            f"/dags/{task.dag_id}/dagRuns/{task.run_id}/taskInstances/{task.task_id}"
            f"/logs/{max(task.try_number, 1)}"
        )
        answer = self._ask(
            "GET", path, headers={"Accept": "application/json"}, accepted=(200, 403, 404)
        )
        content = answer.json().get("content", []) if answer.status_code == 200 else []
        log = next(
            (str(line["event"]) for line in content if str(line.get("event")).endswith(".log")),
            f"{self.deployment.logs} (none was written)",
        )
        return Reason(_why(content), log)

    def _pages(self, path: str, key: str, query: dict[str, Any] | None = None) -> Iterator[dict]:
        offset = 0
        while True:
            page = {**(query or {}), "limit": PAGE, "offset": offset}
            found = self._ask("GET", path, params=page).json()
            yield from found[key]
            offset += PAGE
            if offset >= found["total_entries"]:
                return

    def _pages_of_post(self, path: str, key: str, body: dict[str, Any]) -> Iterator[dict]:
        offset = 0
        while True:
            page = {**body, "page_limit": PAGE, "page_offset": offset}
            found = self._ask("POST", path, json=page).json()
            yield from found[key]
            offset += PAGE
            if offset >= found["total_entries"]:
                return

    def _ask(
        self, method: str, path: str, accepted: tuple[int, ...] = (200,), **options: Any
    ) -> httpx.Response:
        """Ask until there is an answer; raise `AirflowError` when it is not an accepted one."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            wrong = ""
            try:
                if "Authorization" not in self.client.headers:
                    self._log_in()
                answer = self.client.request(method, f"/api/v2{path}", **options)
                if answer.status_code in accepted:
                    return answer
                wrong = f"{answer.status_code} {answer.text[:500]}"
                if answer.status_code == 401:
                    del self.client.headers["Authorization"]
                elif answer.status_code < 500:
                    raise AirflowError(f"Airflow refused {method} {path}: {wrong}")
            except httpx.TransportError as error:
                wrong = str(error) or type(error).__name__
            if time.monotonic() > deadline:
                raise AirflowError(
                    f"Airflow does not answer for {PATIENCE_SECONDS} s ({wrong}). "
                    "`cityloom status` shows what is down, `cityloom up` mends it; then run again"
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


def _run(item: dict[str, Any]) -> Run:
    return Run(
        dag_id=item["dag_id"],
        run_id=item["dag_run_id"],
        state=item["state"],
        run_type=item["run_type"],
        run_after=_time(item["run_after"]),
        ended=_time(item["end_date"]) if item["end_date"] else None,
    )


def _task(item: dict[str, Any]) -> Task:
    return Task(
        dag_id=item["dag_id"],
        run_id=item["dag_run_id"],
        task_id=item["task_id"],
        state=item["state"],
        try_number=item["try_number"],
        seconds=item["duration"],
        started=_time(item["start_date"]) if item["start_date"] else None,
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _why(content: list[Any]) -> str:
    """Return the last exception of a log, else its last lines that tell of an error."""
    errors = [line for line in content if line.get("level") in ("error", "critical")]
    for line in reversed(errors):
        if details := line.get("error_detail"):
            kind, text = details[0].get("exc_type", ""), details[0].get("exc_value", "")
            # Ours say all that is needed; of another's, the class is half of the message.
            return text if kind in OWN_ERRORS and text else f"{kind}: {text}".strip(": ")
    if errors:
        return "\n".join(str(line["event"]) for line in errors[-5:])
    if content:
        return "its process ended without a word; the log's last lines may tell"
    return "it wrote no log: its process was killed, or never began"


#: Raised by the DAGs with a message that is whole by itself.
OWN_ERRORS = (
    "AirflowFailException",
    "ExtractError",
    "LoadError",
    "DbtFailed",
    "SupersetError",
)
