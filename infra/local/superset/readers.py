"""Superset asks the warehouse as its reader's role, so that PostgreSQL refuses, and not the page.

Each role of Superset has a login of its own on the warehouse. `SET ROLE` from one login would not
do: in SQL Lab a reader can set it back. Runs in Superset's own environment.
"""

from __future__ import annotations

from typing import Any, get_args

from flask import g, has_request_context
from sqlalchemy.engine.url import URL
from superset.security import SupersetSecurityManager

from infra.local.settings import Reader, load_settings

#: The login of the push of dashboards, and of readers without a role below.
SERVICE = "dashboards"
#: Superset's roles whose readers the warehouse knows by another login.
LOGINS = {"Admin": "cio"}


def warehouse_login(user: Any) -> str:
    """Return the login on the warehouse of a user of Superset: that of the user's widest role.

    The head of a department has a role `head_<city>__<department>`, and a login of that name.
    """
    names = {LOGINS.get(role.name, role.name) for role in getattr(user, "roles", ())}
    widest_first = reversed([name for name in get_args(Reader) if name != "department_head"])
    heads = sorted(name for name in names if name.startswith("head_") and _password(name))
    found = next((name for name in widest_first if name in names), SERVICE)
    return heads[0] if heads and found in (SERVICE, "reader_open") else found


def connect_as_reader(
    uri: URL, params: dict[str, Any], username: str | None, security_manager: Any, source: Any
) -> tuple[URL, dict[str, Any]]:
    """Replace the service's login by the user's; Superset calls it for each connection.

    The server's log has the user's name as the name of the application.
    """
    settings = load_settings()
    if (uri.username, uri.port) != (SERVICE, settings.ports["postgres"]):
        return uri, params  # a database of somebody else's
    user = security_manager.find_user(username=username) if username else None
    login = warehouse_login(user)
    arguments = {**params.get("connect_args", {}), "application_name": f"superset:{username}"[:63]}
    if login != SERVICE:
        uri = uri.set(username=login, password=_password(login))
    return uri, {**params, "connect_args": arguments}


def _password(login: str) -> str:
    """Return a login's password; nothing for a department's that has no head."""
    path = load_settings().home / "secrets" / f"postgres_{login}"
    return path.read_text().strip() if path.is_file() else ""


class ReaderSecurityManager(SupersetSecurityManager):
    """Superset's own, whose cache keys hold the warehouse's login of the one who asks."""

    def get_rls_cache_key(self, datasource: Any) -> list[str]:
        """Return what of a reader's rights belongs into the key of a cached answer."""
        user = getattr(g, "user", None) if has_request_context() else None
        return [*super().get_rls_cache_key(datasource), f"login:{warehouse_login(user)}"]
