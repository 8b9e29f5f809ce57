"""Whose server answers on a port, proven before a password is sent to it.

A web server of this installation is a process under its supervisor, whose pid file only the
home's owner can write. PostgreSQL proves itself in its login: SCRAM shows that it knows the
password's verifier, and receives nothing else (`require_auth` in `infra.local.settings`).
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from infra.local.ports import foreign, listeners
from infra.local.state import StackError
from infra.local.supervise import Supervisor

#: A server that is being started again listens within this time, or not at all.
RESTART_SECONDS = 180


#: By port, the processes that were proven to be an installation's servers. One that still runs
#: still has its port, so it is not looked up for each request.
_proven: dict[int, list[psutil.Process]] = {}


def verify(url: str, home: Path) -> None:
    """Return when the server at a URL is that of the installation in `home`; wait for a restart.

    Raises `StackError` when it is another program, or none listens there.
    """
    port = urlsplit(url).port or 0
    if _proven.get(port) and all(_runs(process) for process in _proven[port]):
        return
    supervisor = Supervisor(home)
    deadline = time.monotonic() + RESTART_SECONDS
    while not listeners().get(port):
        if supervisor.pid() is None or time.monotonic() > deadline:
            raise StackError(f"nothing answers at {url}: `cityloom up` starts what is down")
        time.sleep(0.2)
    if found := foreign(port, supervisor.tree):
        raise StackError(found)
    own = listeners().get(port, set()) & supervisor.tree()
    _proven[port] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        _proven[port] = [psutil.Process(pid) for pid in own]


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
