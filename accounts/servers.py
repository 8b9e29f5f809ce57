"""The logins that each web server keeps, over its REST API.

A server has `users()`, the logins by name; `ensure()`, which makes a login or gives the one of that
name this role and password; `set_password()`, `close()`, after which nobody gets in by a login, and
`remove()`.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from accounts.roles import ROLES
from dashboards.superset import Superset, SupersetError

#: MLflow's own name of its only workspace.
WORKSPACE = "default"

#: Superset's role of a login that is closed.
CLOSED = "closed"


class AccountError(Exception):
    """A server refused, or does not answer; names it, with its answer and the remedy."""


@dataclass(frozen=True)
class Login:
    """A login of a server: its roles there, and whether one can log in by it."""

    roles: list[str]
    active: bool = True


class Server(Protocol):
    """A web server's logins. `password` is never logged and never on a command line."""

    name: str

    def users(self) -> dict[str, Login]:
        """Return each login, by name."""

    def ensure(self, user: str, role: str, password: str, department: str = "") -> None:
        """Make a login, or bring it to this role and password.

        `department`: the role on the warehouse of a department's head.
        """

    def set_password(self, user: str, password: str) -> None:
        """Change a user's password."""

    def close(self, user: str) -> None:
        """Take a login's rights and password away, if it exists."""

    def remove(self, user: str) -> None:
        """Remove a login, if it exists. Raises `AccountError` where the server must keep it."""

    def forget_department(self, department: str) -> None:
        """Remove the role of a department's head, which nobody has any more."""


class SupersetServer:
    """Superset's logins; `session` is logged in as its administrator."""

    name = "Superset"

    def __init__(self, session: Superset) -> None:
        self._session = session

    def users(self) -> dict[str, Login]:
        """Return each login, by name."""
        return {
            user["username"]: Login([role["name"] for role in user["roles"]], user["active"])
            for user in self._session.items("security/users")
        }

    def ensure(self, user: str, role: str, password: str, department: str = "") -> None:
        """Make a login, or bring it to this role and password."""
        known = {item["name"]: item["id"] for item in self._session.items("security/roles")}
        if department and department not in known:
            known[department] = self._session.post("security/roles", {"name": department})
        web = ROLES[role].web
        if web not in known:
            raise AccountError(f"Superset has no role {web}; `cityloom up` makes it")
        roles = [known[web], *([known[department]] if department else [])]
        body = {**_person(user), "active": True, "password": password, "roles": roles}
        if (found := self._id(user)) is None:
            self._session.post("security/users", body)
        else:
            self._session.put("security/users", found, body)

    def set_password(self, user: str, password: str) -> None:
        """Change a user's password."""
        if (found := self._id(user)) is not None:
            self._session.put("security/users", found, {"password": password})

    def close(self, user: str) -> None:
        """Take a login's rights and password away, if it exists; it ends its sessions, too."""
        if (found := self._id(user)) is not None:
            # Superset wants a role of every user; this one has no permission.
            known = {item["name"]: item["id"] for item in self._session.items("security/roles")}
            role = known.get(CLOSED) or self._session.post("security/roles", {"name": CLOSED})
            body = {"active": False, "roles": [role], "password": secrets.token_urlsafe(32)}
            self._session.put("security/users", found, body)

    def remove(self, user: str) -> None:
        """Remove a login, if it exists.

        Superset keeps one that its record of queries, links or charts refers to: `AccountError`.
        """
        if (found := self._id(user)) is None:
            return
        try:
            self._session.delete("security/users", found)
        except SupersetError as error:
            raise AccountError(
                f"Superset keeps the entry {user!r}, closed and without a role, so that nobody "
                f"gets in by it: {_refers(str(error), found)}, and remove it again"
            ) from error

    def forget_department(self, department: str) -> None:
        """Remove the role of a department's head."""
        for role in list(self._session.items("security/roles")):
            if role["name"] == department:
                self._session.delete("security/roles", role["id"])

    def _id(self, user: str) -> int | None:
        found = self._session.items("security/users")
        return next((item["id"] for item in found if item["username"] == user), None)


def _refers(error: str, user_id: int) -> str:
    """Return what refers to a user, by the error of Superset's database, and the remedy."""
    found = re.search(r'constraint "(\w+)" on table "(\w+)"', error)
    if found is None:
        return f"it says {error}. To be rid of the entry, delete there what it made"
    constraint, table = found.groups()
    column = constraint.removeprefix(f"{table}_").removesuffix("_fkey")
    return (
        f"its table {table} refers to it. To be rid of the entry and keep the record, "
        f"`update {table} set {column} = null where {column} = {user_id}` in the database superset"
    )


class _Rest:
    """A logged-in client of a server's REST API."""

    name = ""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def _ask(self, method: str, path: str, *accepted: int, **options: Any) -> httpx.Response:
        try:
            answer = self._client.request(method, path, **options)
        except httpx.TransportError as error:
            raise AccountError(
                f"{self.name} does not answer ({error}); `cityloom up` starts it, then try again"
            ) from error
        if answer.is_success or answer.status_code in accepted:
            return answer
        raise AccountError(
            f"{self.name} refused {method} {path}: {answer.status_code} {answer.text[:500]}"
        )

    def forget_department(self, department: str) -> None:
        """Do nothing: this server knows no departments."""


