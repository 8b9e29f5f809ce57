"""Running the services under supervisor: its settings, its RPC, and what outlived it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from infra.home import cityloom_home, write_private
from infra.local.postgres import postmaster
from infra.local.services import COMMON
from infra.local.state import ADMIN_URL, StackError, runtime_dir

#: Not handed on to the servers: another installation's settings, and the admin's login.
FOREIGN = (
    *("AIRFLOW_", "MLFLOW_", "SUPERSET_", "FLASK_", "PG"),
    *(ADMIN_URL, "CITYLOOM_PORT_", "CITYLOOM_DEPLOYMENT"),
)
#: A busy machine is slow, not broken: supervisor is asked again for this long.
ANSWER_SECONDS = 120


class Supervisor:
    """The supervisor of an installation, running or not."""

    def __init__(self, home: Path | None = None) -> None:
        self.home = home or cityloom_home()
        self.runtime = runtime_dir(self.home)
        self.socket = self.runtime / "supervisor.sock"
        self.pid_file = self.runtime / "supervisord.pid"
        self.config = self.home / "supervisor" / "supervisord.conf"
        self.log = self.home / "logs" / "supervisord.log"

    def pid(self) -> int | None:
        """Return the pid of this home's supervisor, also while it is too busy to answer."""
        with suppress(OSError, ValueError, psutil.Error):
            process = psutil.Process(int(self.pid_file.read_text()))
            if str(self.config) in process.cmdline():
                return process.pid
        return None

    def call(self, method: str, *arguments: Any) -> Any:
        """Call supervisor's XML-RPC interface, waiting while it is too busy to answer.

        Raises `StackError` when it is gone, or silent for `ANSWER_SECONDS`.
        """
        from supervisor.xmlrpc import SupervisorTransport

        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            transport = SupervisorTransport(serverurl=f"unix://{self.socket}")
            proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
            try:
                return getattr(proxy.supervisor, method)(*arguments)
            except OSError as error:
                if self.pid() is None or time.monotonic() > deadline:
                    raise StackError(
                        f"supervisor itself is gone; see {self.log}, then `cityloom up`"
                    ) from error
                time.sleep(0.1)

    def running(self) -> dict[str, dict[str, Any]]:
        """Return supervisor's `getProcessInfo` of each program; empty without a supervisor."""
        if self.pid() is None:
            return {}
        return {item["name"]: item for item in self.call("getAllProcessInfo")}

    def state(self, name: str) -> str:
        """Return a program's state (`RUNNING`, `FATAL`); empty when unknown."""
        return self.running().get(name, {}).get("statename", "")

    def configure(self, config: str) -> bool:
        """Write supervisor's settings (0600); return whether they changed."""
        runtime_dir(self.home, make=True)
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return write_private(self.config, config)

    def start(self) -> None:
        """Start supervisor, with no program yet; raise `StackError` when it does not answer."""
        self.socket.unlink(missing_ok=True)
        # Handed on to every program.
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)},
            **COMMON,
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
            "CITYLOOM_HOME": str(self.home),
            "CITYLOOM_SERVICE": "supervisord",
        }
        started = subprocess.run(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.config)],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        deadline = time.monotonic() + ANSWER_SECONDS
        while self.pid() is None:
            if started.returncode or time.monotonic() > deadline:
                output = (started.stdout + started.stderr).strip()
                raise StackError(f"supervisor does not start: {output or 'see'} {self.log}")
            time.sleep(0.05)
        self.call("getState")

    def update(self) -> list[str]:
        """Make a running supervisor take up changed settings; return the programs it stopped."""
        added, changed, removed = self.call("reloadConfig")[0]
        stale = [*changed, *removed]
        # The database last, for the others need it to end.
        self.stop_programs(name for name in stale if name != "postgres")
        self.stop_programs(name for name in stale if name == "postgres")
        for name in stale:
            self.call("removeProcessGroup", name)
        for name in (*added, *changed):
            self.call("addProcessGroup", name)
        return stale

    def start_program(self, name: str) -> None:
        """Start a program (once it has stopped, if it stops) and return; one that runs stays."""
        while self.state(name) == "STOPPING":  # a `down` was interrupted
            time.sleep(0.1)
        try:
            self.call("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if "ALREADY_STARTED" not in fault.faultString:
                raise StackError(f"supervisor cannot start {name}: {fault.faultString}") from fault

    def stop_programs(self, names: Iterable[str]) -> None:
        """Stop programs side by side and wait for each: some take half a minute."""

        def stop(name: str) -> None:
            with suppress(xmlrpc.client.Fault):  # it does not run
                self.call("stopProcess", name, True)

        if wanted := list(names):
            with ThreadPoolExecutor(len(wanted)) as pool:
                list(pool.map(stop, wanted))

    def shut_down(self) -> None:
        """End supervisor itself, wait for it, and remove its socket."""
        pid = self.pid()
        if pid is not None:
            with suppress(StackError, psutil.Error):
                process = psutil.Process(pid)
                self.call("shutdown")
                process.wait(90)
        self.remove_socket()

    def remove_socket(self) -> None:
        """Remove the socket of a supervisor that has ended."""
        if self.runtime.is_relative_to(self.home):
            self.socket.unlink(missing_ok=True)
        else:
            shutil.rmtree(self.runtime, ignore_errors=True)

    def tree(self) -> set[int]:
        """Return the pids of the living supervisor and of all that runs under it."""
        alive = self.pid()
        if alive is None:
            return set()
        with suppress(psutil.Error):
            return {alive, *(child.pid for child in psutil.Process(alive).children(recursive=True))}
        return {alive}

    def strays(self) -> list[psutil.Process]:
        """Return processes of this home's servers that no living supervisor answers for.

        A server's own children are among them when their parent was killed. PostgreSQL is found
        by its pid file: it writes over its environment.
        """
        kept = {*self.tree(), os.getpid()}
        ours = {"CITYLOOM_HOME": str(self.home)}.items()
        found = [
            process
            for process in psutil.process_iter(["environ", "cmdline"])
            if ours <= (environment := process.info["environ"] or {}).items()
            and "CITYLOOM_SERVICE" in environment
            and process.pid not in kept
        ]
        database = postmaster(self.home / "postgres")
        return [*found, *([database] if database and database.pid not in kept else [])]

    def end_strays(self) -> list[str]:
        """End what `strays` finds, PostgreSQL last and cleanly; return their names."""
        found = self.strays()
        database = postmaster(self.home / "postgres")
        servers = [process for process in found if process != database]
        # A stray supervisor first: it would start again what is ended here.
        _end([p for p in servers if "supervisor.supervisord" in p.info["cmdline"]], "SIGKILL", 5)
        _end(servers, "SIGTERM", 10)
        _end([process for process in found if process == database], "SIGINT", 300)
        names = {process.info["environ"]["CITYLOOM_SERVICE"] for process in servers}
        return sorted(names | ({"postgres"} if len(servers) < len(found) else set()))


def _end(processes: list[psutil.Process], name: str, seconds: float) -> None:
    """Send a signal to processes, and kill those that have not ended after some seconds."""
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(signal.Signals[name])
    _, alive = psutil.wait_procs(processes, seconds)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, 10)
