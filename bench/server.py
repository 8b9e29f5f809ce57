"""A throw-away PostgreSQL server for tests and benchmarks."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from infra.local.postgres import PostgresError, as_user, locate, remove

_SETTINGS = """
fsync=off
full_page_writes=off
shared_buffers=128MB
logging_collector=off
"""


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


@contextlib.contextmanager
def throwaway(log: Path | None = None, settings: str = "") -> Iterator[str]:
    """Run a server in a temporary folder; yield the superuser's URL; remove it all after.

    `log`: where the server's log is kept, else in that folder. The server does not wait for the
    disk (fsync off). `settings`: lines for postgresql.conf.
    """
    folder = Path(tempfile.mkdtemp(prefix="cityloom-postgres-")) / "postgres"
    folder.parent.chmod(0o711)  # the server may run as another user; its data is 0700
    cluster = locate(folder, free_port())
    password, log = secrets.token_hex(), log or folder.parent / "server.log"
    server = None
    try:
        cluster.initialise(password, f"{_SETTINGS}{settings}")
        with log.open("w") as file:
            server = subprocess.Popen(
                cluster.command(), stdout=file, stderr=file, cwd="/", **as_user(cluster.user)
            )
        deadline = time.monotonic() + 120
        while not cluster.accepts():
            if server.poll() is not None or time.monotonic() > deadline:
                raise PostgresError(f"the throw-away server did not start:\n{log.read_text()}")
            time.sleep(0.05)
        yield cluster.url(password)
    finally:
        if server is not None:
            server.send_signal(signal.SIGINT)
            server.wait(120)
        remove(folder)
        shutil.rmtree(folder.parent, ignore_errors=True)
