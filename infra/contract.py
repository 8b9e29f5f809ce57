"""What a deployment offers to tasks and commands, wherever its servers run.

A deployment describes itself in a file: the addresses of its servers, folders, queues, and
*references* to secrets (`file:PATH`, `env:NAME`), which are resolved when they are used. The file
is the one that `CITYLOOM_DEPLOYMENT` names (JSON or YAML), else `deployment.json` in
`CITYLOOM_HOME`, which `cityloom up` writes. Relative paths in it start from its own folder;
docs/operations.md shows a whole one.

A kind has its folder `infra/<kind>/`, with the modules `operations` (see below) and, where it has
one, `identity`, which proves whose a server is before a password is sent to it. A kind without a
folder is started by its own tools.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit, urlunsplit

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from infra.home import NotSetUp, cityloom_home, kept_secret

#: Logins on the warehouse: its owner, people with a SQL client, and Superset.
Role = Literal["warehouse", "analyst", "dashboards"]
Server = Literal["airflow", "mlflow", "superset"]
#: Work that may need a machine of its own kind, such as one with a GPU.
Work = Literal["train", "score"]

#: Called for each step of a start or stop: the service, what it is doing, and whether it is done.
Report = Callable[[str, str, bool], None]

DEFAULT_QUEUE = "default"


@dataclass(frozen=True)
class Finding:
    """One check of `examine`: `warn` means that it works with limits. `remedy`: what to do."""

    check: str
    verdict: Literal["ok", "warn", "bad"]
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class ServiceStatus:
    """One service as it is now. `memory_mb` is of its whole process tree."""

    name: str
    up: bool
    detail: str
    pid: int | None
    version: str
    url: str | None
    memory_mb: float


@dataclass(frozen=True)
class StackStatus:
    """The deployment's servers as they are now."""

    home: str
    up: bool
    services: list[ServiceStatus]
    memory_mb: float


class DeploymentError(Exception):
    """The deployment's description is wrong, or a secret cannot be read; names file and remedy."""


def _reference(text: str) -> str:
    scheme, _, rest = text.partition(":")
    if scheme not in ("file", "env") or not rest:
        raise ValueError("a secret is a reference, file:PATH or env:NAME, never the secret itself")
    return text


def _without_password(url: str) -> str:
    if urlsplit(url).password is not None:
        raise ValueError("the URL holds a password; put a reference into `password`")
    return url


