"""The state folder of this checkout, and the secrets kept in files.

Standard library only: Superset's environment, which has none of the platform's packages, reads it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class NotSetUp(Exception):
    """No deployment is described yet; `cityloom up` makes the local one."""


def cityloom_home() -> Path:
    """Return the absolute state folder: `CITYLOOM_HOME`, else `.cityloom/` in the checkout."""
    return Path(os.environ.get("CITYLOOM_HOME") or ROOT / ".cityloom").expanduser().resolve()


def kept_secret(path: Path, *, length: int = 24) -> str:
    """Return the secret in a file, made on first use (URL-safe, mode 0600).

    `length` is in bytes of randomness. Raises `OSError` when the file can be neither read nor made.
    """
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Written whole before it gets its name: of two processes, both read the first one's.
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:
            file.write(secrets.token_urlsafe(length))
            file.flush()
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(file.name)
    return path.read_text().strip()


def write_private(path: Path, text: str) -> bool:
    """Write a file of mode 0600 whole, unless it holds the text already; return whether it did."""
    if path.is_file() and path.read_text() == text:
        return False
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)
    return True
