"""What commonly goes wrong on one machine, looked for one by one, each with its remedy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import psutil

from infra.contract import DeploymentError, Finding
from infra.home import ROOT, cityloom_home
from infra.local.settings import Settings, settings_from
from infra.local.sign_in import asked
from infra.local.sign_in.provider import SignInError
from infra.local.stack import status
from infra.local.state import ADMIN_URL, read_state
from infra.local.supervise import Supervisor
from infra.setup import PLATFORM, SUPERSET

DISK_BAD_GB, DISK_WARN_GB = 2, 10
MEMORY_WARN_GB = 6
ANOTHER_HOME = "run as its owner, or set CITYLOOM_HOME to a folder that can be written to"


def examine() -> list[Finding]:
    """Run every check; one that fails itself is a finding too."""
    findings: list[Finding] = []
    for check in (_environments, _manifests, _disk, _memory, _stack, _single_sign_on):
        try:
            findings.extend(check())
        except (DeploymentError, OSError) as error:
            # An OSError: a folder of somebody else's, or one that is read-only.
            remedy = ANOTHER_HOME if isinstance(error, OSError) else "see the message"
            findings.append(Finding(check.__name__.strip("_"), "bad", str(error), remedy))
    return findings


def _environments() -> Iterator[Finding]:
    """Whether `make setup` would change an environment: uv is asked, without the network."""
    uv = str(Path(sys.executable).with_name("uv"))
    for name, one in {"platform": PLATFORM, "superset": SUPERSET}.items():
        check = f"environment {name}"
        if not Path(one.python).exists():
            yield Finding(check, "bad", f"{one.venv} is missing", "`make setup`")
            continue
        asked = [uv, "pip", "install", "--dry-run", "--offline", "--python", one.python]
        answer = subprocess.run([*asked, *one.options], cwd=ROOT, capture_output=True, text=True)
        if "Would make no changes" in answer.stderr:
            yield Finding(check, "ok", f"{one.venv} is as constraints/{name}.txt pins it")
        else:  # what it would install, or first misses without the network
            why = re.findall(r"^(?: \+ | +cause: |error: )(.+)", answer.stderr, re.MULTILINE)
            found = f"{one.venv} is not as constraints/{name}.txt pins it: {'; '.join(why[:3])}"
            yield Finding(check, "warn", found, "`make clean setup`")


def _manifests() -> Iterator[Finding]:
    from catalog.checks import declaration_problems
    from extract.manifests import load_cities

    found = load_cities()
    unusable = dict.fromkeys(map(str, found.problems), "its source is not loaded")
    declared = declaration_problems(found)
    unusable |= dict.fromkeys(declared, "until then it counts as declared before, or not at all")
    for problem, effect in unusable.items():
        yield Finding("manifests", "bad", problem, f"mend the file; {effect}")
    if not unusable:
        yield Finding("manifests", "ok", f"{len(found.sources)} in {len(found.cities)} cities")


def _disk() -> Iterator[Finding]:
    home = cityloom_home()
    folder = next(path for path in (home, *home.parents) if path.exists())
    if not os.access(folder, os.W_OK):
        yield Finding("disk", "bad", f"{folder} cannot be written to", ANOTHER_HOME)
    database = (home / "postgres").resolve()  # as root it may lie on another disk
    places = {path.stat().st_dev: path for path in (database, folder) if path.exists()}
    for place in places.values():
        free = shutil.disk_usage(place).free / 2**30
        enough = free >= DISK_WARN_GB
        verdict: Literal["ok", "warn", "bad"] = "bad" if free < DISK_BAD_GB else "warn"
        remedy = "" if enough else "free some, or set CITYLOOM_HOME to a larger disk"
        found = f"{free:.1f} GB free for {place}"
        yield Finding("disk", "ok" if enough else verdict, found, remedy)


def _memory() -> Iterator[Finding]:
    memory = psutil.virtual_memory()
    total, free = memory.total / 2**30, memory.available / 2**30
    remedy = "end what else needs memory" if free < 1 else ""
    if total < MEMORY_WARN_GB:
        remedy = f"the stack wants {MEMORY_WARN_GB} GB in all"
    found = f"{total:.0f} GB, {free:.1f} GB free"
    yield Finding("memory", "warn" if remedy else "ok", found, remedy)


def _stack() -> Iterator[Finding]:
    """The state folder, each server, and the database."""
    home, described = cityloom_home(), read_state()
    database = home / "postgres"
    if described is None:
        yield Finding("state", "ok", f"no stack yet under {home}; `cityloom up` makes it")
        return
    if database.is_symlink() and not database.exists():
        found = f"{database} leads to {database.readlink()}, which is gone, and the data with it"
        yield Finding("state", "bad", found, "restore it, or `cityloom reset`")
        return
    yield Finding("state", "ok", str(home))
    settings = settings_from(home, described)
    is_up = Supervisor().pid() is not None
    if is_up:
        yield from _servers(settings)
    else:
        yield Finding("servers", "warn", "the stack is down", "`cityloom up`")
    if is_up or not settings.embedded_database:
        yield from _database(settings)


def _servers(settings: Settings) -> Iterator[Finding]:
    for service in status().services:
        if service.up:
            yield Finding(service.name, "ok", "healthy")
        elif service.name != "postgres":  # `_database` says what is wrong with it
            log = settings.log_dir / f"{service.name}.log"
            remedy = f"`cityloom up`; if it stays so, read {log}"
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


def _database(settings: Settings) -> Iterator[Finding]:
    """The warehouse, and whether logins, rights and session defaults are as `up` gives them."""
    import psycopg

    from warehouse.bootstrap import find_faults

    try:
        with psycopg.connect(settings.database_url("warehouse"), connect_timeout=20) as connection:
            [(size,)] = connection.execute("select pg_size_pretty(pg_database_size('warehouse'))")
            held_up = connection.execute(_HELD_UP_BY).fetchall()
    except psycopg.Error as error:
        found = str(error).strip().splitlines()[0]
        yield Finding("warehouse", "bad", found, "`cityloom up`; for an external server see to it")
        return
    yield Finding("warehouse", "ok", size)
    for role, pid, waiting in held_up:
        found = f"a session of {role} (pid {pid}) holds up {waiting} of the loads and builds"
        remedy = f"as a superuser: select pg_terminate_backend({pid})"
        yield Finding("warehouse", "bad", found, remedy)
    faults = find_faults(settings.database_url)
    for fault in faults:
        remedy = "`cityloom up` restores it"
        if not settings.embedded_database:
            login = "a superuser's login" if fault.needs_superuser else "a login that may"
            remedy += f" when {ADMIN_URL} names {login}"
        accepted = fault.needs_superuser and not settings.embedded_database
        yield Finding("roles", "warn" if accepted else "bad", fault.text, remedy)
    if not faults:
        yield Finding("roles", "ok", "logins, rights and limits are as they should be")


def _single_sign_on() -> Iterator[Finding]:
    """Whether what is asked for is whole and taken, and whether the provider can be used."""
    check, described = "single sign-on", read_state()
    try:
        wanted = asked.asked()
        given = None
        if wanted is not None and wanted != asked.OFF:
            given = asked.secret(cityloom_home())
    except SignInError as error:
        yield Finding(check, "bad", str(error), "set the variables right, then `cityloom up`")
        return
    settings = settings_from(cityloom_home(), described) if described else None
    sso = settings.single_sign_on if settings else None
    if wanted is not None and wanted != (sso or asked.OFF):
        found = f"{asked.PREFIX}ISSUER and its like say other than what the servers run with"
        yield Finding(check, "warn", found, "`cityloom up` takes it")
        return
    if settings is None or sso is None:
        return
    admin = f"meanwhile {settings.admin_user} gets in by the password"
    try:
        kept = settings.kept(asked.SECRET)
    except OSError as error:
        found = f"the secret of the client is gone: {error.filename} ({error.strerror})"
        remedy = f"set {asked.PREFIX}CLIENT_SECRET and the others again, then `cityloom up`"
        yield Finding(check, "bad", found, remedy)
        return
    if given not in (None, kept):
        found = f"{asked.PREFIX}CLIENT_SECRET leads to another secret than the servers have"
        yield Finding(check, "warn", found, "`cityloom up` takes it")
        return
    try:
        asked.discover(sso)
    except SignInError as error:
        remedy = f"see to the provider, the way to it (proxy, certificates) or the issuer; {admin}"
        yield Finding(check, "bad", str(error), remedy)
        return
    yield Finding(check, "ok", f"{sso.label}: {sso.issuer} answers")
