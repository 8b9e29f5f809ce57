"""Running the services under supervisor: its RPC, and what outlived it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Collection, Set
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from infra.contract import Report
from infra.home import cityloom_home, write_private
from infra.local.sign_in import asked
from infra.local.state import ADMIN_URL, StackError

#: Not handed on to the servers: another installation's settings, the admin's login, and what is
#: kept once it was given. Nor is the variable with the secret of the identity provider's client.
FOREIGN = (
    *("AIRFLOW_", "MLFLOW_", "SUPERSET_", "FLASK_", "PG"),
    *(ADMIN_URL, "CITYLOOM_PORT_", "CITYLOOM_DEPLOYMENT", asked.PREFIX),
)
#: A busy machine is slow, not broken: supervisor is asked again for this long.
ANSWER_SECONDS = 120
#: Others use these until they have stopped: tasks speak to the API server, all to the database.
STOPPED_LAST = ("airflow-api-server", "postgres")


def inherited() -> dict[str, str]:
    """Return what servers inherit of the environment: no settings of theirs from elsewhere, and no
    secret of the identity provider's client.
    """
    found = {k: value for k, value in os.environ.items() if not k.startswith(FOREIGN)}
    found.pop(asked.secret_variable(), None)
    return found


class Supervisor:
    """The supervisor of an installation, running or not."""

    def __init__(self, home: Path | None = None) -> None:
        self.home = home or cityloom_home()
        self.folder = self.home / "supervisor"
        self.socket = self.folder / "supervisor.sock"
        self.config = self.folder / "supervisord.conf"
        self.log = self.home / "logs" / "supervisord.log"

    def pid(self) -> int | None:
        """Return the pid of this home's supervisor, also while it is too busy to answer."""
        with suppress(OSError, ValueError, psutil.Error):
            process = psutil.Process(int((self.folder / "supervisord.pid").read_text()))
            # An earlier version's worked elsewhere; `up` ends it as a stray one.
            if process.cwd() == str(self.folder) and str(self.config) in process.cmdline():
                return process.pid
        return None

    def call(self, method: str, *arguments: Any) -> Any:
        """Call supervisor's XML-RPC interface, waiting while it is too busy to answer.

        Raises `StackError` when it is gone, or silent for `ANSWER_SECONDS`.
        """
        from supervisor.xmlrpc import SupervisorTransport

        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            # A socket's path must be short, a home's need not: supervisor works in its folder.
            socket = f"unix:///proc/{self.pid()}/cwd/{self.socket.name}"
            transport = SupervisorTransport(serverurl=socket)
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

    def apply(self, config: str) -> list[str]:
        """Write the settings; start supervisor, with no program, or let a running one read them.

        Returns the programs that were stopped because their settings changed: compared with what
        supervisor runs, not with the file, for an `up` may have been killed after it wrote that.
        Raises `StackError` when supervisor does not answer.
        """
        write_private(self.config, config)
        if self.pid() is None:
            self._start()
            return []
        added, changed, removed = self.call("reloadConfig")[0]
        self.stop([*changed, *removed])
        for name in (*changed, *removed):
            self.call("removeProcessGroup", name)
        for name in (*added, *changed):
            self.call("addProcessGroup", name)
        return [*changed, *removed]

    def _start(self) -> None:
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.socket.unlink(missing_ok=True)
        environment = {
            **inherited(),
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
            "CITYLOOM_HOME": str(self.home),
            "CITYLOOM_SERVICE": "supervisord",
        }
        started = subprocess.run(
            [sys.executable, "-m", "infra.local.supervisord", "-c", str(self.config)],
            cwd=self.folder,
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

    def start_program(self, name: str) -> None:
        """Start a program (once it has stopped, if it stops) and return; one that runs stays."""
        self._wait_while_stopping(name)  # a `down` was interrupted
        try:
            self.call("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if "ALREADY_STARTED" not in fault.faultString:
                raise StackError(f"supervisor cannot start {name}: {fault.faultString}") from fault

    def stop(self, names: Collection[str], report: Report = lambda *_: None) -> None:
        """Stop programs side by side (some take half a minute), then those of `STOPPED_LAST`."""
        first = [name for name in names if name not in STOPPED_LAST]
        for together in (first, *([name] for name in STOPPED_LAST if name in names)):
            for name in together:
                report(name, "stopping", False)
                with suppress(xmlrpc.client.Fault):  # it does not run
                    self.call("stopProcess", name, False)
            for name in together:
                self._wait_while_stopping(name)
                report(name, "stopped", True)

    def _wait_while_stopping(self, name: str) -> None:
        while self.state(name) == "STOPPING":
            time.sleep(0.1)

    def shut_down(self, report: Report = lambda *_: None) -> None:
        """Stop all programs, then supervisor itself, and remove its socket."""
        self.stop([name for name, found in self.running().items() if found["pid"]], report)
        if pid := self.pid():
            with suppress(StackError, psutil.Error):
                process = psutil.Process(pid)
                self.call("shutdown")
                process.wait(90)
        self.socket.unlink(missing_ok=True)

    def tree(self) -> set[int]:
        """Return the pids of the living supervisor and of all that runs under it."""
        pid = self.pid()
        with suppress(psutil.Error):
            if pid is not None:
                children = psutil.Process(pid).children(recursive=True)
                return {pid, *(child.pid for child in children)}
        return set()

    def end_strays(self, report: Report = lambda *_: None) -> list[str]:
        """End servers' processes that no living supervisor answers for; return the servers' names.

        A server's children are among them when their parent was killed.
        """
        found, kept = {}, {*self.tree(), os.getpid()}
        for process in psutil.process_iter(["environ"]):
            environment = process.info["environ"] or {}
            ours = environment.get("CITYLOOM_HOME") == str(self.home)
            if ours and "CITYLOOM_SERVICE" in environment and process.pid not in kept:
                found[process] = environment["CITYLOOM_SERVICE"]
        # A supervisor first: it would start again what is ended here. PostgreSQL last and cleanly.
        supervisors = {process for process in found if found[process] == "supervisord"}
        databases = {process for process in found if found[process] == "postgres"}
        _end(supervisors, signal.SIGKILL, 5)
        _end(found.keys() - supervisors - databases, signal.SIGTERM, 10)
        _end(databases, signal.SIGINT, 300)
        ended = sorted(set(found.values()))
        if ended:
            report("stack", f"ended what was left over from before: {', '.join(ended)}", False)
        return ended


def _end(processes: Set[psutil.Process], how: signal.Signals, seconds: float) -> None:
    """Send a signal to processes, and kill those that have not ended after some seconds."""
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(how)
    _, alive = psutil.wait_procs(processes, seconds)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, 10)
