"""Bringing the stack up and down, and its status.

`up` ends strays, starts supervisor and PostgreSQL, then prepares and starts Airflow, MLflow and
Superset side by side. Each step looks first and does nothing where nothing is to be done.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from infra.contract import Deployment, Report, ServiceStatus, StackStatus, load_deployment
from infra.home import ROOT, cityloom_home, write_private
from infra.local import postgres
from infra.local import services as catalogue
from infra.local.ports import Reservations, foreign
from infra.local.services import FAMILIES
from infra.local.settings import Settings, describe, load_settings, settings_from
from infra.local.state import (
    ADMIN_URL,
    OWNED_PATHS,
    StackError,
    decide_state,
    digest,
    one_at_a_time,
)
from infra.local.supervise import Supervisor, inherited
from infra.setup import SUPERSET

#: Generous: a machine that is busy otherwise is slow, not broken.
START_SECONDS = 600
#: Supervisor's words for a program that it does not start again by itself, and for one that runs.
GIVEN_UP = ("FATAL", "EXITED", "STOPPED", "UNKNOWN")
ALIVE = ("STARTING", "RUNNING")

_PREPARED_LOCK = threading.Lock()


def up(report: Report) -> Deployment:
    """Bring every service up, wait until each is healthy, and describe the deployment.

    Raises `StackError` naming the service, with the end of its log.
    """
    with one_at_a_time(), Reservations() as reservations:
        home, supervisor = cityloom_home(), Supervisor()
        if postgres.is_inside(home / "postgres"):
            report("stack", "the database moves to where its own user reaches it", False)
            supervisor.shut_down(report)
        supervisor.end_strays(report)
        settings = settings_from(home, decide_state(supervisor.tree, reservations))
        write_private(home / "deployment.json", json.dumps(describe(settings), indent=2) + "\n")
        environments = catalogue.environments(settings)
        for name in supervisor.apply(catalogue.supervisor_config(settings, environments)):
            report(name, "restarting with new settings", False)
        start = Start(settings, supervisor, report)
        start.database()
        try:
            with ThreadPoolExecutor(len(environments)) as pool:
                list(pool.map(start.family, environments, environments.values()))
            start.wait()
        except KeyboardInterrupt:
            report("stack", "cancelled; `cityloom down` ends what was started", False)
            raise
        return load_deployment(home / "deployment.json")


@dataclass(frozen=True)
class Start:
    """One `up` under way, from the database on."""

    settings: Settings
    supervisor: Supervisor
    report: Report

    def database(self) -> None:
        """Start the embedded server, and make or restore what belongs in the database."""
        began = time.monotonic()
        admin = os.environ.get(ADMIN_URL)
        if self.settings.embedded_database:
            folder, port = self.settings.home / "postgres", self.settings.ports["postgres"]
            cluster = postgres.locate(folder, port)
            password = self.settings.secret("postgres_superuser")
            admin = cluster.url(password)

            def accepts() -> bool:
                return cluster.accepts() and not foreign(port, self.supervisor.tree)

            if self.supervisor.state("postgres") not in ALIVE or not accepts():
                made = (cluster.data / "PG_VERSION").exists()
                self.report("postgres", "starting" if made else "making the database", False)
                cluster.initialise(password)
                cluster.drop_stale_pid_file()
                self.supervisor.start_program("postgres")
                while not accepts():
                    self._check_alive("postgres", began, "no answer")
                    time.sleep(0.1)
        for fault in prepare_database(self.settings, admin):
            self.report("stack", f"restored, because {fault}", False)
        self.report("postgres", f"up ({time.monotonic() - began:.1f} s)", True)

    def family(self, family: str, environment: dict[str, str]) -> None:
        """Prepare the database of a family's services, and start them."""
        self._prepare(family, environment)
        for name in FAMILIES[family]:
            if self.supervisor.state(name) not in ALIVE:
                self.report(name, "starting", False)
            self.supervisor.start_program(name)

    def wait(self) -> None:
        """Return when all that was started is healthy; raise `StackError` for what will not be."""
        began = time.monotonic()
        waiting = {name for names in FAMILIES.values() for name in names} - {"postgres"}
        again = set(waiting)
        while True:
            answers = catalogue.probe(self.settings, self.supervisor.tree)
            states = self.supervisor.running()
            for name in sorted(waiting):
                state = states.get(name, {}).get("statename", "")
                # Airflow reports the heartbeat of a part for a while after it has died.
                if answers[name] is None and state in ALIVE:
                    waiting.discard(name)
                    self.report(name, f"up ({time.monotonic() - began:.1f} s)", True)
                elif name in again and state in GIVEN_UP:
                    # It may have used up its tries while the database was down.
                    again.discard(name)
                    self.report(name, "starting again", False)
                    self.supervisor.start_program(name)
                else:
                    self._check_alive(name, began, answers[name] or "")
            if not waiting:
                return
            time.sleep(0.5)

    def _prepare(self, family: str, environment: dict[str, str]) -> None:
        """Migrate a family's database and make the admin login, once a version."""
        settings = self.settings
        steps = Path(__file__).with_name("prepare.py").read_text()
        fingerprint = f"{catalogue.version(family)} {digest(settings.admin_password + steps)}"
        before = prepared(settings).get(family)
        if before == fingerprint:
            return
        # MLflow's server makes a new database itself; one outside may be an earlier installation's.
        if not (family == "mlflow" and before is None and settings.embedded_database):
            self.report(FAMILIES[family][0], f"preparing {family}'s database", False)
            self.supervisor.stop(FAMILIES[family])
            python = SUPERSET.python if family == "superset" else sys.executable
            own = {"CITYLOOM_HOME": str(settings.home), "CITYLOOM_SERVICE": f"{family}-prepare"}
            log = settings.log_dir / f"{family}-prepare.log"
            with log.open("w") as file:
                done = subprocess.run(
                    [python, "-m", "infra.local.prepare", family],
                    cwd=ROOT,
                    env=inherited() | environment | own,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                )
            if done.returncode:
                raise StackError(f"{family}'s database cannot be prepared: {log_tail(log)}")
        set_prepared(settings, family, fingerprint)

    def _check_alive(self, name: str, began: float, wrong: str) -> None:
        """Raise `StackError` when a service that is waited for has given up or takes too long."""
        state = self.supervisor.state(name)
        if not state:
            problem = f"supervisor itself is gone; see {self.supervisor.log}, then `cityloom up`"
        elif state in GIVEN_UP or wrong.startswith("another program"):
            problem = f"{name} does not start: {wrong}"
        elif time.monotonic() - began > START_SECONDS:
            problem = f"{name} is not healthy after {START_SECONDS} s: {wrong}"
        else:
            return
        self.report(name, "failed", True)
        logs = [self.settings.log_dir / f"{name}.log"]
        if name == "postgres":  # before its own log is open it writes to the other
            logs += postgres.logs(self.settings.home / "postgres")
        there = sorted((log for log in logs if log.is_file()), key=lambda log: log.stat().st_mtime)
        raise StackError(f"{problem}\n{log_tail([*logs[:1], *there][-1])}")


