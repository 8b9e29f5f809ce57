"""What commonly goes wrong on one machine, looked for one by one, each with its remedy."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from infra.home import ROOT, cityloom_home
from infra.local import services as catalogue
from infra.local.postgres import PostgresError
from infra.local.settings import Settings, settings_from
from infra.local.state import ADMIN_URL, StackError, holder, is_free, is_held_by, read_state
from infra.local.supervise import Supervisor

DISK_BAD_GB, DISK_WARN_GB = 2, 10
MEMORY_WARN_GB = 6


@dataclass(frozen=True)
class Finding:
    """One check: `ok`, `warn` (works, but) or `bad`, what was found, and what to do."""

    check: str
    verdict: Literal["ok", "warn", "bad"]
    found: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Run every check; one that fails itself is a finding too."""
    findings: list[Finding] = []
    for check in CHECKS:
        try:
            findings.extend(check())
        except (StackError, PostgresError) as error:
            findings.append(
                Finding(check.__name__.strip("_"), "bad", str(error), "see the message")
            )
        except OSError as error:  # a folder of somebody else's, or one that is read-only
            findings.append(
                Finding(
                    check.__name__.strip("_"),
                    "bad",
                    f"{error.strerror}: {error.filename}",
                    "run as its owner, or set CITYLOOM_HOME to a folder that can be written to",
                )
            )
    return findings


def _python() -> Iterator[Finding]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        yield Finding("Python", "ok", version)
    else:
        yield Finding(
            "Python",
            "bad",
            f"{version}; 3.11 to 3.13 are supported",
            "install one of these, then `make clean setup`",
        )


def _environments() -> Iterator[Finding]:
    for name, python in {
        "platform": Path(sys.executable),
        "superset": catalogue.superset_python(),
    }.items():
        venv = python.parent.parent
        pins = ROOT / "constraints" / f"{name}.txt"
        if not python.exists():
            yield Finding(f"environment {name}", "bad", f"{venv} is missing", "`make setup`")
            continue
        if not pins.is_file():
            yield Finding(f"environment {name}", "bad", f"{pins} is missing", "restore it from git")
            continue
        packages = [str(path) for path in venv.glob("lib/python3*/site-packages")]
        installed = {
            _canonical(found.name): found.version
            for found in metadata.distributions(path=packages)
            if found.name
        }
        wrong = [
            f"{package} {installed[package]} instead of {version}"
            for package, version in read_pins(pins).items()
            if package in installed and installed[package].split("+")[0] != version
        ]
        if wrong:
            shown = "; ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if wrong[3:] else "")
            yield Finding(f"environment {name}", "warn", shown, "`make clean setup`")
        else:
            yield Finding(f"environment {name}", "ok", f"{venv} is as {pins.name} pins it")


def read_pins(path: Path) -> dict[str, str]:
    """Return package to version for pins that hold on this Python, whatever their markers."""
    pins: dict[str, str] = {}
    doubtful: set[str] = set()
    for line in path.read_text().splitlines():
        match = re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)", line)
        if match:
            name = _canonical(match[1])
            if name in pins:
                doubtful.add(name)  # a version for each Python or platform
            pins[name] = match[2].split("+")[0]
    return {name: version for name, version in pins.items() if name not in doubtful}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _manifests() -> Iterator[Finding]:
    from extract.manifests import load_cities

    found = load_cities()
    for problem in found.problems:
        yield Finding("manifests", "bad", str(problem), "mend the file; its source is not loaded")
    if not found.problems:
        yield Finding("manifests", "ok", f"{len(found.sources)} in {len(found.cities)} cities")


def _disk() -> Iterator[Finding]:
    folder = cityloom_home()
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK):
        remedy = "run as its owner, or set CITYLOOM_HOME to a folder that you may write to"
        yield Finding("disk", "bad", f"{folder} cannot be written to", remedy)
    places = {folder.stat().st_dev: (folder, cityloom_home())}
    database = (cityloom_home() / "postgres").resolve()
    if database.exists():  # as root it may lie on another disk
        places.setdefault(database.stat().st_dev, (database, database))
    for place, named in places.values():
        free = shutil.disk_usage(place).free / 2**30
        found = f"{free:.{0 if free >= DISK_WARN_GB else 1}f} GB free for {named}"
        remedy = "free some, or set CITYLOOM_HOME to a larger disk"
        if free < DISK_BAD_GB:
            yield Finding("disk", "bad", found, remedy)
        elif free < DISK_WARN_GB:
            yield Finding("disk", "warn", found, remedy)
        else:
            yield Finding("disk", "ok", found)


def _memory() -> Iterator[Finding]:
    import psutil

    memory = psutil.virtual_memory()
    total, free = memory.total / 2**30, memory.available / 2**30
    found = f"{total:.0f} GB, {free:.1f} GB free"
    if total < MEMORY_WARN_GB:
        yield Finding("memory", "warn", found, f"the stack wants {MEMORY_WARN_GB} GB in all")
    elif free < 1:
        yield Finding("memory", "warn", found, "end what else needs memory")
    else:
        yield Finding("memory", "ok", found)


