"""`stack.json`: what was decided once for an installation, and stays (ports, database).

Ports are free ones, chosen at the first start. `CITYLOOM_PORT_POSTGRES`, `_AIRFLOW`, `_MLFLOW`
and `_SUPERSET` set one, also later. `CITYLOOM_DATABASE_URL` names an external server; its address
is kept, its login is not.
"""

from __future__ import annotations

import contextlib
import copy
import fcntl
import hashlib
import json
import os
import subprocess
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.contract import DeploymentError
from infra.home import cityloom_home, write_private
from infra.local.ports import Reservations, holder, is_free, listeners

#: Raised when the layout of the state folder changes in a way that needs a hand.
LAYOUT = 1

#: Where the search for a free port begins: below the range that outgoing connections draw from.
FIRST_PORTS = {
    "postgres": 15432,
    "airflow": 18080,
    "mlflow": 15000,
    "superset": 18088,
    "airflow_worker_log": 18793,
    "airflow_trigger_log": 18894,
}
ADMIN_URL = "CITYLOOM_DATABASE_URL"

#: What belongs to Cityloom in the state folder; `reset` removes these and nothing else.
OWNED_PATHS = (
    *("stack.json", "deployment.json", "prepared.json", "dags-to-pause.json", "lock", "run.lock"),
    *("secrets", "postgres", "airflow", "mlflow", "superset", "supervisor", "dbt"),
    *("drops", "data_docs", "logs"),
)


class StackError(DeploymentError):
    """The stack cannot do what was asked; the message has the reason and the remedy."""


def state_file() -> Path:
    """Return the path of `stack.json`."""
    return cityloom_home() / "stack.json"


def read_state() -> dict[str, Any] | None:
    """Return what `stack.json` holds, or None before the first start.

    Raises `StackError` when it is damaged or of another layout.
    """
    path = state_file()
    try:
        described = json.loads(path.read_text())
        layout, ports = described["layout"], described["ports"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise StackError(
            f"{path} cannot be read ({error}); restore it, or run `cityloom reset`"
        ) from error
    if layout != LAYOUT or not set(FIRST_PORTS) <= set(ports):
        raise StackError(
            f"{path} is of layout {layout}, this version writes {LAYOUT}: "
            "`cityloom reset` makes a new one (it removes the stored data)"
        )
    return described


def write_state(described: dict[str, Any]) -> None:
    """Replace `stack.json` whole, so that a killed writer leaves the old one."""
    write_private(state_file(), json.dumps(described, indent=2) + "\n")


def decide_state(
    own: Collection[int] = (), reservations: Reservations | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Return the state for `up`, written where it changed, and notes for the user.

    `own`: pids of our own servers, whose ports are no conflict. `reservations` keeps the ports
    from others until it is closed. Raises `StackError` when a port that was asked for is taken.
    """
    before = read_state()
    described = copy.deepcopy(before) or {"layout": LAYOUT, "ports": {}, "database": None}
    if external := os.environ.get(ADMIN_URL):
        described["database"] = _external(external)
    reserve = (reservations or Reservations()).take
    listening = listeners()
    ports, notes = described["ports"], []
    asked = _asked_ports(ports)
    for name, first in FIRST_PORTS.items():
        kept = ports.get(name)
        port = asked.get(name, kept)
        if name == "postgres" and described["database"] and port and port == kept:
            continue  # kept for the day when the database is embedded again
        # Only another program that listens is a conflict: our own may start or stop slowly.
        if port and listening.get(port, set()) <= set(own) and reserve(port):
            ports[name] = port
            continue
        if name in asked:
            raise StackError(
                f"port {port} ({_variable(name)}) is taken by {holder(asked[name])}; "
                "end that or choose another"
            )
        search = set(range(first, first + 500)) - set(ports.values())
        ports[name] = next((p for p in sorted(search) if is_free(p) and reserve(p)), 0)
        if not ports[name]:
            raise StackError(f"no free port from {first} to {first + 499}; end what holds them")
        if kept:
            taken_by = f"port {kept} ({name}) is taken by {holder(kept)}"
            notes.append(f"{taken_by}; using {ports[name]} from now on")
    if described != before:
        write_state(described)
    return described, notes


def _variable(name: str) -> str:
    """Return the variable that asks for a port."""
    return f"CITYLOOM_PORT_{name.upper()}"


def _asked_ports(ports: dict[str, int]) -> dict[str, int]:
    """Return the ports that the environment asks for; raise `StackError` for one that two have."""
    asked = {}
    for name in FIRST_PORTS:
        if value := os.environ.get(_variable(name)):
            if not value.isdigit() or not 0 < int(value) < 65536:
                raise StackError(f"{_variable(name)}={value!r} is not a port number")
            asked[name] = int(value)
    for name, port in asked.items():
        for other, taken in (ports | asked).items():
            if other != name and taken == port:
                raise StackError(
                    f"port {port} ({_variable(name)}) is {other}'s here; choose another, or set "
                    f"{_variable(other)} too"
                )
    return asked


def _external(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    port = None
    with contextlib.suppress(ValueError):  # no number, or a list of servers
        port = parts.port or 5432
    if parts.scheme not in ("postgresql", "postgres") or not parts.hostname or port is None:
        raise StackError(
            f"{ADMIN_URL} must look like postgresql://login:password@host:5432/postgres"
        )
    return {"host": parts.hostname, "port": port, "options": parts.query}


def make_private(home: Path) -> bool:
    """Make a home its owner's alone; return whether it was open to others before.

    What an earlier version left in it is closed as well; the database's folder has its own user.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not home.stat().st_mode & 0o077:
        return False
    owned = [home / name for name in OWNED_PATHS if name != "postgres"]
    closed = [str(path) for path in owned if path.exists() and not path.is_symlink()]
    subprocess.run(["chmod", "-R", "go=", *closed], check=bool(closed))
    home.chmod(0o700)
    return True


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold the installation's lock: two `up`s or `down`s take turns."""
    home = cityloom_home()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (home / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def digest(text: str) -> str:
    """Return a short fingerprint of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
