"""The servers of the stack: how each is run, configured, probed, and which version it is.

Every process carries `CITYLOOM_HOME` and `CITYLOOM_SERVICE` in its environment; by these a server
that outlived its supervisor is found again.
"""

from __future__ import annotations

import configparser
import io
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path

from infra.home import ROOT, write_private
from infra.local.ports import LOOPBACK, foreign, is_foreign
from infra.local.postgres import locate, shipped_programs
from infra.local.settings import Database, Settings
from infra.local.state import StackError, digest

#: The environment of every server.
COMMON = dict(
    line.split("=", 1)
    for line in Path(__file__).with_name("common.env").read_text().splitlines()
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


@dataclass(frozen=True)
class Service:
    """One supervised program of a family.

    One that dies within `start_seconds` has failed to start, and is not started again for ever:
    a server with a port finds out late, on a busy machine, that another program has it.
    """

    name: str
    family: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    directory: Path = ROOT
    user: str | None = None
    start_seconds: int = 20
    stop_signal: str = "TERM"
    stop_seconds: int = 30


def superset_python() -> Path:
    """Return Superset's interpreter; `CITYLOOM_SUPERSET_VENV` names another environment."""
    venv = Path(os.environ.get("CITYLOOM_SUPERSET_VENV") or ROOT / ".venv-superset")
    return venv.expanduser().absolute() / "bin" / "python"


def services(settings: Settings) -> list[Service]:
    """Return the stack's services in the order of their start, their settings files written."""
    python = sys.executable
    ports = {name: str(port) for name, port in settings.ports.items()}
    found: list[Service] = []
    if settings.embedded_database:
        cluster = locate(settings.home / "postgres", settings.ports["postgres"])
        found.append(
            Service(
                *("postgres", "postgres", cluster.command()),
                directory=Path("/"),
                user=cluster.user,
                start_seconds=3,
                stop_signal="INT",
                stop_seconds=300,  # its last checkpoint may be slow; killed, it would recover
            )
        )
    airflow = airflow_environment(settings)
    api = ["--host", LOOPBACK, "--port", ports["airflow"], "--workers", "1"]
    for name, arguments, more in (
        ("airflow-api-server", ["api-server", *api], {}),
        ("airflow-dag-processor", ["dag-processor"], {}),
        # The logs are read as files: one machine. Serving them costs a process each.
        ("airflow-scheduler", ["scheduler", "--skip-serve-logs"], {"CITYLOOM_PRELOAD": "1"}),
        ("airflow-triggerer", ["triggerer", "--skip-serve-logs"], {}),
    ):
        command = [python, "-m", "airflow", *arguments]
        start_seconds = 20 if name == "airflow-api-server" else 3
        found.append(Service(name, "airflow", command, airflow | more, start_seconds=start_seconds))
    mlflow = [
        *(python, "-m", "infra.local.mlflow_app", "server", "--app-name", "cityloom"),
        *("--host", LOOPBACK, "--port", ports["mlflow"], "--workers", "1", "--serve-artifacts"),
        *("--artifacts-destination", str(settings.home / "mlflow" / "artifacts")),
    ]
    found.append(Service("mlflow", "mlflow", mlflow, mlflow_environment(settings)))
    superset = [
        *(str(superset_python()), "-m", "gunicorn", "superset.app:create_app()"),
        *("--bind", f"{LOOPBACK}:{ports['superset']}"),
        *("--worker-class", "gthread", "--workers", "1", "--threads", "8"),
        *("--timeout", "120", "--graceful-timeout", "10"),
        *("--limit-request-line", "0", "--no-control-socket"),
    ]
    found.append(Service("superset", "superset", superset, superset_environment(settings)))
    return found


def airflow_environment(settings: Settings) -> dict[str, str]:
    """Write `airflow.cfg` (0600) and return the environment of Airflow's processes."""
    home = settings.home / "airflow"
    url = settings.url("airflow")
    logs = settings.log_dir / "airflow"
    options: dict[str, dict[str, object]] = {
        "core": {
            "dags_folder": ROOT / "dags",
            "fernet_key": settings.secret("airflow_fernet_key", length=32) + "=",
            "execution_api_server_url": f"{url}/execution/",
        },
        "database": {
            "sql_alchemy_conn": sqlalchemy_url(settings, "airflow"),
            # Airflow's own choice, asyncpg, knows none of libpq's options (sslmode).
            "sql_alchemy_conn_async": sqlalchemy_url(settings, "airflow", "psycopg_async"),
        },
        "api": {
            "base_url": url,
            "port": settings.ports["airflow"],
            "secret_key": settings.secret("airflow_api_secret_key"),
        },
        "api_auth": {"jwt_secret": settings.secret("airflow_jwt_secret", length=64)},
        "fab": {"config_file": home / "webserver_config.py"},
        "logging": {
            "base_log_folder": logs,
            "dag_processor_child_process_log_directory": logs / "parsing",
            "worker_log_server_port": settings.ports["airflow_worker_log"],
            "trigger_log_server_port": settings.ports["airflow_trigger_log"],
        },
    }
    parser = configparser.RawConfigParser()
    parser.read(Path(__file__).with_name("airflow.cfg"))
    for section, values in options.items():
        # Airflow interpolates; a % in a password is not one.
        escaped = {key: str(value).replace("%", "%%") for key, value in values.items()}
        parser.read_dict({section: escaped})
    written = io.StringIO()
    parser.write(written)
    write_private(home / "airflow.cfg", written.getvalue())
    return {
        "AIRFLOW_HOME": str(home),
        # The second holds airflow_local_settings.
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).with_name("preload"))]),
        "CITYLOOM_CONFIG": digest(written.getvalue()),
    }


