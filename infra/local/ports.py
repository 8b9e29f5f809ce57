"""TCP ports on loopback: which are free, who listens on one, and which an `up` has chosen."""

from __future__ import annotations

import contextlib
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Collection

LOOPBACK = "127.0.0.1"
#: A listener on one of these is reached at 127.0.0.1.
REACHED = (LOOPBACK, "0.0.0.0", "::", "::ffff:127.0.0.1")
#: A process that starts or ends is not listed with its socket for up to this long.
SETTLE_SECONDS = 3
#: Returns the pids of an installation's own servers, which come and go.
OwnPids = Callable[[], Collection[int]]


class Reservations(contextlib.ExitStack):
    """Ports that are chosen and have no listener yet, on the whole machine and for all users.

    A reservation is a name in the kernel's table of abstract sockets: taken by one process at a
    time, and free again when that ends.
    """

    def take(self, port: int) -> bool:
        """Reserve a port; return False when another process has."""
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0cityloom-port-{port}")
        except OSError:
            name.close()
            return False
        self.enter_context(name)
        return True


def is_free(port: int) -> bool:
    """Return whether a server could listen on the port now."""
    with socket.socket() as server, contextlib.suppress(OSError):
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((LOOPBACK, port))
        return True
    return False


def listeners() -> dict[int, set[int | None]]:
    """Return the pids that listen on each port; None stands for a process of another user."""
    import psutil

    found: dict[int, set[int | None]] = defaultdict(set)
    for connection in psutil.net_connections("tcp"):
        address = connection.laddr
        if connection.status == psutil.CONN_LISTEN and address and address.ip in REACHED:
            found[address.port].add(connection.pid)
    return found


def holder(port: int) -> str:
    """Return who listens on a port, as `name (pid 12)`, as far as this user may know."""
    import psutil

    for pid in listeners().get(port, ()):
        with contextlib.suppress(psutil.Error):
            if pid is not None:
                return f"{psutil.Process(pid).name()} (pid {pid})"
    return "another program"


def foreign(port: int, own: OwnPids) -> str | None:
    """Return a message when a process that is none of our own listens on a port of ours.

    One that starts or ends just now is not seen with its socket, so the question is repeated for
    `SETTLE_SECONDS` before the answer is yes.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    while not listeners().get(port, set()) <= set(own()):
        if time.monotonic() > deadline:
            return (
                f"another program answers on port {port}: {holder(port)}. End it, or set "
                "CITYLOOM_PORT_<SERVER> to another port for `cityloom up`"
            )
        time.sleep(0.1)
    return None
