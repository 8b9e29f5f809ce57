"""Whose server answers on a port, proven before a password is sent to it.

A web server of this installation is a process under its supervisor, whose pid file only the
home's owner can write. PostgreSQL proves itself in its login: SCRAM shows that it knows the
password's verifier, and receives nothing else (`require_auth` in `infra.local.settings`).
"""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import urlsplit

from infra.local.ports import foreign, is_foreign, listeners
from infra.local.state import StackError
from infra.local.supervise import Supervisor

#: A server that is being started again listens within this time, or not at all.
RESTART_SECONDS = 180


class ForeignServer(StackError):
    """Another program answers at an address of this installation."""


def verify(url: str, home: Path) -> None:
    """Return when the server at a URL is that of the installation in `home`; wait for a restart.

    Raises `ForeignServer` when it is another program, `StackError` when no server listens there.
    """
    port = urlsplit(url).port or 0
    supervisor = Supervisor(home)
    deadline = time.monotonic() + RESTART_SECONDS
    while not listeners().get(port):
        if supervisor.pid() is None or time.monotonic() > deadline:
            raise StackError(f"nothing answers at {url}: `cityloom up` starts what is down")
        time.sleep(0.2)
    if is_foreign(port, supervisor.tree):
        raise ForeignServer(foreign(port))