Reference = Annotated[str, AfterValidator(_reference)]
Url = Annotated[str, AfterValidator(_without_password)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Database(_Part):
    """A login on a database: `postgresql://role@host:port/database?options`."""

    url: Url
    password: Reference


class Web(_Part):
    """A server reached over HTTP, and the login that tasks and commands use there."""

    url: Url
    user: str
    password: Reference


class Deployment(_Part):
    """One deployment. Paths are folders that every machine which runs tasks has mounted.

    `drops` holds `{city}`, `salt` may. `reports_url` is where people open the folder `reports`.
    `scratch` is local to each machine. `logs` is text for people: where the logs are. The
    description lies in `folder`.
    """

    kind: str
    databases: Mapping[Role, Database]
    airflow: Web
    mlflow: Web
    superset: Web
    salt: Reference
    drops: str
    reports: Path
    reports_url: Url | None = None
    artifacts: str
    scratch: Path
    logs: str
    queues: Mapping[Work, str] = {}
    folder: Path = Path()

    def database_url(self, role: Role) -> str:
        """Return `postgresql://role:password@host:port/database` for a role."""
        database = self.databases[role]
        parts = urlsplit(database.url)
        login = f"{quote(parts.username or role)}:{quote(self._secret(database.password), safe='')}"
        return urlunsplit(parts._replace(netloc=f"{login}@{parts.netloc.rpartition('@')[2]}"))

    def url(self, server: Server) -> str:
        """Return a web server's address."""
        return getattr(self, server).url

    def login(self, server: Server) -> tuple[str, str]:
        """Return user and password for a web server, once it is proven to be this deployment's.

        Raises what the deployment's `identity.verify` raises when another program answers there.
        """
        if identity := _module(self.kind, "identity"):
            identity.verify(self.url(server), self.folder)
        web = getattr(self, server)
        return web.user, self._secret(web.password)

    def mlflow_environment(self) -> dict[str, str]:
        """Return the variables with which MLflow's client reaches its server.

        The client logs in by `infra.mlflow_login`, which proves the server before each request.
        Raises as `login` does.
        """
        self.login("mlflow")  # MLflow would wrap what is wrong with it in an error of its own
        return {
            "MLFLOW_TRACKING_URI": self.url("mlflow"),
            "MLFLOW_TRACKING_AUTH": "cityloom",
            # Else a login of the user's own would go before it.
            "MLFLOW_TRACKING_USERNAME": "",
            "MLFLOW_TRACKING_PASSWORD": "",
        }

    def user_and_place(self, server: Server) -> tuple[str, str]:
        """Return a web server's user, and where a person finds the password."""
        web = getattr(self, server)
        scheme, _, rest = web.password.partition(":")
        place = self.folder / rest if scheme == "file" else f"the variable {rest}"
        return web.user, str(place)

    def salt_for(self, city_id: str) -> bytes:
        """Return the salt of a city's hashed columns; one kept in a file is made on first use."""
        scheme, _, rest = self.salt.partition(":")
        if scheme == "file":
            return kept_secret(self.folder / rest.format(city=city_id)).encode()
        return self._secret(self.salt.format(city=city_id)).encode()

    def drop_dir(self, city_id: str) -> Path:
        """Return the folder where a city's departments leave their files."""
        return self.folder / self.drops.format(city=city_id)

    @property
    def reports_dir(self) -> Path:
        """Folder of the gates' HTML reports (Data Docs)."""
        return self.folder / self.reports

    @property
    def reports_address(self) -> str:
        """Address of the reports' first page, for people."""
        folder = self.reports_url or self.reports_dir.absolute().as_uri()
        return f"{folder.rstrip('/')}/index.html"

    @property
    def scratch_dir(self) -> Path:
        """Folder for what one machine needs while it works; made where missing."""
        folder = self.folder / self.scratch
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def _secret(self, reference: str) -> str:
        scheme, _, rest = reference.partition(":")
        try:
            return os.environ[rest] if scheme == "env" else (self.folder / rest).read_text().strip()
        except KeyError as error:
            raise DeploymentError(f"the variable {rest} is not set; it holds a secret") from error
        except OSError as error:
            found = f"{error.filename} cannot be read ({error.strerror}); it holds a secret"
            raise DeploymentError(found) from error


def load_deployment(path: Path | None = None) -> Deployment:
    """Return the deployment that tasks and commands work with, or the one that a file describes.

    Raises `NotSetUp` when none is described, `DeploymentError` when the description is wrong.
    """
    if path is None:
        named = os.environ.get("CITYLOOM_DEPLOYMENT")
        path = Path(named).expanduser().resolve() if named else cityloom_home() / "deployment.json"
    if not path.is_file():
        raise NotSetUp(f"{path} does not exist; `cityloom up` (or `make run`) makes a deployment")
    try:
        described: Any = yaml.safe_load(path.read_text())
        return Deployment.model_validate({**described, "folder": path.parent})
    except (TypeError, yaml.YAMLError) as error:
        raise DeploymentError(f"{path} is no mapping in JSON or YAML: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in error.errors()
        )
        raise DeploymentError(f"{path}: {wrong}") from error


def queue(work: Work) -> str:
    """Return the queue of tasks that train or score; the default one before any deployment."""
    try:
        return load_deployment().queues.get(work, DEFAULT_QUEUE)
    except NotSetUp:
        return DEFAULT_QUEUE


def drop_dir(city_id: str) -> Path:
    """Return the folder of a city's drops; before any deployment the local one's."""
    try:
        return load_deployment().drop_dir(city_id)
    except NotSetUp:
        return cityloom_home() / "drops" / city_id


def operations() -> ModuleType:
    """Return the module that starts, stops and examines the deployment.

    It has `up(report)`, `down(report)`, `status()`, `examine()`, for `cityloom reset`
    `state_dir()` and `remove_state()`, and for `cityloom users` `admin_url()`,
    `role_password(role)` and `forget_password(role)`, for `cityloom audit` `database_logs()`.
    Raises `DeploymentError` for a kind that is run by other tools.
    """
    if found := _operations():
        return found
    raise DeploymentError(
        f"a deployment of kind {load_deployment().kind!r} is started, stopped and examined by its "
        "own tools"
    )


def started(report: Report) -> Deployment:
    """Return the deployment, brought up first where that is done from here."""
    found = _operations()
    return found.up(report) if found else load_deployment()


def _operations() -> ModuleType | None:
    # `up` of the local deployment writes the home's description, so it runs before there is one.
    kind = load_deployment().kind if os.environ.get("CITYLOOM_DEPLOYMENT") else "local"
    return _module(kind, "operations")


def _module(kind: str, name: str) -> ModuleType | None:
    """Return a module of the kind's folder, if there is one."""
    if (Path(__file__).parent / kind / f"{name}.py").is_file():
        return import_module(f"infra.{kind}.{name}")
    return None