def prepare_database(settings: Settings, admin_url: str | None) -> list[str]:
    """Make roles, databases and schemas where missing, and restore what was changed since.

    Returns what was found to be changed.
    """
    import psycopg

    from warehouse.bootstrap import OWNERS, READERS, bootstrap, find_faults
    from warehouse.schema import create_schemas

    sources = [ROOT / "warehouse" / f"{name}.py" for name in ("bootstrap", "schema", "tiers")]
    made_by = digest("".join(source.read_text() for source in sources))
    address = _address(settings)
    faults: list[str] = []
    try:
        if prepared(settings).get("database") == made_by:
            found = find_faults(settings.database_url)
            # On another's server, a superuser's rights are asked for by doctor, not by each start.
            faults = [fault.text for fault in found if admin_url or not fault.needs_superuser]
            if not faults:
                return []
        if admin_url is None:
            raise StackError(
                f"the roles and databases on {address} are to be made or renewed: set {ADMIN_URL} "
                + "\n  ".join(["to a login that may do so, for this once", *faults])
            )
        passwords = {role: settings.secret(f"postgres_{role}") for role in OWNERS + READERS}
        bootstrap(admin_url, passwords, own_server=settings.embedded_database)
        create_schemas(settings.database_url("warehouse"))
    except psycopg.Error as error:
        raise StackError(f"the database ({address}): {str(error).strip()}") from error
    set_prepared(settings, "database", made_by)
    left = {fault.text for fault in find_faults(settings.database_url)} if faults else set()
    return [fault for fault in faults if fault not in left]


