"""What `infra.contract.operations` offers for the local deployment."""

import os
from pathlib import Path

from infra.home import cityloom_home as state_dir
from infra.local import postgres
from infra.local.doctor import examine
from infra.local.settings import load_settings
from infra.local.stack import down, remove_state, status, up
from infra.local.state import ADMIN_URL, StackError

__all__ = ["admin_url", "database_logs", "down", "examine", "forget_password", "remove_state"]
__all__ += ["role_password", "state_dir", "status", "up"]


def admin_url() -> str:
    """Return the URL of a login on PostgreSQL that may make roles. Raises `StackError`."""
    settings = load_settings()
    if settings.embedded_database:
        cluster = postgres.locate(settings.home / "postgres", settings.ports["postgres"])
        return cluster.url(settings.secret("postgres_superuser"))
    if url := os.environ.get(ADMIN_URL):
        return url
    raise StackError(f"people's logins need roles: set {ADMIN_URL} to a login that may make them")


def database_logs() -> list[Path]:
    """Return the logs of the embedded PostgreSQL, oldest first. Raises `StackError` without one."""
    settings = load_settings()
    if not settings.embedded_database:
        raise StackError("the log is the external server's: name it, `cityloom audit --log FILE`")
    # An earlier version's are among the logs of the other servers.
    logs = [*settings.log_dir.glob("postgres.log*"), *postgres.logs(settings.home / "postgres")]
    return sorted(logs, key=lambda path: path.stat().st_mtime)


def role_password(role: str) -> str:
    """Return the password of a role of the warehouse, made on first use."""
    return load_settings().secret(f"postgres_{role}")


def forget_password(role: str) -> None:
    """Remove the password of a role that the warehouse has no more."""
    (load_settings().home / "secrets" / f"postgres_{role}").unlink(missing_ok=True)
