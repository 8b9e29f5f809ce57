"""Superset asks the warehouse as its reader's role, so that PostgreSQL refuses, and not the page.

Each role of Superset has a login of its own on the warehouse. `SET ROLE` from one login would not
do: in SQL Lab a reader can set it back. Runs in Superset's own environment.
"""

from __future__ import annotations

import re
import time
from contextlib import closing
from typing import Any, get_args
from uuid import uuid4

import psycopg2
from flask import g, has_app_context, has_request_context
from psycopg2.extensions import cursor
from sqlalchemy.engine.url import URL
from superset.errors import ErrorLevel, SupersetError, SupersetErrorType
from superset.exceptions import SupersetSecurityException
from superset.security import SupersetSecurityManager
from superset.utils.core import get_user_id, get_username

from infra.local.settings import Reader, load_settings

#: The login of the push of dashboards, and of readers without a role below.
SERVICE = "dashboards"
#: Superset's roles whose readers the warehouse knows by another login.
LOGINS = {"Admin": "cio"}
#: Logins whose reads are logged one by one: no answer of theirs comes from the cache.
LOGGED = {"ml_engineer", "data_engineer"}
#: For how long an answer is kept that does not come from one table of dbt's, in seconds.
UNBUILT_SECONDS = 5
#: The cursor that `access.open_query` opens (warehouse/tiers.py).
ANSWER = "answer"
#: What Superset itself sets before a query of a schema.
SEARCH_PATH = re.compile(r'set search_path = "\w+"')


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

    Each statement begins with a comment that names the user, for the server's log.
    """
    settings = load_settings()
    if (uri.username, uri.port) != (SERVICE, settings.ports["postgres"]):
        return uri, params  # a database of somebody else's
    username = username or (g.get("exporting") if has_app_context() else None)
    user = security_manager.find_user(username=username) if username else None
    login = warehouse_login(user)
    arguments = {
        **params.get("connect_args", {}),
        "application_name": f"superset:{username}"[:63],
        "cursor_factory": _signed_by(username or ""),
    }
    if login != SERVICE:
        uri = uri.set(username=login, password=_password(login))
    return uri, {**params, "connect_args": arguments}


def _signed_by(username: str) -> type[cursor]:
    """Return a cursor of psycopg2 that only reads, and whose statements name the user.

    The name is in a comment before what the user wrote, so no user can sign as another; the name of
    the application a statement may change.
    """
    signed = signature(username)

    class Signed(cursor):
        def __init__(self, connection: Any, name: str | None = None, **options: Any) -> None:
            # A large export is fetched part by part, from the cursor that PostgreSQL opens.
            super().__init__(connection, ANSWER if name else None, **options)

        def execute(self, query: Any, vars: Any = None) -> None:
            text = self.mogrify(query, vars).decode()
            if SEARCH_PATH.fullmatch(text):
                super().execute(signed + text)
            elif self.name:
                with self.connection.cursor(cursor_factory=cursor) as opening:
                    opening.execute(signed + opened(text))
            else:
                super().execute(f"{signed}{opened(text)}; fetch all from {ANSWER}")

    return Signed


def signature(username: str) -> str:
    """Return the comment that names a user at the start of a statement."""
    # Letters that neither end a comment nor are a place for a value.
    return f"/* superset:{re.sub(r'[^A-Za-z0-9_.@-]', '?', username)[:63]} */ "


def opened(text: str) -> str:
    """Return the statement by which PostgreSQL opens `ANSWER` for a text that must be one query.

    PostgreSQL lets every role change its own password and defaults in a transaction that may write,
    and the login is shared by all readers of the role. Superset looks for what writes, but reads a
    text by other rules than PostgreSQL, so that a metric or a string can hold more statements.
    """
    # Quotes that no text can close: it was there before them.
    quotes = f"$q{uuid4().hex}$"
    return f"select access.open_query({quotes}{text}{quotes})"


def _password(login: str) -> str:
    """Return a login's password; nothing for a department's that has no head."""
    path = load_settings().home / "secrets" / f"postgres_{login}"
    return path.read_text().strip() if path.is_file() else ""


def export_as_reader() -> None:
    """Have exports that Superset sends part by part ask as their reader; for its start.

    It writes them after the request, where it does not know the user any more.
    """
    from superset.commands.streaming_export.base import BaseStreamingCSVExportCommand

    run = BaseStreamingCSVExportCommand.run

    def run_as_reader(self: Any) -> Any:
        g.exporting = get_username()  # what is in `g` is kept for the writing
        return run(self)

    BaseStreamingCSVExportCommand.run = run_as_reader


def only_oneself(query: Any) -> Any:
    """Let a list of users to choose from hold the one who asks, and all for an administrator."""
    from superset import security_manager

    if security_manager.is_admin():
        return query
    return query.filter(security_manager.user_model.id == get_user_id())


def hide_people(app: Any) -> None:
    """Keep other users out of every list to choose from; Superset calls it for its application.

    `only_oneself` is asked for some of these lists only, and not for users who are asked by number.
    """
    from superset import security_manager
    from superset.views.base_api import BaseSupersetModelRestApi

    result_of = BaseSupersetModelRestApi._get_result_from_rows

    def only_own(self: Any, datamodel: Any, rows: list[Any], column_name: str) -> Any:
        people = security_manager.user_model
        if not security_manager.is_admin():
            rows = [row for row in rows if not isinstance(row, people) or row.id == get_user_id()]
        return result_of(self, datamodel, rows, column_name)

    BaseSupersetModelRestApi._get_result_from_rows = only_own


class Builds:
    """When each table of the warehouse was built, as `access.built` has it."""

    def __init__(self) -> None:
        self._read_at = 0.0
        self._found: dict[str, str] = {}

    def version(self, datasource: Any) -> str:
        """Return what changes with the rows that a dataset shows.

        Of a table of dbt's that is the time of its build, and of the newest change of rights, which
        decide who sees a row. Of anything else, such as a view that follows the loads, it is the
        clock's.
        """
        settings, uri = load_settings(), datasource.database.url_object
        built = ""
        is_ours = (uri.username, uri.port) == (SERVICE, settings.ports["postgres"])
        if is_ours and not getattr(datasource, "sql", None):
            found = self._all(settings.database_url("dashboards"))
            built = found.get(f"{datasource.schema}.{datasource.table_name}", "")
            built = built and f"{built} {found.get('rights', '')}"
        return built or f"clock {time.time() // UNBUILT_SECONDS:.0f}"

    def _all(self, url: str) -> dict[str, str]:
        """Return the builds by relation, and `rights`; read once a second, for a page's charts."""
        now = time.monotonic()
        if now - self._read_at > 1 or not self._found:
            with closing(psycopg2.connect(url)) as connection, connection.cursor() as rows:
                rows.execute("select relation, built_at::text from access.built")
                self._found = dict(rows.fetchall())
            self._read_at = now
        return self._found