class AirflowServer(_Rest):
    """Airflow's logins, those of its FAB auth manager."""

    name = "Airflow"

    @classmethod
    def log_in(cls, url: str, user: str, password: str) -> AirflowServer:
        """Return a client logged in as an administrator."""
        client = httpx.Client(base_url=url, timeout=60, trust_env=False)
        server = cls(client)
        body = {"username": user, "password": password}
        token = server._ask("POST", "/auth/token", json=body).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        client.base_url = httpx.URL(f"{url.rstrip('/')}/auth/fab/v1/")
        return server

    def users(self) -> dict[str, Login]:
        """Return each login, by name."""
        users: dict[str, Login] = {}
        while True:
            query = {"limit": 100, "offset": len(users)}
            page = self._ask("GET", "users", params=query).json()
            for user in page["users"]:
                roles = [role["name"] for role in user["roles"] or ()]
                users[user["username"]] = Login(roles, user["active"] is not False)
            if not page["users"] or len(users) >= page["total_entries"]:
                return users

    def ensure(self, user: str, role: str, password: str, department: str = "") -> None:
        """Make a login, or bring it to this role and password."""
        body = {"roles": [{"name": ROLES[role].web}], "password": password}
        person = {**_person(user), **body}
        if self._ask("POST", "users", 409, json=person).status_code == 409:
            query = {"update_mask": "roles,password"}
            self._ask("PATCH", f"users/{user}", json=body, params=query)

    def set_password(self, user: str, password: str) -> None:
        """Change a user's password."""
        query = {"update_mask": "password"}
        self._ask("PATCH", f"users/{user}", 404, json={"password": password}, params=query)

    def close(self, user: str) -> None:
        """Take a login's rights and password away, if it exists."""
        self.set_password(user, secrets.token_urlsafe(32))
        query = {"update_mask": "roles"}
        self._ask("PATCH", f"users/{user}", 404, json={"roles": []}, params=query)

    def remove(self, user: str) -> None:
        """Remove a login, if it exists."""
        self._ask("DELETE", f"users/{user}", 404)


class MlflowServer(_Rest):
    """MLflow's logins and the roles that `ROLES` needs, which are made where missing."""

    name = "MLflow"

    @classmethod
    def log_in(cls, url: str, user: str, password: str) -> MlflowServer:
        """Return a client that logs in as an administrator."""
        api = f"{url.rstrip('/')}/api/"
        login = httpx.BasicAuth(user, password)
        return cls(httpx.Client(base_url=api, timeout=60, trust_env=False, auth=login))

    def users(self) -> dict[str, Login]:
        """Return each login, by name."""
        found = self._ask("GET", "2.0/mlflow/users/list").json()["users"]
        return {
            user["username"]: Login(
                ["admin"] * user["is_admin"] + [role["name"] for role in user["roles"]]
            )
            for user in found
        }

    def ensure(self, user: str, role: str, password: str, department: str = "") -> None:
        """Make a login, or bring it to this role and password."""
        known = self.users()
        if user in known:
            self.set_password(user, password)
        else:
            body = {"username": user, "password": password}
            self._ask("POST", "2.0/mlflow/users/create", json=body)
        had = known[user].roles if user in known else []
        roles = self._roles()
        for other in had:
            if other in roles and other != role:
                self._ask("DELETE", "3.0/mlflow/roles/unassign", json=_of(user, roles[other]))
        rights = ROLES[role].mlflow
        admin = {"username": user, "is_admin": rights == "admin"}
        self._ask("PATCH", "2.0/mlflow/users/update-admin", json=admin)
        if rights in ("READ", "EDIT") and role not in had:
            number = roles[role] if role in roles else self._make_role(role, rights)
            self._ask("POST", "3.0/mlflow/roles/assign", json=_of(user, number))

    def set_password(self, user: str, password: str) -> None:
        """Change a user's password."""
        body = {"username": user, "password": password}
        self._ask("PATCH", "2.0/mlflow/users/update-password", json=body)

    def close(self, user: str) -> None:
        """Take a login's rights and password away, if it exists."""
        known = self.users()
        if user not in known:
            return
        self.set_password(user, secrets.token_urlsafe(32))
        body = {"username": user, "is_admin": False}
        self._ask("PATCH", "2.0/mlflow/users/update-admin", json=body)
        roles = self._roles()
        for role in known[user].roles:
            if role in roles:
                self._ask("DELETE", "3.0/mlflow/roles/unassign", json=_of(user, roles[role]))

    def remove(self, user: str) -> None:
        """Remove a login, if it exists."""
        self._ask("DELETE", "2.0/mlflow/users/delete", 404, json={"username": user})

    def _roles(self) -> dict[str, int]:
        query = {"workspace": WORKSPACE}
        found = self._ask("GET", "3.0/mlflow/roles/list", params=query).json()["roles"]
        return {role["name"]: role["id"] for role in found}

    def _make_role(self, role: str, permission: str) -> int:
        body = {"name": role, "workspace": WORKSPACE, "description": "made by Cityloom"}
        made = self._ask("POST", "3.0/mlflow/roles/create", json=body).json()["role"]["id"]
        for kind in ("experiment", "registered_model"):
            body = {
                "role_id": made,
                "resource_type": kind,
                "resource_pattern": "*",
                "permission": permission,
            }
            self._ask("POST", "3.0/mlflow/roles/permissions/add", json=body)
        return int(made)


def _of(user: str, role_id: int) -> dict[str, Any]:
    return {"username": user, "role_id": role_id}


def _person(user: str) -> dict[str, str]:
    """Return what the two servers of Flask-AppBuilder want to know of a person."""
    address = f"{user}@cityloom.invalid"
    return {"username": user, "first_name": user, "last_name": user, "email": address}
