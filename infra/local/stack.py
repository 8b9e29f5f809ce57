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
from pathlib import Path

import psutil

from infra.contract import Deployment, Report, ServiceStatus, StackStatus, load_deployment
from infra.home import ROOT, cityloom_home, write_private
from infra.local import postgres
from infra.local import services as catalogue
from infra.local.ports import Reservations
from infra.local.services import FAMILIES
from infra.local.settings import Settings, describe, load_settings, settings_from
from infra.local.state import (
    ADMIN_URL,
    OWNED_PATHS,
    StackError,
    decide_state,
    digest,
    make_private,
    one_at_a_time,
    read_state,
    state_file,
)
from infra.local.supervise import Supervisor

#: Generous: a machine that is busy otherwise is slow, not broken.
START_SECONDS = 600
#: Supervisor's words for a program that it does not start again by itself, and for one that runs.
GIVEN_UP = ("FATAL", "EXITED", "STOPPED", "UNKNOWN")
ALIVE = ("STARTING", "RUNNING")
#: Services that stop together, first those that use the others.
STOP_ORDER = (
    ("airflow-scheduler", "superset", "mlflow"),
    ("airflow-api-server", "airflow-dag-processor", "airflow-triggerer"),
    ("postgres",),
)

_PREPARED_LOCK = threading.Lock()


def up(report: Report) -> Deployment:
    """Bring every service up, wait until each is healthy, and describe the deployment.

    Raises `StackError` naming the service, with the end of its log.
    """
    with one_at_a_time(), Reservations() as reservations:
        home = cityloom_home()
        supervisor = Supervisor()
        if make_private(home):
            report("stack", f"{home} was open to other users of this machine; closed", False)
        if postgres.is_shut_off(home / "postgres"):
            report("stack", "the database moves to where its own user reaches it", False)
            _stop_all(supervisor, report)
        _end_strays(supervisor, report)
        own = supervisor.tree()
        described, notes = decide_state(own, reservations)
        for note in notes:
            report("stack", note, False)
        settings = settings_from(home, described)
        write_private(home / "deployment.json", json.dumps(describe(settings), indent=2) + "\n")
        environments = catalogue.environments(settings)
        supervisor.configure(catalogue.supervisor_config(settings, environments))
        if not own:
            supervisor.start()
        else:  # also when the file is as it was: an `up` may have been killed before it came here
            for name in supervisor.update():
                report(name, "restarting with new settings", False)
        _start_database(supervisor, settings, report)
        cancelled = threading.Event()
        with ThreadPoolExecutor(len(environments)) as pool:
            starts = [
                pool.submit(
                    _start_family, family, environment, supervisor, settings, report, cancelled
                )
                for family, environment in environments.items()
            ]
            try:
                problems = [str(error) for start in starts if (error := start.exception())]
            except KeyboardInterrupt:
                cancelled.set()  # else leaving the pool waits until all are healthy
                report("stack", "cancelled; `cityloom down` ends what was started", False)
                raise
        if problems:
            raise StackError("\n".join(problems))
        return load_deployment(home / "deployment.json")


def _start_database(supervisor: Supervisor, settings: Settings, report: Report) -> None:
    began = time.monotonic()
    admin = os.environ.get(ADMIN_URL)
    if settings.embedded_database:
        cluster = postgres.locate(settings.home / "postgres", settings.ports["postgres"])
        password = settings.secret("postgres_superuser")
        if supervisor.state("postgres") not in ALIVE or not cluster.accepts():
            made = (cluster.data / "PG_VERSION").exists()
            report("postgres", "starting" if made else "making the database", False)
            cluster.initialise(password)
            cluster.drop_stale_pid_file()
            supervisor.start_program("postgres")
            while not cluster.accepts():
                _check_alive(supervisor, "postgres", settings, began, "no answer")
                time.sleep(0.1)
        admin = cluster.url(password)
    for fault in _prepare_database(settings, admin):
        report("stack", f"restored, because {fault}", False)
    if not settings.embedded_database:
        wrong = catalogue.probe_family("postgres", settings)["postgres"]
        if wrong is not None:
            raise StackError(f"the external database {_address(settings)}: {wrong}")
    report("postgres", f"up ({time.monotonic() - began:.1f} s)", True)


