"""Where this installation keeps its state, and how its parts reach each other.

Everything comes from `CITYLOOM_HOME` (default `.cityloom/` in the checkout): `stack.json` holds
the ports, `secrets/` the passwords, one file each, mode 0600. The rooms never read this module;
whoever wires them (`dags/`, `cli`) hands them URLs and folders.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[1]

#: Databases, each owned by the login role of its name.
Database = Literal["warehouse", "airflow", "mlflow", "superset"]
#: Read-only logins on the warehouse: people with a SQL client, and Superset.
Reader = Literal["analyst", "dashboards"]


class NotSetUp(Exception):
    """The stack has never been started under this home; `cityloom up` starts it."""


@dataclass(frozen=True)
class Settings:
    """Paths, addresses and credentials of one installation.

    `ports` maps service to TCP port on loopback: `postgres`, `airflow`, `mlflow`, `superset`,
    and `airflow_worker_log`, `airflow_trigger_log`. With an external database, `database_host`,
    `ports["postgres"]` and `database_options` (`sslmode=require`, say) are that server's.
    """

    home: Path
    ports: dict[str, int]
    database_host: str = "127.0.0.1"
    admin_user: str = "admin"
    database_options: str = ""
    embedded_database: bool = True

    def secret(self, name: str, *, length: int = 24) -> str:
        """Return the secret of that name, made on first use (URL-safe, mode 0600)."""
        path = self.home / "secrets" / name
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Whole before it has its name: of two processes that make it, both read the first's.
            descriptor, made = tempfile.mkstemp(dir=path.parent)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(length))
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(made)
            Path(made).unlink()
        return path.read_text().strip()

    @property
    def admin_password(self) -> str:
        """Password of the one admin login of Airflow, MLflow and Superset."""
        return self.secret("admin_password")

    def database_url(self, role: Database | Reader, database: Database | None = None) -> str:
        """Return `postgresql://role:password@host:port/database` for a role."""
        name = database or (role if role in ("airflow", "mlflow", "superset") else "warehouse")
        password = quote(self.secret(f"postgres_{role}"), safe="")
        options = f"?{self.database_options}" if self.database_options else ""
        host = f"[{self.database_host}]" if ":" in self.database_host else self.database_host
        return f"postgresql://{role}:{password}@{host}:{self.ports['postgres']}/{name}{options}"

    def url(self, service: str) -> str:
        """Return `http://127.0.0.1:port` of a web service."""
        return f"http://127.0.0.1:{self.ports[service]}"

    @property
    def mlflow_environment(self) -> dict[str, str]:
        """Environment with which MLflow's client reaches the server and logs in."""
        return {
            "MLFLOW_TRACKING_URI": self.url("mlflow"),
            "MLFLOW_TRACKING_USERNAME": self.admin_user,
            "MLFLOW_TRACKING_PASSWORD": self.admin_password,
        }

    def drop_dir(self, city_id: str) -> Path:
        """Folder where a city's departments leave their files; `--snapshot` overrides it."""
        return self.home / "drops" / city_id

    @property
    def data_docs_dir(self) -> Path:
        """Folder of the gates' HTML reports."""
        return self.home / "data_docs"

    @property
    def log_dir(self) -> Path:
        """Folder of the servers' logs."""
        return self.home / "logs"


def cityloom_home() -> Path:
    """Return the absolute state folder: `CITYLOOM_HOME`, else `.cityloom/` in the checkout."""
    return Path(os.environ.get("CITYLOOM_HOME") or ROOT / ".cityloom").expanduser().resolve()


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
    external = described.get("database")
    if not external:
        return Settings(home=home, ports=described["ports"])
    return Settings(
        home=home,
        ports={**described["ports"], "postgres": external["port"]},
        database_host=external["host"],
        database_options=external["options"],
        embedded_database=False,
    )