def _address(settings: Settings) -> str:
    if settings.embedded_database:
        return "embedded"
    return f"{settings.database_host}:{settings.ports['postgres']}"


def prepared(settings: Settings) -> dict[str, str]:
    """Return fingerprints of what was prepared on this server; on another one nothing was."""
    with suppress(FileNotFoundError, json.JSONDecodeError):
        found = json.loads((settings.home / "prepared.json").read_text())
        if found.get("address", "embedded") == _address(settings):
            return found
    return {}


def set_prepared(settings: Settings, part: str, fingerprint: str) -> None:
    """Keep the fingerprint of what was prepared: a family, or `database`."""
    with _PREPARED_LOCK:
        found = {**prepared(settings), "address": _address(settings), part: fingerprint}
        write_private(settings.home / "prepared.json", json.dumps(found, indent=2) + "\n")


def log_tail(log: Path, lines: int = 15) -> str:
    """Return the last lines of a log, and where it is."""
    text = log.read_text(errors="replace") if log.is_file() else ""
    shown = text.strip().splitlines()[-lines:]
    return "\n".join([f"its log is {log}", *(f"  | {line}" for line in shown)])


def down(report: Report) -> None:
    """Stop every service, those that use the database first, then supervisor; wait for all.

    Needs no usable `stack.json`.
    """
    if cityloom_home().is_dir():
        with one_at_a_time():
            supervisor = Supervisor()
            supervisor.shut_down(report)
            supervisor.end_strays(report)


def status() -> StackStatus:
    """Return how every service is. Raises `NotSetUp` before the first start."""
    settings = load_settings()
    supervisor = Supervisor()
    running = supervisor.running()
    answers = catalogue.probe(settings, supervisor.tree)
    urls = {
        "postgres": f"postgresql://{settings.database_host}:{settings.ports['postgres']}",
        "airflow-api-server": settings.url("airflow"),
        **{name: settings.url(name) for name in ("mlflow", "superset")},
    }

    def service(family: str, name: str) -> ServiceStatus:
        process = running.get(name, {})
        pid = process.get("pid") or None
        state = process.get("statename", "not running")
        external = family == "postgres" and not settings.embedded_database
        wrong = answers[name] if external or state in ALIVE else state.lower()
        return ServiceStatus(
            name=name,
            up=wrong is None,
            detail=wrong or ("external server" if external else "healthy"),
            pid=pid,
            version="" if external else catalogue.version(family),
            url=urls.get(name),
            memory_mb=memory_mb(pid),
        )

    services = [service(family, name) for family, names in FAMILIES.items() for name in names]
    return StackStatus(
        home=str(settings.home),
        up=all(found.up for found in services),
        services=services,
        memory_mb=memory_mb(supervisor.pid()),
    )


def memory_mb(pid: int | None) -> float:
    """Return the memory of a process and its children in MB, their share of common memory once."""
    total = 0
    if pid is not None and psutil.pid_exists(pid):
        process = psutil.Process(pid)
        for member in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):  # it has ended
                total += member.memory_full_info().pss
    return round(total / 2**20, 1)


def remove_state() -> list[str]:
    """Remove what the stopped installation keeps, also outside its home; return what was removed.

    Nothing else: `CITYLOOM_HOME` may be a folder that holds more than the stack's state.
    """
    home = cityloom_home()
    removed = postgres.remove(home / "postgres")
    for path in home.iterdir():
        if path.name.removesuffix(".new") in OWNED_PATHS:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    if left := sorted(path.name for path in home.iterdir()):
        shown = ", ".join(left[:5]) + (", ..." if left[5:] else "")
        return [*removed, f"removed the state in {home}; not Cityloom's, and left there: {shown}"]
    home.rmdir()
    return [*removed, f"removed {home}"]
