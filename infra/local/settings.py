"""Where the local deployment keeps its state, and how its servers reach each other.

`CITYLOOM_HOME` (default `.cityloom/` in the checkout) holds `stack.json` with the ports, and
`secrets/`, one file each, mode 0600. Only `infra.local` reads this; tasks and commands read
`infra.contract`, for which `describe` writes `deployment.json`.

Superset's settings import this too: standard library only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import quote

from infra.home import NotSetUp, cityloom_home, kept_secret
from infra.local.sign_in.provider import SingleSignOn

#: Databases, each owned by the login role of its name.
Database = Literal["warehouse", "airflow", "mlflow", "superset"]
#: Read-only logins on the warehouse, those of `warehouse.tiers.ROLES`, from the narrowest on.
Reader = Literal[
    "reader_open",
    "dashboards",
    "department_head",
    "analyst",
    "cio",
    "ml_engineer",
    "data_engineer",
]


@dataclass(frozen=True)
class Settings:
    """Paths, addresses and credentials of one installation.

    `ports` maps `postgres`, `airflow`, `mlflow` and `superset` to TCP ports on loopback. With an
    external database, `database_host`, `ports["postgres"]` and `database_options` (such as
    `sslmode=require`) are that server's. `single_sign_on`: the identity provider, if there is one.
    """

    home: Path
    ports: dict[str, int]
    database_host: str = "127.0.0.1"
    admin_user: str = "admin"
    database_options: str = ""
    embedded_database: bool = True
    single_sign_on: SingleSignOn | None = None

    def secret(self, name: str, *, length: int = 24) -> str:
        """Return the secret of that name, made on first use."""
        return kept_secret(self.home / "secrets" / name, length=length)

    def kept(self, name: str) -> str:
        """Return a secret that `cityloom up` was given. Raises `OSError` where there is none."""
        return (self.home / "secrets" / name).read_text().strip()

    @property
    def admin_password(self) -> str:
        """Password of the one admin login of Airflow, MLflow and Superset."""
        return self.secret("admin_password")

    def database_url(self, role: Database | Reader, driver: str = "") -> str:
        """Return `postgresql://role:password@host:port/database`; a driver is one of SQLAlchemy."""
        login = f"{role}:{quote(self.secret(f'postgres_{role}'), safe='')}"
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        return self.login_url(role).replace(f"postgresql://{role}@", f"{scheme}://{login}@", 1)

    def login_url(self, role: Database | Reader) -> str:
        """Return a role's URL without its password.

        The embedded server must prove by SCRAM that it knows the password's verifier, and is sent
        nothing else: another server on its port learns no password, and is not taken for it.
        """
        name = role if role in get_args(Database) else "warehouse"
        host = f"[{self.database_host}]" if ":" in self.database_host else self.database_host
        required = "require_auth=scram-sha-256" if self.embedded_database else ""
        query = f"?{self.database_options or required}".rstrip("?")
        return f"postgresql://{role}@{host}:{self.ports['postgres']}/{name}{query}"

    def url(self, service: str) -> str:
        """Return `http://127.0.0.1:port` of a web service."""
        return f"http://127.0.0.1:{self.ports[service]}"

    @property
    def log_dir(self) -> Path:
        """Folder of the servers' logs."""
        return self.home / "logs"


def load_settings() -> Settings:
    """Return the settings of the installation under `CITYLOOM_HOME`.

    Raises `NotSetUp` when no stack was ever started there.
    """
    home = cityloom_home()
    state = home / "stack.json"
    if not state.is_file():
        raise NotSetUp(f"no stack under {home}; start one with `cityloom up` (or `make run`)")
    return settings_from(home, json.loads(state.read_text()))


def settings_from(home: Path, described: dict[str, Any]) -> Settings:
    """Return the settings that a `stack.json` describes."""
    ports, external = described["ports"], described.get("database")
    provider = described.get("single_sign_on")
    single_sign_on = SingleSignOn(**provider) if provider else None
    if not external:
        return Settings(home, ports, single_sign_on=single_sign_on)
    return Settings(
        home,
        {**ports, "postgres": external["port"]},
        external["host"],
        database_options=external["options"],
        embedded_database=False,
        single_sign_on=single_sign_on,
    )


def describe(settings: Settings) -> dict[str, Any]:
    """Return the deployment's description as `infra.contract` reads it from the home."""
    login = {"user": settings.admin_user, "password": "file:secrets/admin_password"}
    return {
        "kind": "local",
        "databases": {
            role: {"url": settings.login_url(role), "password": f"file:secrets/postgres_{role}"}
            for role in ("warehouse", "analyst", "dashboards")
        },
        **{
            name: {"url": settings.url(name), **login} for name in ("airflow", "mlflow", "superset")
        },
        "salt": "file:secrets/salt_{city}",
        "drops": "drops/{city}",
        "reports": "data_docs",
        "artifacts": "mlflow/artifacts",
        "scratch": ".",
        "logs": str(settings.log_dir),
    }