def _state() -> Iterator[Finding]:
    home = cityloom_home()
    described = read_state()
    if described is None:
        left = [path.name for path in home.iterdir()] if home.is_dir() else []
        if left:
            yield Finding(
                "state",
                "warn",
                f"{home} has no stack.json but holds {', '.join(sorted(left)[:5])}",
                "an interrupted start: `cityloom up`, or `cityloom reset`",
            )
        else:
            yield Finding("state", "ok", f"nothing yet under {home}; `cityloom up` makes it")
        return
    link = home / "postgres"
    if link.is_symlink() and not link.exists():
        yield Finding(
            "state",
            "bad",
            f"{link} leads to {link.readlink()}, which is gone, and the data with it",
            "restore it, or `cityloom reset`",
        )
        return
    supervisor = Supervisor()
    if supervisor.pid() is None and supervisor.socket.exists():
        yield Finding(
            "state", "warn", "the supervisor was killed and left its socket", "`cityloom up`"
        )
    strays = supervisor.strays()
    if strays:
        pids = ", ".join(str(process.pid) for process in strays)
        yield Finding(
            "state",
            "bad",
            f"servers outlived their supervisor (pids {pids})",
            "`cityloom up` ends them and starts anew; `cityloom down` only ends them",
        )
    else:
        yield Finding("state", "ok", str(home))


def _ports() -> Iterator[Finding]:
    described = read_state()
    if described is None:
        return
    supervisor = Supervisor()
    own = {*supervisor.tree(), *(process.pid for process in supervisor.strays())}
    for name, port in described["ports"].items():
        if name == "postgres" and described.get("database"):
            continue
        if not is_free(port) and not is_held_by(port, own):
            yield Finding(
                f"port {port}",
                "warn",
                f"kept for {name}, taken by {holder(port)}",
                f"end that, or `CITYLOOM_PORT_{name.upper()}=<another> cityloom up`; "
                "plain `cityloom up` moves to a free one",
            )


def _servers() -> Iterator[Finding]:
    settings = _settings()
    if settings is None:
        return
    supervisor = Supervisor()
    running = supervisor.running()
    if not running:
        yield Finding("servers", "warn", "the stack is down", "`cityloom up`")
        return
    for name, wrong in catalogue.probe(settings).items():
        state = running[name].state if name in running else "external"
        log = settings.log_dir / f"{name}.log"
        if wrong is None and state in ("RUNNING", "external"):
            yield Finding(name, "ok", "well")
        elif name == "postgres" and not settings.embedded_database:
            remedy = "see to that server; the others find it again by themselves"
            yield Finding(name, "bad", f"the external server: {wrong}", remedy)
        else:
            yield Finding(
                name,
                "bad",
                f"{wrong or 'not well'} (supervisor says {state.lower()})",
                f"`cityloom up`; if it stays so, read {log}",
            )


def _database() -> Iterator[Finding]:
    import psycopg

    settings = _settings()
    if settings is None or (settings.embedded_database and not Supervisor().running()):
        return
    try:
        with psycopg.connect(settings.database_url("warehouse"), connect_timeout=3) as connection:
            size, sessions, limit = connection.execute(
                "select pg_size_pretty(pg_database_size('warehouse')), "
                "(select count(*) from pg_stat_activity), current_setting('max_connections')"
            ).fetchone()
    except psycopg.Error as error:
        said = str(error).strip().splitlines()[0]
        yield Finding("warehouse", "bad", said, "`cityloom up`; for an external server see to it")
        return
    verdict = "warn" if sessions > 0.9 * int(limit) else "ok"
    yield Finding(
        "warehouse",
        verdict,
        f"{size}, {sessions} of {limit} connections",
        "end idle clients" if verdict == "warn" else "",
    )
    yield from _roles(settings)


def _roles(settings: Settings) -> Iterator[Finding]:
    """Compare logins, rights and session defaults with what `up` gives them."""
    from warehouse.bootstrap import find_faults

    found = find_faults(settings.database_url)
    for fault in found:
        if fault.needs_superuser and not settings.embedded_database:
            remedy = f"set {ADMIN_URL} to a superuser's login and run `cityloom up`, or accept it"
            yield Finding("roles", "warn", fault.text, remedy)
        else:
            remedy = "`cityloom up` restores it"
            if not settings.embedded_database:
                remedy += f" when {ADMIN_URL} names a login that may"
            yield Finding("roles", "bad", fault.text, remedy)
    if not found:
        yield Finding("roles", "ok", "logins, rights and limits are as they should be")


def _settings() -> Settings | None:
    try:
        described = read_state()
    except (StackError, json.JSONDecodeError):
        return None
    return settings_from(cityloom_home(), described) if described else None


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _python,
    _environments,
    _manifests,
    _disk,
    _memory,
    _state,
    _ports,
    _servers,
    _database,
)
