"""`stack.json`: what was decided once for an installation, and stays (ports, database).

Ports are free ones, chosen at the first start. `CITYLOOM_PORT_POSTGRES`, `_AIRFLOW`, `_MLFLOW`
and `_SUPERSET` set one, also later. `CITYLOOM_DATABASE_URL` names an external server; its address
is kept, its login is not. `CITYLOOM_OIDC_*` describe the identity provider.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.contract import DeploymentError
from infra.home import cityloom_home, write_private
from infra.local.ports import OwnPids, Reservations, foreign, holder, is_free
from infra.local.sign_in import asked
from infra.local.sign_in.provider import SignInError

#: Where the search for a free port begins: below the range that outgoing connections draw from.
FIRST_PORTS = {"postgres": 15432, "airflow": 18080, "mlflow": 15000, "superset": 18088}
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

    Raises `StackError` when it is damaged.
    """
    path = state_file()
    try:
        described = json.loads(path.read_text())
        return {"database": None, **described, "ports": dict(described["ports"])}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise StackError(
            f"{path} cannot be read ({error}); restore it, or run `cityloom reset`"
        ) from error


def decide_state(own: OwnPids = tuple, reservations: Reservations | None = None) -> dict[str, Any]:
    """Return the state for `up`, written where it changed.

    `reservations` keeps the ports from others until it is closed. Raises `StackError` when one that
    was asked for, or chosen before, is taken by what is not among our `own` servers, and for an
    identity provider that is described wrongly.
    """
    before = read_state()
    described = read_state() or {"ports": {}, "database": None}
    if external := os.environ.get(ADMIN_URL):
        described["database"] = _external(external)
    try:
        asked.decide(described)
    except SignInError as error:
        raise StackError(str(error)) from error
    reserve = (reservations or Reservations()).take
    ports = described["ports"]
    wanted = ports | _asked_ports(ports)
    for name, first in FIRST_PORTS.items():
        if name == "postgres" and described["database"] and name in ports:
            continue  # kept for the day when the database is embedded again
        if port := wanted.get(name):
            if foreign(port, own) or not reserve(port):
                raise StackError(
                    f"port {port} ({_variable(name)}) is taken by {holder(port)}; end that, or "
                    "set the variable to another port"
                )
        else:
            search = (p for p in range(first, first + 500) if p not in wanted.values())
            port = next((p for p in search if is_free(p) and reserve(p)), 0)
            if not port:
                raise StackError(f"no free port from {first} to {first + 499}; end what has them")
        ports[name] = wanted[name] = port
    if described != before:
        write_private(state_file(), json.dumps(described, indent=2) + "\n")
    return described


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


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold the lock of the installation, and have its home its owner's alone.

    Two `up`s or `down`s take turns.
    """
    home = cityloom_home()
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)  # also one that an earlier version left open
    with (home / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def digest(text: str) -> str:
    """Return a short fingerprint of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
