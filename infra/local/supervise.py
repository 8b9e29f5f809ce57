"""Running the services under supervisor: its settings, its RPC, and what outlived it."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from infra.home import ROOT, cityloom_home, write_private
from infra.local.postgres import is_ours
from infra.local.services import COMMON, Service
from infra.local.settings import Settings
from infra.local.state import ADMIN_URL, StackError, runtime_dir

#: Not handed on to the servers: another installation's settings, and the admin's login.
FOREIGN = (
    *("AIRFLOW_", "MLFLOW_", "SUPERSET_", "FLASK_", "PG"),
    *(ADMIN_URL, "CITYLOOM_PORT_", "CITYLOOM_DEPLOYMENT"),
)


@dataclass(frozen=True)
class Running:
    """What supervisor says of one program; `state` is supervisor's word (`RUNNING`, `FATAL`)."""

    name: str
    state: str
    pid: int
    started: float
    message: str


class Supervisor:
    """The supervisor of the installation under `CITYLOOM_HOME`, running or not."""

    def __init__(self) -> None:
        self.home = cityloom_home()
        self.runtime = runtime_dir()
        self.socket = self.runtime / "supervisor.sock"
        self.config = self.home / "supervisor" / "supervisord.conf"
        self.log = self.home / "logs" / "supervisord.log"

    def rpc(self) -> Any:
        """Return a client of supervisor's XML-RPC interface."""
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(serverurl=f"unix://{self.socket}")
        return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def pid(self) -> int | None:
        """Return the pid of the supervisor that answers for this home, or None."""
        try:
            return int(self.rpc().getPID())
        except (OSError, xmlrpc.client.Error, ValueError):
            return None

    def running(self) -> dict[str, Running]:
        """Return the programs that supervisor knows; empty when it does not answer."""
        try:
            answer = self.rpc().getAllProcessInfo()
        except (OSError, xmlrpc.client.Error):
            return {}
        return {
            item["name"]: Running(
                item["name"], item["statename"], item["pid"], item["start"], item["spawnerr"]
            )
            for item in answer
        }

    def state(self, name: str) -> str:
        """Return supervisor's word for one program; empty when it does not answer or know it."""
        found = self.running().get(name)
        return found.state if found else ""

    def configure(self, settings: Settings, services: Iterable[Service]) -> bool:
        """Write supervisor's settings (0600); tell whether they changed."""
        for place in (self.home, ROOT):
            if set(str(place)) & set('%"\n'):
                raise StackError(f'{place}: supervisor cannot have % or " in a path; move it')
        runtime_dir(make=True)
        self.config.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings.log_dir.mkdir(parents=True, exist_ok=True)
        before = self.config.read_text() if self.config.is_file() else ""
        text = _config_text(self, settings, services)
        write_private(self.config, text)
        return text != before

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
        deadline = time.monotonic() + 20
        while self.pid() is None:
            if started.returncode or time.monotonic() > deadline:
                said = (started.stdout + started.stderr).strip()
                raise StackError(f"supervisor does not start: {said or 'see'} {self.log}")
            time.sleep(0.05)

    def update(self) -> list[str]:
        """Make a running supervisor take up changed settings; return the programs it stopped."""
        rpc = self.rpc()
        added, changed, removed = rpc.reloadConfig()[0]
        stale = [*changed, *removed]
        # Side by side: some take half a minute. The database last, for the others need it to end.
        self.stop_programs(name for name in stale if name != "postgres")
        self.stop_programs(name for name in stale if name == "postgres")
        for name in stale:
            rpc.removeProcessGroup(name)
        for name in (*added, *changed):
            rpc.addProcessGroup(name)
        return stale

    def start_program(self, name: str) -> None:
        """Start a program (once it has stopped, if it stops) and return; one that runs stays."""
        while self.state(name) == "STOPPING":  # a `down` was interrupted
            time.sleep(0.1)
        try:
            self.rpc().startProcess(name, False)
        except xmlrpc.client.Fault as fault:
            if "ALREADY_STARTED" not in fault.faultString:
                raise StackError(f"supervisor cannot start {name}: {fault.faultString}") from fault
        except OSError as error:
            raise StackError(
                f"supervisor itself is gone; see {self.log}, then `cityloom up`"
            ) from error

    def stop_programs(self, names: Iterable[str]) -> None:
        """Stop programs together and wait for each."""
        rpc = self.rpc()
        names = list(names)
        for name in names:
            with contextlib.suppress(xmlrpc.client.Fault):  # it does not run
                rpc.stopProcess(name, False)
        while any(
            found.state in ("RUNNING", "STOPPING", "STARTING")
            for found in self.running().values()
            if found.name in names
        ):
            time.sleep(0.1)

    def shut_down(self) -> None:
        """End supervisor itself and wait for it."""
        pid = self.pid()
        if pid is None:
            return
        with contextlib.suppress(OSError, xmlrpc.client.Error):
            self.rpc().shutdown()
        with contextlib.suppress(psutil.Error):
            psutil.Process(pid).wait(90)
        self.forget()

    def forget(self) -> None:
        """Remove the socket and pid file of a supervisor that has ended."""
        if self.runtime.is_relative_to(self.home):
            self.socket.unlink(missing_ok=True)
        else:
            shutil.rmtree(self.runtime, ignore_errors=True)

    def strays(self) -> list[psutil.Process]:
        """Return processes of this home's servers that no living supervisor answers for.

        A server's own children are among them when their parent was killed. PostgreSQL is found
        by its pid file: it writes over its environment.
        """
        kept = {*self.tree(), os.getpid()}
        found = {
            process.pid: process
            for process in psutil.process_iter()
            if process.pid not in kept and self._is_ours(process)
        }
        postmaster = self._postmaster()
        if postmaster is not None and postmaster.pid not in kept:
            found[postmaster.pid] = postmaster
        return list(found.values())

    def tree(self) -> set[int]:
        """Return the pids of the living supervisor and of all that runs under it."""
        alive = self.pid()
        if alive is None:
            return set()
        with contextlib.suppress(psutil.Error):
            children = psutil.Process(alive).children(recursive=True)
            return {alive, *(child.pid for child in children)}
        return {alive}

    def _is_ours(self, process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error, OSError):
            environment = process.environ()
            if environment.get("CITYLOOM_HOME") != str(self.home):
                return False
            return "CITYLOOM_SERVICE" in environment
        return False

    def _postmaster(self) -> psutil.Process | None:
        folder = self.home / "postgres"
        if not is_ours(folder):  # a copied home: the server is the other's
            return None
        data = folder.resolve() / "data"
        with contextlib.suppress(OSError, ValueError, IndexError, psutil.Error):
            process = psutil.Process(int((data / "postmaster.pid").read_text().splitlines()[0]))
            # The pid may be another's by now: believe only a server on this folder.
            if str(data) in process.cmdline():
                return process
        return None

    def end_strays(self) -> list[str]:
        """End what `strays` finds, PostgreSQL last and cleanly; return their names."""
        found = self.strays()
        if not found:
            return []
        names = sorted({_name(process) for process in found})
        # A stray supervisor first: it would start again what is ended here.
        _end([process for process in found if _is_supervisor(process)], signal.SIGKILL, 5)
        postmaster = self._postmaster()
        main = postmaster.pid if postmaster is not None else None
        _end([process for process in found if process.pid != main], signal.SIGTERM, 10)
        _end([process for process in found if process.pid == main], signal.SIGINT, 60)
        return names


