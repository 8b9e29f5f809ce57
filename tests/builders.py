"""What several tests build on: a source, and a server that asks for a password."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from catalog.models import Column, Reader, Source


def a_source(**given: Any) -> Source:
    """Return a source of the city `testville` with one column, changed as `given` says."""
    defaults: dict[str, Any] = dict(
        source="requests",
        department="oti",
        title="Requests",
        grain="one row a request",
        owner="OTI",
        licence="CC0-1.0",
        tier="open",
        cadence="@daily",
        city_id="testville",
        primary_key=("request_id",),
        read=Reader(connector="csv", files=("requests*.csv",)),
        columns={"request_id": Column()},
    )
    return Source(**{**defaults, **given})


@contextmanager
def asks_for_the_password() -> Iterator[tuple[int, list[bytes]]]:
    """Serve as a PostgreSQL that wants its client's password in clear, once.

    Yields its port, and what the client sent, which is complete when the block has ended.
    """
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def ask() -> None:
            client, _ = server.accept()
            with client:
                received.append(client.recv(1000))
                client.sendall(b"R\0\0\0\x08\0\0\0\x03")  # AuthenticationCleartextPassword
                received.append(client.recv(1000))

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        yield server.getsockname()[1], received
        thread.join(30)