def mlflow_environment(settings: Settings) -> dict[str, str]:
    """Write MLflow's login settings (0600) and return the environment of its server."""
    home = settings.home / "mlflow"
    (home / "artifacts").mkdir(mode=0o700, parents=True, exist_ok=True)
    url = sqlalchemy_url(settings, "mlflow")
    # Each request checks a slow hash, where the answer is not kept for a while.
    auth = f"""[mlflow]
default_permission = READ
database_uri = {url.replace("%", "%%")}
admin_username = {settings.admin_user}
admin_password = {settings.admin_password}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 60
"""
    write_private(home / "auth.ini", auth)
    return {
        "MLFLOW_BACKEND_STORE_URI": url,
        "MLFLOW_AUTH_CONFIG_PATH": str(home / "auth.ini"),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": settings.secret("mlflow_secret_key"),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "CITYLOOM_CONFIG": digest(auth),
    }


def superset_environment(settings: Settings) -> dict[str, str]:
    """Return the environment of Superset's processes."""
    home = settings.home / "superset"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = Path(__file__).parent / "superset" / "superset_config.py"
    described = settings.home / "stack.json"
    return {
        "SUPERSET_CONFIG_PATH": str(config),
        "SUPERSET_HOME": str(home),
        "FLASK_APP": "superset.app:create_app()",
        "CITYLOOM_CONFIG": digest(config.read_text() + described.read_text()),
    }


def sqlalchemy_url(settings: Settings, role: Database, driver: str = "psycopg2") -> str:
    """Return a role's URL with the driver named."""
    return settings.database_url(role).replace("postgresql://", f"postgresql+{driver}://", 1)


@cache
def version(family: str) -> str:
    """Return the installed version of a family's software; raise `StackError` when missing."""
    if family == "postgres":
        command = [str(shipped_programs() / "postgres"), "--version"]
        return subprocess.run(command, capture_output=True, text=True).stdout.split()[-1]
    package = family if family == "mlflow" else f"apache-{family}"
    venv = superset_python().parent.parent if family == "superset" else Path(sys.prefix)
    folders = [str(path) for path in venv.glob("lib/python3*/site-packages")]
    for found in metadata.distributions(name=package, path=folders):
        return found.version
    raise StackError(
        f"{package} is not installed in {venv}; run `make setup` (CITYLOOM_SUPERSET_VENV names "
        "another environment of Superset's)"
    )


def probe(settings: Settings, own: Callable[[], Collection[int]] = tuple) -> dict[str, str | None]:
    """Ask every service how it is; map its name to None when healthy, else to what is wrong.

    `own` returns the pids of this installation's servers; what else answers is foreign.
    """
    with ThreadPoolExecutor(len(FAMILIES)) as pool:
        answers = pool.map(lambda family: probe_family(family, settings, own), FAMILIES)
        return {name: wrong for family in answers for name, wrong in family.items()}


def probe_family(
    family: str, settings: Settings, own: Callable[[], Collection[int]] = tuple
) -> dict[str, str | None]:
    """Ask one family's services how they are, as `probe` does."""
    if family == "postgres":
        return {"postgres": _probe_postgres(settings)}
    path = "/api/v2/monitor/health" if family == "airflow" else "/health"
    wrong, answer = None, b""
    try:
        # A proxy of the environment is not for servers on loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(settings.url(family) + path, timeout=20) as response:
            answer = response.read()
    except urllib.error.HTTPError as error:
        wrong = f"answers {error.code}"
    except (OSError, ValueError) as error:
        return dict.fromkeys(FAMILIES[family], f"no answer ({getattr(error, 'reason', error)})")
    if is_foreign(settings.ports[family], own):
        wrong = foreign(settings.ports[family])
    if wrong is None and family == "airflow":
        return _airflow_health(answer)
    if wrong is None and answer.strip() != b"OK":
        wrong = f"answers {answer[:50]!r}"
    return dict.fromkeys(FAMILIES[family], wrong)


def _probe_postgres(settings: Settings) -> str | None:
    import psycopg

    try:
        with psycopg.connect(settings.database_url("warehouse"), connect_timeout=20) as connection:
            connection.execute("select 1")
    except psycopg.Error as error:
        return str(error).strip().splitlines()[0]
    return None


def _airflow_health(answer: bytes) -> dict[str, str | None]:
    """Return how Airflow's parts are, by its own account."""
    try:
        health = json.loads(answer)
        database = health["metadatabase"]["status"]
        found = {"airflow-api-server": None if database == "healthy" else "no database"}
        for name in FAMILIES["airflow"][1:]:
            part = name.removeprefix("airflow-").replace("-", "_")
            latest = health[part].get(f"latest_{part}_heartbeat") or "its start"
            well = health[part]["status"] == "healthy"
            found[name] = None if well else f"no heartbeat since {latest}"
    except (KeyError, TypeError, ValueError) as error:
        return dict.fromkeys(FAMILIES["airflow"], f"answers {answer[:50]!r} ({error})")
    return found
