"""The servers of the stack: their settings files, how each is probed, and its version.

Each settings file is a Jinja template beside this module, filled in with what differs from one
installation to another: `supervisord.conf` (how each server is run), `airflow.cfg` and
`mlflow_auth.ini`. `common.env` is the environment of all servers.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import metadata
from pathlib import Path

import httpx
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from infra.home import ROOT, write_private
from infra.local.ports import OwnPids, foreign
from infra.local.postgres import locate, shipped_programs
from infra.local.settings import Settings
from infra.local.sign_in import asked
from infra.local.state import StackError, digest
from infra.setup import SUPERSET

HERE = Path(__file__).parent
COMMON = dict(
    line.split("=", 1)
    for line in (HERE / "common.env").read_text().splitlines()
    if line and not line.startswith("#")
)

#: Services by the software that runs them, whose database and version they share.
FAMILIES = {
    "postgres": ("postgres",),
    "airflow": (
        *("airflow-api-server", "airflow-scheduler"),
        *("airflow-dag-processor", "airflow-triggerer"),
    ),
    "mlflow": ("mlflow",),
    "superset": ("superset",),
}


def supervisor_config(settings: Settings, environments: Mapping[str, dict[str, str]]) -> str:
    """Return supervisor's settings, the servers with their families' environments.

    Raises `StackError` for a path that they cannot hold.
    """
    for place in (settings.home, ROOT, sys.executable, SUPERSET.python):
        if set(str(place)) & set('%"\n'):
            raise StackError(f'{place}: supervisor cannot have % or " in a path; move it')
    return _render(
        "supervisord.conf",
        settings,
        logs=settings.log_dir,
        as_root=os.geteuid() == 0,
        python=sys.executable,
        superset_python=SUPERSET.python,
        cluster=locate(settings.home / "postgres", settings.ports["postgres"])
        if settings.embedded_database
        else None,
        **environments,
    )


def _render(name: str, settings: Settings, **values: object) -> str:
    """Return a settings file of this folder, filled in."""
    jinja = Environment(
        loader=FileSystemLoader(HERE),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    jinja.filters["quote"] = lambda value: shlex.quote(str(value))
    # The programs that read these files interpolate: a % in a password is not one.
    jinja.filters["percent"] = lambda value: str(value).replace("%", "%%")
    jinja.filters["assignments"] = lambda variables: ",".join(
        f'{key}="{value}"' for key, value in variables.items()
    ).replace("%", "%%")
    template = jinja.get_template(name)
    return template.render(root=ROOT, home=settings.home, ports=settings.ports, **values)


def environments(settings: Settings) -> dict[str, dict[str, str]]:
    """Write the settings files of Airflow and MLflow; return each family's environment."""
    return {
        "airflow": COMMON | airflow_environment(settings),
        "mlflow": COMMON | mlflow_environment(settings),
        "superset": COMMON | superset_environment(settings),
    }


def airflow_environment(settings: Settings) -> dict[str, str]:
    """Write `airflow.cfg` (0600) and return the environment of Airflow's processes."""
    home = settings.home / "airflow"
    config = _render(
        "airflow.cfg",
        settings,
        url=settings.url("airflow"),
        secret=settings.secret,
        database=settings.database_url("airflow", "psycopg2"),
        database_async=settings.database_url("airflow", "psycopg_async"),
        single_sign_on=settings.single_sign_on,
    )
    write_private(home / "airflow.cfg", config)
    return {
        "AIRFLOW_HOME": str(home),
        # The second holds airflow_local_settings.
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE / "preload")]),
        "CITYLOOM_CONFIG": digest(config + _sign_in(settings)),
    }


