"""`stack.json`: what was decided once for an installation, and stays (ports, database).

Ports are free ones, chosen at the first start. `CITYLOOM_PORT_POSTGRES`, `_AIRFLOW`, `_MLFLOW`
and `_SUPERSET` set one, also later. `CITYLOOM_DATABASE_URL` names an external server; its address
is kept, its login is not.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import socket
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.home import cityloom_home

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
#: A Unix socket's path must fit in 108 bytes, and supervisor adds a suffix while it binds.
SOCKET_PATH_LIMIT = 90


class StackError(Exception):
    """The stack cannot do what was asked; the message says why and what to do."""


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
        if described["layout"] != LAYOUT or not set(FIRST_PORTS) <= set(described["ports"]):
            raise StackError(
                f"{path} is of layout {described['layout']}, this version writes {LAYOUT}: "
                "`cityloom reset` makes a new one (it removes the stored data)"
            )
    except FileNotFoundError:
        return None
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise StackError(
            f"{path} cannot be read ({error}); restore it, or run `cityloom reset`"
        ) from error
    return described


def write_state(described: dict[str, Any]) -> None:
    """Replace `stack.json` whole, so that a killed writer leaves the old one."""
    path = state_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".json.new")
    temporary.write_text(json.dumps(described, indent=2) + "\n")
    temporary.replace(path)


def decide_state(own: Collection[int] = ()) -> tuple[dict[str, Any], list[str]]:
    """Return the state for `up`, written where it changed, and what a user should be told.

    `own`: pids of our own servers; a port that one of them holds is no conflict, nor one whose
    holder cannot be seen while they run. Raises `StackError` when a port that was asked for is
    taken by somebody else.
    """
    described = read_state() or {"layout": LAYOUT, "ports": {}, "database": None}
    before = json.dumps(described, sort_keys=True)
    notes: list[str] = []
    external = os.environ.get(ADMIN_URL)
    if external:
        described["database"] = _external(external)
    ports = described["ports"]
    asked = _asked_ports()
    for name, first in FIRST_PORTS.items():
        if name in asked and asked[name] != ports.get(name):
            if not is_free(asked[name]):
                raise StackError(
                    f"port {asked[name]} (CITYLOOM_PORT_{name.upper()}) is taken by "
                    f"{holder(asked[name])}; end that or choose another"
                )
            ports[name] = asked[name]
        elif name not in ports:
            ports[name] = _next_free(first, ports)
        elif name == "postgres" and described.get("database"):
            continue  # kept for the day when the database is embedded again
        elif not is_free(ports[name]) and not is_held_by(ports[name], own):
            if name in asked:
                raise StackError(
                    f"port {ports[name]} (CITYLOOM_PORT_{name.upper()}) is taken by "
                    f"{holder(ports[name])}; end that or choose another"
                )
            taken = ports.pop(name)
            ports[name] = _next_free(first, ports)
            notes.append(
                f"port {taken} ({name}) is taken by {holder(taken)}; "
                f"using {ports[name]} from now on"
            )
    for name in asked:
        for other in ports.keys() - {name}:
            if ports[other] == ports[name]:
                raise StackError(
                    f"port {ports[name]} (CITYLOOM_PORT_{name.upper()}) is {other}'s here; choose "
                    f"another, or say CITYLOOM_PORT_{other.upper()} too"
                )
    if json.dumps(described, sort_keys=True) != before:
        write_state(described)
    return described, notes


def is_held_by(port: int, own: Collection[int]) -> bool:
    """Tell whether one of these pids listens on a port; also where that cannot be seen."""
    pid = listener(port)
    return bool(own) if pid is None else pid in own


def _asked_ports() -> dict[str, int]:
    asked = {}
    for name in FIRST_PORTS:
        value = os.environ.get(f"CITYLOOM_PORT_{name.upper()}")
        if value:
            if not value.isdigit() or not 0 < int(value) < 65536:
                raise StackError(f"CITYLOOM_PORT_{name.upper()}={value!r} is not a port number")
            asked[name] = int(value)
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


def _next_free(first: int, chosen: dict[str, int]) -> int:
    for port in range(first, first + 500):
        if port not in chosen.values() and is_free(port):
            return port
    raise StackError(f"no free port from {first} to {first + 499}; end what holds them")


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the loopback port now."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def listener(port: int) -> int | None:
    """Return the pid that listens on a loopback port, as far as this user may know."""
    import psutil

    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.status != psutil.CONN_LISTEN or connection.laddr.port != port:
                continue
            if connection.laddr.ip in ("127.0.0.1", "0.0.0.0", "::", "::ffff:127.0.0.1"):
                return connection.pid
    return None


def holder(port: int) -> str:
    """Return who listens on a port, as `name (pid 12)`, as far as this user may know."""
    import psutil

    pid = listener(port)
    with contextlib.suppress(psutil.Error):
        if pid is not None:
            return f"{psutil.Process(pid).name()} (pid {pid})"
    return "another program"


def runtime_dir(make: bool = False) -> Path:
    """Return the folder of supervisor's socket: under the home, or a short private one.

    Looking alone makes nothing. Raises `StackError` when the short one is somebody else's.
    """
    inside = cityloom_home() / "supervisor"
    if len(os.fsencode(inside / "supervisor.sock")) <= SOCKET_PATH_LIMIT:
        if make:
            inside.mkdir(mode=0o700, parents=True, exist_ok=True)
        return inside
    short = Path("/tmp") / f"cityloom-{os.getuid()}-{digest(str(cityloom_home()))}"
    if make:
        short.mkdir(mode=0o700, exist_ok=True)
    try:
        found = short.lstat()
    except FileNotFoundError:
        return short
    if short.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise StackError(f"{short} is not this user's private folder; remove it and try again")
    return short


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold the installation's lock: two `up`s or `down`s take turns."""
    home = cityloom_home()
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def digest(text: str) -> str:
    """Return a short fingerprint of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
