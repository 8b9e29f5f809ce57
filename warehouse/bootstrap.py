"""Roles and databases on a PostgreSQL server, made where missing and brought to the same state.

| role | may |
|---|---|
| `warehouse`, `airflow`, `mlflow`, `superset` | own and enter the database of its name only |
| `analyst`, `dashboards` | log in to `warehouse` and read what `warehouse.schema` grants |
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

OWNERS = ("warehouse", "airflow", "mlflow", "superset")
READERS = ("analyst", "dashboards")
#: The comment on each role: names like `airflow` may be another program's on a shared server.
MARK = "made by Cityloom"


class BootstrapError(Exception):
    """The server's login may not make roles or databases; says what is missing."""


def bootstrap(admin_url: str, passwords: Mapping[str, str], *, own_server: bool = False) -> None:
    """Make the roles and databases on a server; safe to repeat and to run concurrently.

    `admin_url` logs in as a superuser, or as a role with CREATEROLE and CREATEDB, to any database.
    `passwords` has one entry for each of `OWNERS` and `READERS`; they are sent as SCRAM verifiers,
    so that no server log holds one. Roles that Cityloom did not make are left alone, unless it is
    Cityloom's `own_server`. Raises `BootstrapError`.
    """
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(hashtext('cityloom.bootstrap'))")
        _check_rights(connection)
        if not own_server:
            _refuse_what_is_anothers(connection)
        for role in (*OWNERS, *READERS):
            _ensure_role(connection, role, passwords[role])
        for role in OWNERS:
            _ensure_database(connection, role)
        connection.execute(
            sql.SQL("grant connect on database warehouse to {}").format(_names(READERS))
        )
    for role in OWNERS:
        # As its owner: on an external server the admin may not touch another's schema.
        with psycopg.connect(role_url(admin_url, role, passwords[role])) as connection:
            connection.execute("revoke create on schema public from public")


def role_url(admin_url: str, role: str, password: str, database: str | None = None) -> str:
    """Return the URL of a role on the same server, on the database of its name by default."""
    parts = urlsplit(admin_url)
    address = parts.netloc.rpartition("@")[2]
    if database is None:
        database = "warehouse" if role in READERS else role
    login = f"{role}:{quote(password, safe='')}"
    return urlunsplit(parts._replace(netloc=f"{login}@{address}", path=f"/{database}"))


def _check_rights(connection: psycopg.Connection) -> None:
    row = connection.execute(
        "select current_user, rolsuper or (rolcreaterole and rolcreatedb) "
        "from pg_roles where rolname = current_user"
    ).fetchone()
    if row is None or not row[1]:
        name = row[0] if row else "the login"
        raise BootstrapError(
            f"{name} may not make roles and databases on this server; let its administrator run "
            f"`alter role {name} createrole createdb`"
        )


def _refuse_what_is_anothers(connection: psycopg.Connection) -> None:
    """Raise `BootstrapError` before another program's password is changed, or its tables."""
    unmarked = connection.execute(
        "select rolname from pg_roles where rolname = any(%s) "
        "and shobj_description(oid, 'pg_authid') is distinct from %s order by 1",
        [[*OWNERS, *READERS], MARK],
    ).fetchall()
    foreign = connection.execute(
        "select datname from pg_database join pg_roles owner on owner.oid = datdba "
        "where datname = any(%s) and rolname <> datname order by 1",
        [list(OWNERS)],
    ).fetchall()
    taken = [f"role {name}" for (name,) in unmarked] + [f"database {name}" for (name,) in foreign]
    if taken:
        raise BootstrapError(
            f"{', '.join(taken)}: on this server already, and not made by Cityloom. Rename what "
            "another program has, or give Cityloom a server of its own"
        )


def _ensure_role(connection: psycopg.Connection, role: str, password: str) -> None:
    name = sql.Identifier(role)
    found = connection.execute(
        "select rolsuper from pg_roles where rolname = %s", [role]
    ).fetchone()
    if found is None:
        with connection.transaction():  # a killed one leaves no role without its mark
            connection.execute(sql.SQL("create role {}").format(name))
            connection.execute(sql.SQL("comment on role {} is {}").format(name, sql.Literal(MARK)))
    elif found[0]:
        raise BootstrapError(
            f"role {role!r} exists on this server and is a superuser; rename it, or give "
            "Cityloom a server of its own"
        )
    verifier = connection.pgconn.encrypt_password(
        password.encode(), role.encode(), b"scram-sha-256"
    ).decode()
    connection.execute(
        sql.SQL("alter role {} with login nocreatedb nocreaterole password {}").format(
            name, sql.Literal(verifier)
        )
    )
    if role in READERS:
        # A second wall beside the grants, and the one a client's error message names.
        connection.execute(
            sql.SQL("alter role {} set default_transaction_read_only = on").format(name)
        )


def _ensure_database(connection: psycopg.Connection, role: str) -> None:
    name = sql.Identifier(role)
    superuser = connection.execute(
        "select rolsuper from pg_roles where rolname = current_user"
    ).fetchone()[0]
    if not superuser:  # only a member may hand a role a database
        connection.execute(sql.SQL("grant {} to current_user").format(name))
    found = connection.execute("select 1 from pg_database where datname = %s", [role]).fetchone()
    if found is None:
        connection.execute(
            sql.SQL("create database {} owner {} encoding 'UTF8' template template0").format(
                name, name
            )
        )
    connection.execute(sql.SQL("revoke all on database {} from public").format(name))


def _names(roles: tuple[str, ...]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(role) for role in roles)