def mlflow_environment(settings: Settings) -> dict[str, str]:
    """Write MLflow's login settings (0600) and return the environment of its server."""
    home = settings.home / "mlflow"
    (home / "artifacts").mkdir(mode=0o700, parents=True, exist_ok=True)
    url = settings.database_url("mlflow", "psycopg2")
    login = {"user": settings.admin_user, "password": settings.admin_password}
    auth = _render("mlflow_auth.ini", settings, database=url, **login)
    write_private(home / "auth.ini", auth)
    return {
        "MLFLOW_BACKEND_STORE_URI": url,
        "MLFLOW_AUTH_CONFIG_PATH": str(home / "auth.ini"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": settings.secret("mlflow_secret_key"),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "CITYLOOM_CONFIG": digest(auth + _code("mlflow_app.py", "mlflow_guard.py")),
    }


def _code(*files: str | Path) -> str:
    """Return the text of files of this folder that a server runs: changed, it is started anew."""
    return "".join((HERE / file).read_text() for file in files)


def _sign_in(settings: Settings) -> str:
    """Return what a server of an installation with single sign-on is started anew for."""
    if settings.single_sign_on is None:
        return ""
    try:
        secret = settings.kept(asked.SECRET)
    except OSError as error:
        raise StackError(
            f"the secret of the identity provider's client is gone ({error}); set "
            f"{asked.PREFIX}CLIENT_SECRET and the variables beside it again, or "
            f"{asked.PREFIX}ISSUER={asked.OFF}"
        ) from error
    files = sorted(path for path in (HERE / "sign_in").iterdir() if path.is_file())
    return f"{settings.single_sign_on} {secret}" + _code(*files)


def superset_environment(settings: Settings) -> dict[str, str]:
    """Return the environment of Superset's processes."""
    home = settings.home / "superset"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = HERE / "superset" / "superset_config.py"
    described = settings.home / "stack.json"
    return {
        "PYTHONPATH": str(ROOT),
        "SUPERSET_CONFIG_PATH": str(config),
        "SUPERSET_HOME": str(home),
        "FLASK_APP": "superset.app:create_app()",
        "CITYLOOM_CONFIG": digest(
            described.read_text() + _code(*sorted(config.parent.glob("*.py"))) + _sign_in(settings)
        ),
    }


@cache
def version(family: str) -> str:
    """Return the installed version of a family's software; raise `StackError` when missing."""
    if family == "postgres":
        command = [str(shipped_programs() / "postgres"), "--version"]
        return subprocess.run(command, capture_output=True, text=True).stdout.split()[-1]
    package = family if family == "mlflow" else f"apache-{family}"
    venv = SUPERSET.venv if family == "superset" else Path(sys.prefix)
    folders = [str(path) for path in venv.glob("lib/python3*/site-packages")]
    for found in metadata.distributions(name=package, path=folders):
        return found.version
    raise StackError(
        f"{package} is not installed in {venv}; run `make setup` (CITYLOOM_SUPERSET_VENV names "
        "another environment of Superset's)"
    )


def probe(settings: Settings, own: OwnPids = tuple) -> dict[str, str | None]:
    """Ask every service how it is; map its name to None when healthy, else to what is wrong.

    `own` returns the pids of this installation's servers; what else answers is foreign.
    """
    with ThreadPoolExecutor(len(FAMILIES)) as pool:
        answers = pool.map(lambda family: probe_family(family, settings, own), FAMILIES)
        return {name: wrong for family in answers for name, wrong in family.items()}


def probe_family(family: str, settings: Settings, own: OwnPids = tuple) -> dict[str, str | None]:
    """Ask one family's services how they are, as `probe` does."""
    if family == "postgres":
        return {"postgres": _probe_postgres(settings)}
    path = "/api/v2/monitor/health" if family == "airflow" else "/health"
    wrong: str | None = None
    try:
        # A proxy of the environment is not for servers on loopback.
        answer = httpx.get(settings.url(family) + path, timeout=20, trust_env=False)
        if found := foreign(settings.ports[family], own):
            wrong = found
        elif answer.status_code != httpx.codes.OK:
            wrong = f"answers {answer.status_code}"
        elif family == "airflow":
            return _airflow_health(answer)
        elif answer.text.strip() != "OK":
            wrong = f"answers {answer.text[:50]!r}"
    except httpx.HTTPError as error:
        wrong = f"no answer ({error})"
    return dict.fromkeys(FAMILIES[family], wrong)


def _probe_postgres(settings: Settings) -> str | None:
    import psycopg

    try:
        with psycopg.connect(settings.database_url("warehouse"), connect_timeout=20) as connection:
            connection.execute("select 1")
    except psycopg.Error as error:
        return str(error).strip().splitlines()[0]
    return None


def _airflow_health(answer: httpx.Response) -> dict[str, str | None]:
    """Return how Airflow's parts are, by its own account."""
    try:
        health = answer.json()
        database = health["metadatabase"]["status"]
        found = {"airflow-api-server": None if database == "healthy" else "no database"}
        for name in FAMILIES["airflow"][1:]:
            part = name.removeprefix("airflow-").replace("-", "_")
            latest = health[part].get(f"latest_{part}_heartbeat") or "its start"
            well = health[part]["status"] == "healthy"
            found[name] = None if well else f"no heartbeat since {latest}"
    except (KeyError, TypeError, ValueError) as error:
        return dict.fromkeys(FAMILIES["airflow"], f"answers {answer.text[:50]!r} ({error})")
    return found