def _prepare_database(settings: Settings, admin_url: str | None) -> list[str]:
    """Make roles, databases and schemas where missing, and restore what was changed since.

    Returns what was found to be changed.
    """
    import psycopg

    from warehouse.bootstrap import OWNERS, READERS, bootstrap, find_faults
    from warehouse.schema import create_schemas

    made_by = "".join(
        (ROOT / "warehouse" / f"{name}.py").read_text() for name in ("bootstrap", "schema", "tiers")
    )
    address = _address(settings)
    faults: list[str] = []
    if _prepared(settings).get("database") == digest(made_by):
        try:
            found = find_faults(settings.database_url)
        except psycopg.OperationalError as error:
            raise StackError(f"the database {address}: {str(error).strip()}") from error
        # On another's server, a superuser's rights are asked for by doctor, not by each start.
        faults = [fault.text for fault in found if admin_url or not fault.needs_superuser]
        if not faults:
            return []
    if admin_url is None:
        raise StackError(
            f"the roles and databases on {address} are to be made or renewed: set {ADMIN_URL} "
            "to a login that may do so, for this once" + "".join(f"\n  {fault}" for fault in faults)
        )
    passwords = {role: settings.secret(f"postgres_{role}") for role in OWNERS + READERS}
    try:
        bootstrap(admin_url, passwords, own_server=settings.embedded_database)
        create_schemas(settings.database_url("warehouse"))
    except psycopg.Error as error:
        if settings.embedded_database:
            raise
        raise StackError(
            f"the roles and databases on {address} cannot be made: {str(error).strip()}"
        ) from error
    _set_prepared(settings, "database", digest(made_by))
    left = {fault.text for fault in find_faults(settings.database_url)} if faults else set()
    return [fault for fault in faults if fault not in left]


def _address(settings: Settings) -> str:
    if settings.embedded_database:
        return "embedded"
    return f"{settings.database_host}:{settings.ports['postgres']}"


def _start_family(
    family: str,
    environment: dict[str, str],
    supervisor: Supervisor,
    settings: Settings,
    report: Report,
    cancelled: threading.Event,
) -> None:
    """Prepare and start a family's services; return when all are healthy, or on `cancelled`."""
    try:
        _prepare_family(family, environment, supervisor, settings, report)
        for name in FAMILIES[family]:
            if supervisor.state(name) not in ALIVE:
                report(name, "starting", False)
            supervisor.start_program(name)
        began = time.monotonic()
        waiting = set(FAMILIES[family])
        again: set[str] = set()
        while waiting and not cancelled.is_set():
            answers = catalogue.probe_family(family, settings, supervisor.tree)
            states = supervisor.running()
            for name in sorted(waiting):
                state = states.get(name, {}).get("statename", "")
                # The heartbeat of a part of Airflow is reported for a while after it has died.
                if answers[name] is None and state in ALIVE:
                    waiting.discard(name)
                    report(name, f"up ({time.monotonic() - began:.1f} s)", True)
                elif name not in again and state in GIVEN_UP:
                    # It may have used up its tries while the database was down: those of now count.
                    again.add(name)
                    report(name, "starting again", False)
                    supervisor.start_program(name)
                else:
                    _check_alive(supervisor, name, settings, began, answers[name] or "")
            if waiting:
                cancelled.wait(0.5)
    except StackError:
        for name in FAMILIES[family]:
            report(name, "failed", True)
        raise


