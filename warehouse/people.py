"""People's own logins on PostgreSQL, and the logins of departments' heads."""

from __future__ import annotations

import re

import psycopg
from psycopg import sql

from warehouse.bootstrap import (
    MARK,
    OWNERS,
    READER_CONNECTIONS,
    READERS,
    BootstrapError,
    check_rights,
    set_login,
)

#: The comment on a person's role.
PERSON = f"a person's, {MARK}"
#: Sessions that a person may hold at once.
CONNECTIONS = 10
RESERVED = {*OWNERS, *READERS, "admin", "postgres", "public", "none", "user"}


def is_name(name: str) -> bool:
    """Return whether a person's login may be called so."""
    own = name in RESERVED or name.startswith(("pg_", "head_"))
    return re.fullmatch("[a-z][a-z0-9_]{1,30}", name) is not None and not own


def ensure_login(admin_url: str, name: str, role: str, password: str) -> None:
    """Make a person's login with the rights of a role, or bring it to role and password.

    Raises `BootstrapError` when a role of that name is not a person's.
    """
    with psycopg.connect(admin_url, autocommit=True) as connection:
        found = connection.execute(
            "select shobj_description(oid, 'pg_authid') from pg_roles where rolname = %s", [name]
        ).fetchone()
        if found is not None and found[0] != PERSON:
            raise BootstrapError(f"{name}: a role of another program's on this server; rename one")
        _ensure(connection, name, role, password, PERSON, CONNECTIONS)


def ensure_department(admin_url: str, name: str, password: str) -> None:
    """Make the login by which Superset asks for a department's head (`department_role`)."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        _ensure(connection, name, "department_head", password, MARK, READER_CONNECTIONS)


def remove_login(admin_url: str, name: str) -> None:
    """Remove a person's login, if there is one, and end its sessions."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        if name in _people(connection):
            role = sql.Identifier(name)
            connection.execute(sql.SQL("alter role {} nologin").format(role))
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", [name]
            )
            connection.execute(sql.SQL("drop role {}").format(role))


def logins(admin_url: str) -> dict[str, str]:
    """Return the role of each person who has a login, by name."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        return _people(connection)


def _people(connection: psycopg.Connection) -> dict[str, str]:
    found = connection.execute(
        "select r.rolname, coalesce(min(g.rolname), '') from pg_roles r "
        "left join pg_auth_members m on m.member = r.oid "
        "left join pg_roles g on g.oid = m.roleid and g.rolname = any(%s) "
        "where shobj_description(r.oid, 'pg_authid') = %s group by 1",
        [list(READERS), PERSON],
    )
    return dict(found.fetchall())


def _ensure(
    connection: psycopg.Connection,
    name: str,
    role: str,
    password: str,
    comment: str,
    connections: int,
) -> None:
    superuser = check_rights(connection)
    login = sql.Identifier(name)
    with connection.transaction():
        if not connection.execute("select from pg_roles where rolname = %s", [name]).fetchall():
            connection.execute(sql.SQL("create role {}").format(login))
            connection.execute(
                sql.SQL("comment on role {} is {}").format(login, sql.Literal(comment))
            )
        set_login(connection, name, password, superuser, role, connections)
        connection.execute(sql.SQL("grant {} to {}").format(sql.Identifier(role), login))