def _is_supervisor(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return "supervisor.supervisord" in process.cmdline()
    return False


def _name(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error, OSError):
        return process.environ().get("CITYLOOM_SERVICE") or process.name()
    return "gone"


def _end(processes: list[psutil.Process], gently: signal.Signals, seconds: float) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(gently)
    _, alive = psutil.wait_procs(processes, seconds)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, 10)


def _config_text(supervisor: Supervisor, settings: Settings, services: Iterable[Service]) -> str:
    lines = [
        "[supervisord]",
        f"logfile={_quoted(supervisor.log)}",
        "logfile_maxbytes=5MB",
        f"pidfile={_quoted(supervisor.runtime / 'supervisord.pid')}",
        f"childlogdir={_quoted(settings.log_dir)}",
        "identifier=cityloom",
        "nodaemon=false",
        "umask=022",
        *(["user=root"] if os.geteuid() == 0 else []),
        "[unix_http_server]",
        f"file={_quoted(supervisor.socket)}",
        "chmod=0600",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
    ]
    for service in services:
        log = settings.log_dir / f"{service.name}.log"
        environment = {**service.environment, "CITYLOOM_SERVICE": service.name}
        lines += [
            f"[program:{service.name}]",
            f"command={_quoted(shlex.join(service.command))}",
            f"directory={_quoted(service.directory)}",
            *([f"user={service.user}"] if service.user else []),
            f"environment={_environment(environment)}",
            "autostart=false",
            "autorestart=true",
            "startsecs=3",
            "startretries=5",
            f"stopsignal={service.stop_signal}",
            f"stopwaitsecs={service.stop_seconds}",
            # PostgreSQL's children must not be signalled apart from it.
            f"stopasgroup={'false' if service.family == 'postgres' else 'true'}",
            f"killasgroup={'false' if service.family == 'postgres' else 'true'}",
            "redirect_stderr=true",
            f"stdout_logfile={_quoted(log)}",
            "stdout_logfile_maxbytes=10MB",
            "stdout_logfile_backups=3",
        ]
    return "\n".join(lines) + "\n"


def _quoted(value: object) -> str:
    return str(value).replace("%", "%%")


def _environment(values: dict[str, str]) -> str:
    return ",".join(f'{key}="{_quoted(value)}"' for key, value in values.items())