def _prepare_family(
    family: str,
    environment: dict[str, str],
    supervisor: Supervisor,
    settings: Settings,
    report: Report,
) -> None:
    """Migrate a family's database and make the admin login, once a version."""
    fingerprint = f"{catalogue.version(family)} {digest(settings.admin_password)}"
    before = _prepared(settings).get(family)
    if before == fingerprint:
        return
    # MLflow's server makes a new database itself; one outside may be an earlier installation's.
    fresh = family == "mlflow" and before is None and settings.embedded_database
    if not fresh:
        report(FAMILIES[family][0], f"preparing {family}'s database", False)
        supervisor.stop_programs(name for name in supervisor.running() if name in FAMILIES[family])
        python = str(catalogue.superset_python()) if family == "superset" else sys.executable
        environment = {
            **(os.environ | catalogue.COMMON | environment),
            "CITYLOOM_HOME": str(settings.home),
            "CITYLOOM_SERVICE": f"{family}-prepare",
        }
        log = settings.log_dir / f"{family}-prepare.log"
        with log.open("w") as file:
            done = subprocess.run(
                [python, "-m", "infra.local.prepare", family],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        if done.returncode:
            raise StackError(f"{family}'s database cannot be prepared: {log_tail(log)}")
    _set_prepared(settings, family, fingerprint)


def _prepared(settings: Settings) -> dict[str, str]:
    """Return fingerprints of what was prepared on this server; on another one nothing was."""
    with suppress(FileNotFoundError, json.JSONDecodeError):
        found = json.loads((settings.home / "prepared.json").read_text())
        if found.get("address", "embedded") == _address(settings):
            return found
    return {}


def _set_prepared(settings: Settings, part: str, fingerprint: str) -> None:
    with _PREPARED_LOCK:
        found = {**_prepared(settings), "address": _address(settings), part: fingerprint}
        write_private(settings.home / "prepared.json", json.dumps(found, indent=2) + "\n")


def _check_alive(
    supervisor: Supervisor, name: str, settings: Settings, began: float, wrong: str
) -> None:
    """Raise `StackError` when a service that is waited for has given up or takes too long."""
    log = settings.log_dir / f"{name}.log"
    state = supervisor.state(name)
    if not state:
        raise StackError(f"supervisor itself is gone; see {supervisor.log}, then `cityloom up`")
    if state in GIVEN_UP or wrong.startswith("another program"):
        raise StackError(f"{name} does not start: {wrong}\n{log_tail(log)}")
    if time.monotonic() - began > START_SECONDS:
        raise StackError(f"{name} is not healthy after {START_SECONDS} s: {wrong}\n{log_tail(log)}")


def log_tail(log: Path, lines: int = 15) -> str:
    """Return the last lines of a log, and where it is."""
    text = log.read_text(errors="replace") if log.is_file() else ""
    shown = text.strip().splitlines()[-lines:]
    return "\n".join([f"its log is {log}", *(f"  | {line}" for line in shown)])


def down(report: Report) -> None:
    """Stop every service, those that use the database first, then supervisor; wait for all."""
    if read_state() is not None:
        stop_whatever_runs(report)


def stop_whatever_runs(report: Report) -> None:
    """Stop what runs under this home, also without a usable `stack.json`; see `down`."""
    with one_at_a_time():
        supervisor = Supervisor()
        _stop_all(supervisor, report)
        _end_strays(supervisor, report)


def _stop_all(supervisor: Supervisor, report: Report) -> None:
    running = [name for name, found in supervisor.running().items() if found["pid"]]
    for group in STOP_ORDER:
        names = [name for name in group if name in running]
        for name in names:
            report(name, "stopping", False)
        supervisor.stop_programs(names)
        for name in names:
            report(name, "stopped", True)
    supervisor.shut_down()


def _end_strays(supervisor: Supervisor, report: Report) -> None:
    if ended := supervisor.end_strays():
        report("stack", f"ended what was left over from before: {', '.join(ended)}", False)


def status() -> StackStatus:
    """Return how every service is. Raises `NotSetUp` before the first start."""
    settings = load_settings()
    supervisor = Supervisor()
    running = supervisor.running()
    answers = catalogue.probe(settings, supervisor.tree)
    urls: dict[str, str | None] = {
        "postgres": f"postgresql://{settings.database_host}:{settings.ports['postgres']}",
        "airflow-api-server": settings.url("airflow"),
        **{name: settings.url(name) for name in ("mlflow", "superset")},
    }
    restarts = _restarts(supervisor)
    found = []
    for family, names in FAMILIES.items():
        for name in names:
            process = running.get(name, {})
            state = process.get("statename", "not running")
            external = family == "postgres" and not settings.embedded_database
            wrong = answers[name] if external or state in ALIVE else state.lower()
            detail = wrong or "healthy"
            if external:
                detail = f"external server: {wrong}" if wrong else "external server"
            pid = process.get("pid") or None
            found.append(
                ServiceStatus(
                    name=name,
                    up=wrong is None,
                    detail=detail,
                    pid=pid,
                    version="" if external else _version(family),
                    url=urls.get(name),
                    memory_mb=memory_mb(pid) if pid else 0.0,
                    restarts=restarts.get(name, 0),
                )
            )
    own = supervisor.pid()
    total = sum(service.memory_mb for service in found)
    return StackStatus(
        home=str(settings.home),
        up=all(service.up for service in found),
        services=found,
        memory_mb=round(total + (memory_mb(own, children=False) if own else 0), 1),
        logs=str(settings.log_dir),
        data_docs=str(settings.home / "data_docs" / "index.html"),
        admin_user=settings.admin_user,
        admin_password_file=str(settings.home / "secrets" / "admin_password"),
    )


def _version(family: str) -> str:
    try:
        return catalogue.version(family)
    except StackError:
        return "not installed"


def _restarts(supervisor: Supervisor) -> dict[str, int]:
    """Count unasked restarts since supervisor started, from its own log."""
    counts: dict[str, int] = {}
    text = supervisor.log.read_text(errors="replace") if supervisor.log.is_file() else ""
    for line in text.rpartition(" supervisord started with pid ")[2].splitlines():
        if " exited: " in line:
            name = line.partition(" exited: ")[2].split(" ")[0]
            counts[name] = counts.get(name, 0) + 1
    return counts


def memory_mb(pid: int, children: bool = True) -> float:
    """Return the memory of a process (and its children) in MB: PSS, or RSS where PSS is hidden."""
    total = 0
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        for member in [process, *(process.children(recursive=True) if children else ())]:
            try:
                total += member.memory_full_info().pss
            except psutil.AccessDenied:
                total += member.memory_info().rss
            except psutil.Error:
                continue
    return round(total / 2**20, 1)


def remove_state() -> list[str]:
    """Remove what the stopped installation keeps, also outside its home; return what was removed.

    Nothing else: `CITYLOOM_HOME` may be a folder that holds more than the stack's state.
    """
    home = state_file().parent
    removed = []
    folder = home / "postgres"
    if folder.is_symlink() and postgres.is_ours(folder):
        removed.append(f"removed {folder.resolve()}")
    postgres.remove(folder)
    Supervisor().remove_socket()
    for path in home.iterdir():
        if path.name.removesuffix(".new") not in OWNED_PATHS:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    left = sorted(path.name for path in home.iterdir())
    if left:
        shown = ", ".join(left[:5]) + (", ..." if left[5:] else "")
        return [*removed, f"removed the state in {home}; not Cityloom's, and left there: {shown}"]
    home.rmdir()
    return [*removed, f"removed {home}"]
