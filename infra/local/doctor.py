"""What commonly goes wrong on one machine, looked for one by one, each with its remedy."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Literal

import psutil
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from infra.contract import Finding
from infra.home import ROOT, cityloom_home
from infra.local.ports import holder, listeners
from infra.local.postgres import PostgresError
from infra.local.services import superset_python
from infra.local.settings import Settings, settings_from
from infra.local.stack import status
from infra.local.state import ADMIN_URL, StackError, read_state
from infra.local.supervise import Supervisor

DISK_BAD_GB, DISK_WARN_GB = 2, 10
MEMORY_WARN_GB = 6
ANOTHER_HOME = "run as its owner, or set CITYLOOM_HOME to a folder that can be written to"


def examine() -> list[Finding]:
    """Run every check; one that fails itself is a finding too."""
    findings: list[Finding] = []
    for check in CHECKS:
        name = check.__name__.strip("_")
        try:
            findings.extend(check())
        except (StackError, PostgresError) as error:
            findings.append(Finding(name, "bad", str(error), "see the message"))
        except OSError as error:  # a folder of somebody else's, or one that is read-only
            found = f"{error.strerror}: {error.filename}"
            findings.append(Finding(name, "bad", found, ANOTHER_HOME))
    return findings


def _environments() -> Iterator[Finding]:
    for name, python in {"platform": Path(sys.executable), "superset": superset_python()}.items():
        check = f"environment {name}"
        venv = python.parent.parent
        pins = ROOT / "constraints" / f"{name}.txt"
        if not python.exists():
            yield Finding(check, "bad", f"{venv} is missing", "`make setup`")
        elif not pins.is_file():
            yield Finding(check, "bad", f"{pins} is missing", "restore it from git")
        elif wrong := _not_as_pinned(venv, pins):
            shown = "; ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if wrong[3:] else "")
            yield Finding(check, "warn", shown, "`make clean setup`")
        else:
            yield Finding(check, "ok", f"{venv} is as {pins.name} pins it")


def _not_as_pinned(venv: Path, pins: Path) -> list[str]:
    (packages,) = venv.glob("lib/python3*/site-packages")
    wanted = read_pins(pins, _python_of(venv))
    return [
        f"{one.name} {one.version} instead of {version}"
        for one in metadata.distributions(path=[str(packages)])
        if (version := wanted.get(canonicalize_name(one.name or ""), ""))
        and one.version.split("+")[0] != version
    ]


def _python_of(venv: Path) -> str:
    """Return the full version of an environment's Python, such as `3.12.4`."""
    found = re.search(
        r"^version(?:_info)?\s*=\s*(\d+\.\d+\.\d+)", (venv / "pyvenv.cfg").read_text(), re.MULTILINE
    )
    return found[1] if found else platform.python_version()


def read_pins(path: Path, python: str) -> dict[str, str]:
    """Return package to version for the pins that hold on this system and a Python (`3.12.4`)."""
    holds = {"python_version": python.rpartition(".")[0], "python_full_version": python}
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    pins = [Requirement(line) for line in lines]
    return {
        canonicalize_name(pin.name): str(pin.specifier).removeprefix("==")
        for pin in pins
        if pin.marker is None or pin.marker.evaluate(holds)
    }


def _manifests() -> Iterator[Finding]:
    from catalog.facts import feed_problems, load_facts
    from catalog.generate import DBT_PROJECT
    from extract.manifests import load_cities

    found = load_cities()
    for problem in found.problems:
        yield Finding("manifests", "bad", str(problem), "mend the file; its source is not loaded")
    unmodelled = feed_problems(found.sources, load_facts(DBT_PROJECT), DBT_PROJECT)
    for line in unmodelled:
        yield Finding("manifests", "bad", line, "mend the file; its source is not in the marts")
    if not (found.problems or unmodelled):
        yield Finding("manifests", "ok", f"{len(found.sources)} in {len(found.cities)} cities")


def _disk() -> Iterator[Finding]:
    home = cityloom_home()
    folder = next(path for path in (home, *home.parents) if path.exists())
    if not os.access(folder, os.W_OK):
        yield Finding("disk", "bad", f"{folder} cannot be written to", ANOTHER_HOME)
    places = {folder.stat().st_dev: (folder, home)}
    database = (home / "postgres").resolve()
    if database.exists():  # as root it may lie on another disk
        places.setdefault(database.stat().st_dev, (database, database))
    for place, named in places.values():
        free = shutil.disk_usage(place).free / 2**30
        if free >= DISK_WARN_GB:
            yield Finding("disk", "ok", f"{free:.0f} GB free for {named}")
        else:
            remedy = "free some, or set CITYLOOM_HOME to a larger disk"
            verdict: Literal["bad", "warn"] = "bad" if free < DISK_BAD_GB else "warn"
            yield Finding("disk", verdict, f"{free:.1f} GB free for {named}", remedy)


def _memory() -> Iterator[Finding]:
    memory = psutil.virtual_memory()
    total, free = memory.total / 2**30, memory.available / 2**30
    remedy = "end what else needs memory" if free < 1 else ""
    if total < MEMORY_WARN_GB:
        remedy = f"the stack wants {MEMORY_WARN_GB} GB in all"
    found = f"{total:.0f} GB, {free:.1f} GB free"
    yield Finding("memory", "warn" if remedy else "ok", found, remedy)


