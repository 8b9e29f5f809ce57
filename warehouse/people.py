"""People's own logins on PostgreSQL, and the logins of departments' heads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from warehouse.bootstrap import (
    MARK,
    OWNERS,
    READER_CONNECTIONS,
    READERS,
    BootstrapError,
    check_rights,
    grant_role,
    may_forbid_acting,
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


@contextmanager
def one_change_at_a_time(admin_url: str) -> Iterator[None]:
    """Wait until no other change of people's logins is under way, and keep others waiting.

    A removal that ran beside would take a login away that an addition just made.
    """
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(hashtext('cityloom.people'))")
        yield


def ensure_login(admin_url: str, name: str, role: str, password: str) -> None:
    """Make a person's login with the rights of a role, or bring it to role and password.

    Raises `BootstrapError` when a role of that name is not a person's, and before PostgreSQL 16,
    where a member of a role may change that role's password.
    """
    with psycopg.connect(admin_url, autocommit=True) as connection:
        if not may_forbid_acting(connection):
            raise BootstrapError(
                f"people's own logins need PostgreSQL 16 or newer, this is "
                f"{connection.info.server_version // 10000}: there a person could change the "
                f"password of {role}, by which others log in. Roles without a login of their own "
                "can be given, such as cio; or move to a newer server"
            )
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
            _drop(connection, name, admin_url)


def departments(admin_url: str) -> set[str]:
    """Return the logins of departments' heads."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        found = connection.execute(
            "select rolname from pg_roles where starts_with(rolname, 'head_') "
            "and shobj_description(oid, 'pg_authid') = %s",
            [MARK],
        )
        return {name for (name,) in found}


def remove_department(admin_url: str, name: str) -> None:
    """Remove the login of a department's head, one of `departments`, and end its sessions."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        _drop(connection, name, admin_url)


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


def _drop(connection: psycopg.Connection, name: str, admin_url: str) -> None:
    role = sql.Identifier(name)
    connection.execute(sql.SQL("alter role {} nologin").format(role))
    connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = %s", [name]
    )
    remove = sql.SQL("drop role {}").format(role)
    try:
        connection.execute(remove)
    except psycopg.errors.DependentObjectsStillExist:
        # Default privileges, which everybody may set for what he makes himself, keep a role.
        in_warehouse = urlunsplit(urlsplit(admin_url)._replace(path="/warehouse"))
        with psycopg.connect(in_warehouse, autocommit=True) as warehouse:
            warehouse.execute(sql.SQL("drop owned by {}").format(role))
        connection.execute(remove)


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
        grant_role(connection, role, name)
