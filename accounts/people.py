"""A person's login on every server: made, listed, changed, removed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import psycopg

from accounts.roles import ROLES
from accounts.servers import AccountError, Server
from catalog.models import City
from dashboards.superset import SupersetError
from warehouse import people
from warehouse.tiers import department_role


@dataclass(frozen=True)
class Person:
    """A person: the name, the role, and the servers that have a login of that name.

    `closed`: servers that keep an entry by which nobody gets in.
    """

    name: str
    role: str
    servers: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)


def add(
    servers: Sequence[Server],
    admin_url: str,
    name: str,
    role: str,
    *,
    department: tuple[str, str] | None = None,
    cities: Sequence[City] = (),
    secret: Callable[[str], str],
    forget: Callable[[str], None] = lambda role: None,
) -> str:
    """Make a person's login everywhere and return its password; repeatable, with a new one.

    `admin_url` logs in to PostgreSQL as one who may make roles. `department`: city and department
    of a head. `secret` returns the password, kept by the deployment, of a login on the warehouse;
    `forget` removes it there (the department of a last head who gets another role).
    Raises `AccountError` for a name, role or department that cannot be; a server that refuses
    leaves the others as they are, and the same call completes it.
    """
    if role not in ROLES:
        raise AccountError(f"{role!r} is no role; there are: {', '.join(ROLES)}")
    if not people.is_name(name):
        raise AccountError(
            f"{name!r} cannot be a login: lower-case letters, digits and _, 2 to 31 characters, "
            "beginning with a letter, and no name that Cityloom or PostgreSQL uses itself"
        )
    head = _head_role(role, department, cities)
    password = secrets.token_urlsafe(18)
    with people.one_change_at_a_time(admin_url):
        if head:
            people.ensure_department(admin_url, head, secret(head))
        if ROLES[role].sql:
            people.ensure_login(admin_url, name, role, password)
        else:
            people.remove_login(admin_url, name)  # of an earlier role
        for server in servers:
            server.ensure(name, role, password, head)
        _forget_departments(servers, admin_url, forget)
    return password


def listed(servers: Sequence[Server], admin_url: str) -> list[Person]:
    """Return every person with a login, by name; the role is that in Superset."""
    names = {ROLES[role].web: role for role in ROLES}
    found: dict[str, Person] = {}
    for server in servers:
        for name, login in server.users().items():
            person = found.setdefault(name, Person(name, _role_of(login.roles, names)))
            (person.servers if login.active else person.closed).append(server.name)
    for name, role in people.logins(admin_url).items():
        found.setdefault(name, Person(name, role)).servers.append("PostgreSQL")
    return [found[name] for name in sorted(found)]


def change_password(servers: Sequence[Server], admin_url: str, name: str) -> str:
    """Give a person a new password everywhere; return it. Raises `AccountError` for nobody."""
    password = secrets.token_urlsafe(18)
    with people.one_change_at_a_time(admin_url):
        person = _known(servers, admin_url, name)
        if not person.servers:
            raise AccountError(f"the login {name!r} is closed; `cityloom users add` opens it again")
        if "PostgreSQL" in person.servers:
            people.ensure_login(admin_url, name, person.role, password)
        for server in servers:
            if server.name in person.servers:
                server.set_password(name, password)
    return password


def remove(
    servers: Sequence[Server],
    admin_url: str,
    name: str,
    *,
    forget: Callable[[str], None] = lambda role: None,
) -> None:
    """Remove a person's login everywhere, and end the sessions on PostgreSQL.

    Each server's login is closed first, then removed; a server that refuses stops no other. With
    the last head of a department goes the department's login on the warehouse; `forget` removes
    its password from where the deployment keeps it. Raises `AccountError`, which names what is
    left, and the remedy.
    """
    _known(servers, admin_url, name)
    steps: list[tuple[str, Callable[[], None]]] = [
        ("PostgreSQL", lambda: people.remove_login(admin_url, name))
    ]
    for server in servers:
        steps.append((server.name, lambda server=server: server.close(name)))  # type: ignore[misc]
        steps.append((server.name, lambda server=server: server.remove(name)))  # type: ignore[misc]
    steps.append(("departments", lambda: _forget_departments(servers, admin_url, forget)))
    problems = []
    with people.one_change_at_a_time(admin_url):
        for where, step in steps:
            try:
                step()
            except (AccountError, SupersetError, psycopg.Error) as error:
                problems.append(f"{where}: {str(error).strip()}")
    if problems:
        raise AccountError(f"of {name!r} something is left:\n" + "\n".join(problems))


def _forget_departments(
    servers: Sequence[Server], admin_url: str, forget: Callable[[str], None]
) -> None:
    """Remove what the heads of departments had, where no person is head any more."""
    left = people.departments(admin_url)
    if not left:
        return
    heads = {r for server in servers for login in server.users().values() for r in login.roles}
    for role in sorted(left - heads):
        people.remove_department(admin_url, role)
        for server in servers:
            server.forget_department(role)
        forget(role)


def _known(servers: Sequence[Server], admin_url: str, name: str) -> Person:
    everyone = {person.name: person for person in listed(servers, admin_url)}
    if name not in everyone or not people.is_name(name):
        raise AccountError(f"there is no login {name!r} of a person; `cityloom users list`")
    return everyone[name]


def _role_of(roles: Sequence[str], names: dict[str, str]) -> str:
    heads = sorted(role for role in roles if role.startswith("head_"))
    return heads[0] if heads else next((names[role] for role in roles if role in names), "")


def _head_role(role: str, department: tuple[str, str] | None, cities: Sequence[City]) -> str:
    if (role == "department_head") != (department is not None):
        raise AccountError("--city and --department belong to the role department_head, and to it")
    if department is None:
        return ""
    city_id, department_id = department
    city = next((city for city in cities if city.city_id == city_id), None)
    if city is None or department_id not in city.departments:
        known = ", ".join(city.departments if city else [city.city_id for city in cities])
        what = f"department {department_id!r} in {city_id}" if city else f"city {city_id!r}"
        raise AccountError(f"there is no {what}; there are: {known}")
    name = department_role(city_id, department_id)
    if len(name) > 63:
        raise AccountError(f"{name}: longer than the 63 characters of a role of PostgreSQL")
    return name