def _state() -> Iterator[Finding]:
    home = cityloom_home()
    link = home / "postgres"
    supervisor = Supervisor()
    if read_state() is None:
        if left := sorted(path.name for path in home.iterdir()) if home.is_dir() else []:
            found = f"{home} has no stack.json but holds {', '.join(left[:5])}"
            remedy = "an interrupted start: `cityloom up`, or `cityloom reset`"
            yield Finding("state", "warn", found, remedy)
        else:
            yield Finding("state", "ok", f"nothing yet under {home}; `cityloom up` makes it")
    elif link.is_symlink() and not link.exists():
        found = f"{link} leads to {link.readlink()}, which is gone, and the data with it"
        yield Finding("state", "bad", found, "restore it, or `cityloom reset`")
    elif strays := supervisor.strays():
        pids = ", ".join(str(process.pid) for process in strays)
        found = f"servers outlived their supervisor (pids {pids})"
        remedy = "`cityloom up` ends them and starts anew; `cityloom down` only ends them"
        yield Finding("state", "bad", found, remedy)
    elif supervisor.pid() is None and supervisor.socket.exists():
        found = "the supervisor was killed and left its socket"
        yield Finding("state", "warn", found, "`cityloom up`")
    elif home.stat().st_mode & 0o077:
        found = f"other users of this machine may enter {home}"
        yield Finding("state", "bad", found, "`cityloom up` closes it")
    else:
        yield Finding("state", "ok", str(home))


def _ports() -> Iterator[Finding]:
    described = read_state() or {"ports": {}}
    supervisor = Supervisor()
    own = {*supervisor.tree(), *(process.pid for process in supervisor.strays())}
    listening = listeners()
    for name, port in described["ports"].items():
        if name == "postgres" and described["database"]:
            continue
        if not listening.get(port, set()) <= own:
            found = f"kept for {name}, taken by {holder(port)}"
            remedy = (
                f"end that, or `CITYLOOM_PORT_{name.upper()}=<another> cityloom up`; "
                "plain `cityloom up` moves to a free one"
            )
            yield Finding(f"port {port}", "warn", found, remedy)


def _servers() -> Iterator[Finding]:
    settings = _settings()
    if settings is None:
        return
    if Supervisor().pid() is None:
        yield Finding("servers", "warn", "the stack is down", "`cityloom up`")
        return
    for service in status().services:
        remedy = f"`cityloom up`; if it stays so, read {settings.log_dir / service.name}.log"
        if service.name == "postgres" and not settings.embedded_database:
            remedy = "see to that server; the others find it again by themselves"
        if service.up:
            yield Finding(service.name, "ok", "healthy")
        else:
            yield Finding(service.name, "bad", service.detail, remedy)


#: Sessions that keep one of `warehouse` waiting for a lock: a reader's client that overrides its
#: limits may read on for ever, and keeps the tables that it read from being replaced.
_HELD_UP_BY = """
select holder.usename, holder.pid, count(*)
from pg_stat_activity waiting
cross join lateral unnest(pg_blocking_pids(waiting.pid)) as blocking(pid)
join pg_stat_activity holder on holder.pid = blocking.pid
where waiting.usename = 'warehouse' and holder.usename <> 'warehouse'
group by 1, 2
order by 1, 2
"""


def _database() -> Iterator[Finding]:
    """The warehouse, and whether logins, rights and session defaults are as `up` gives them."""
    import psycopg

    from warehouse.bootstrap import find_faults

    settings = _settings()
    if settings is None or (settings.embedded_database and Supervisor().pid() is None):
        return
    try:
        with psycopg.connect(settings.database_url("warehouse"), connect_timeout=20) as connection:
            row = connection.execute(
                "select pg_size_pretty(pg_database_size('warehouse')), "
                "(select count(*) from pg_stat_activity), current_setting('max_connections')"
            ).fetchone()
            held_up = connection.execute(_HELD_UP_BY).fetchall()
    except psycopg.Error as error:
        found = str(error).strip().splitlines()[0]
        yield Finding("warehouse", "bad", found, "`cityloom up`; for an external server see to it")
        return
    size, sessions, limit = row or ("", 0, "0")
    remedy = "end idle clients" if sessions > 0.9 * int(limit) else ""
    found = f"{size}, {sessions} of {limit} connections"
    yield Finding("warehouse", "warn" if remedy else "ok", found, remedy)
    for role, pid, waiting in held_up:
        found = f"a session of {role} (pid {pid}) holds up {waiting} of the loads and builds"
        remedy = f"as a superuser: select pg_terminate_backend({pid})"
        yield Finding("warehouse", "bad", found, remedy)
    faults = find_faults(settings.database_url)
    for fault in faults:
        if settings.embedded_database:
            yield Finding("roles", "bad", fault.text, "`cityloom up` restores it")
        elif fault.needs_superuser:
            remedy = f"set {ADMIN_URL} to a superuser's login and run `cityloom up`, or accept it"
            yield Finding("roles", "warn", fault.text, remedy)
        else:
            remedy = f"`cityloom up` restores it when {ADMIN_URL} names a login that may"
            yield Finding("roles", "bad", fault.text, remedy)
    if not faults:
        yield Finding("roles", "ok", "logins, rights and limits are as they should be")


def _settings() -> Settings | None:
    try:
        described = read_state()
    except StackError:
        return None
    return settings_from(cityloom_home(), described) if described else None


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    *(_environments, _manifests, _disk, _memory, _state, _ports, _servers, _database),
)