BUILDS = Builds()


class ReaderSecurityManager(SupersetSecurityManager):
    """Superset's own, but it keeps answers by rights and rows, and queries are their writer's."""

    def get_rls_cache_key(self, datasource: Any) -> list[str]:
        """Return what of a reader's rights and of the data belongs into the key of an answer.

        The version is read before the query runs, so that no older rows are kept under a newer one.
        """
        user = getattr(g, "user", None) if has_request_context() else None
        login = warehouse_login(user)
        version = str(uuid4()) if login in LOGGED else BUILDS.version(datasource)
        key = super().get_rls_cache_key(datasource)
        return [*key, f"login:{login}", f"data:{version}"]

    def raise_for_access(self, *args: Any, **kwargs: Any) -> None:
        """Refuse the queries that others wrote in SQL Lab, which Superset shows by their number."""
        from superset.models.sql_lab import Query

        context = kwargs.get("query_context")
        asked = [
            kwargs.get("query"),
            kwargs.get("datasource"),
            getattr(context, "datasource", None),
        ]
        owners = {one.user_id for one in asked if isinstance(one, Query)}
        if owners - {None, get_user_id()} and not self.is_admin():
            message = "This query is another person's."
            kind = SupersetErrorType.QUERY_SECURITY_ACCESS_ERROR
            raise SupersetSecurityException(SupersetError(message, kind, ErrorLevel.ERROR))
        super().raise_for_access(*args, **kwargs)
