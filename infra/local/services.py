"""The servers of the stack: how each is run, configured, probed, and which version it is.

Every process carries `CITYLOOM_HOME` and `CITYLOOM_SERVICE` in its environment; by these a server
that outlived its supervisor is found again.
"""

from __future__ import annotations

import configparser
import io
import json
import os
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path

from infra.home import ROOT, write_private
from infra.local.settings import Database, Settings
from infra.local.state import StackError, digest

QUIET = {
    # Telemetry of every part off.
    "DO_NOT_TRACK": "1",
    "SCARF_ANALYTICS": "false",
    "SCARF_NO_ANALYTICS": "true",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "ASTRONOMER_COSMOS_TELEMETRY": "false",
    "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "LIGHTNING_DISABLE_VERSION_CHECK": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
}

COMMON = {
    **QUIET,
    # setproctitle would write over the environment by which a stray server is found.
    "SPT_NOENV": "1",
    # glibc keeps an arena a thread; two are plenty and spare some 100 MB a server.
    "MALLOC_ARENA_MAX": "2",
    "PYTHONUNBUFFERED": "1",
    # Where a machine forbids it, each process compiles all it imports: half a minute for a gate.
    "PYTHONDONTWRITEBYTECODE": "",
    "GIT_PYTHON_REFRESH": "quiet",
}


@dataclass(frozen=True)
class Service:
    """One supervised program. `family` is what its database and its web address are filed under."""

    name: str
    family: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    directory: Path = ROOT
    user: str | None = None
    stop_signal: str = "TERM"
    stop_seconds: int = 30


def superset_python() -> Path:
    """Return Superset's interpreter; `CITYLOOM_SUPERSET_VENV` names another environment."""
    venv = Path(os.environ.get("CITYLOOM_SUPERSET_VENV") or ROOT / ".venv-superset")
    return venv.expanduser().absolute() / "bin" / "python"


def services(settings: Settings) -> list[Service]:
    """Return the stack's services in the order of their start, their settings files written."""
    python = sys.executable
    found: list[Service] = []
    if settings.embedded_database:
        from infra.local.postgres import locate

        cluster = locate(settings.home / "postgres", settings.ports["postgres"])
        found.append(
            Service(
                "postgres",
                "postgres",
                cluster.command(),
                directory=Path("/"),
                user=cluster.user,
                stop_signal="INT",
                stop_seconds=60,
            )
        )
    airflow = airflow_environment(settings)
    api = ["--host", "127.0.0.1", "--port", str(settings.ports["airflow"]), "--workers", "1"]
    for name, arguments in {
        "airflow-api-server": ["api-server", *api],
        "airflow-dag-processor": ["dag-processor"],
        # The logs are read as files: one machine. Serving them costs a process each.
        "airflow-scheduler": ["scheduler", "--skip-serve-logs"],
        "airflow-triggerer": ["triggerer", "--skip-serve-logs"],
    }.items():
        preload = {"CITYLOOM_PRELOAD": "1"} if name == "airflow-scheduler" else {}
        found.append(
            Service(
                name,
                "airflow",
                [python, "-m", "airflow", *arguments],
                environment=airflow | preload,
            )
        )
    found.append(
        Service(
            "mlflow",
            "mlflow",
            [
                *(python, "-m", "mlflow", "server", "--app-name", "basic-auth"),
                *("--host", "127.0.0.1", "--port", str(settings.ports["mlflow"])),
                *("--workers", "1", "--serve-artifacts"),
                *("--artifacts-destination", str(settings.home / "mlflow" / "artifacts")),
            ],
            environment=mlflow_environment(settings),
        )
    )
    found.append(
        Service(
            "superset",
            "superset",
            [
                *(str(superset_python()), "-m", "gunicorn", "superset.app:create_app()"),
                *("--bind", f"127.0.0.1:{settings.ports['superset']}"),
                *("--worker-class", "gthread", "--workers", "1", "--threads", "8"),
                *("--timeout", "120", "--graceful-timeout", "10"),
                *("--limit-request-line", "0", "--no-control-socket"),
            ],
            environment=superset_environment(settings),
        )
    )
    return found


def airflow_environment(settings: Settings) -> dict[str, str]:
    """Write `airflow.cfg` (0600) and return the environment of Airflow's processes."""
    home = settings.home / "airflow"
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    url = settings.url("airflow")
    options: dict[str, dict[str, object]] = {
        "core": {
            "executor": "LocalExecutor",
            "parallelism": 3,
            "max_active_tasks_per_dag": 3,
            "dags_folder": ROOT / "dags",
            "load_examples": False,
            "dags_are_paused_at_creation": False,
            "auth_manager": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
            "fernet_key": fernet_key(settings),
            "execution_api_server_url": f"{url}/execution/",
            "default_timezone": "utc",
        },
        "database": {
            "sql_alchemy_conn": sqlalchemy_url(settings, "airflow"),
            # Airflow's own choice, asyncpg, knows none of libpq's options (sslmode).
            "sql_alchemy_conn_async": sqlalchemy_url(settings, "airflow", "psycopg_async"),
            "load_default_connections": False,
        },
        "api": {
            "base_url": url,
            "host": "127.0.0.1",
            "port": settings.ports["airflow"],
            "workers": 1,
            "secret_key": settings.secret("airflow_api_secret_key"),
            "expose_config": False,
        },
        "api_auth": {"jwt_secret": settings.secret("airflow_jwt_secret", length=64)},
        "fab": {"config_file": home / "webserver_config.py"},
        "scheduler": {
            "scheduler_heartbeat_sec": 5,
            # A busy small machine is late, not dead.
            "scheduler_health_check_threshold": 60,
            "task_instance_heartbeat_timeout": 90,
            "orphaned_tasks_check_interval": 30,
        },
        # A task outlives an API server that is busy, or was killed and is started again.
        "workers": {
            "execution_api_timeout": 60,
            "execution_api_retries": 8,
            "execution_api_retry_wait_max": 20,
            "max_failed_heartbeats": 10,
        },
        "triggerer": {"triggerer_health_check_threshold": 90},
        "dag_processor": {
            "refresh_interval": 15,
            "min_file_process_interval": 30,
            "parsing_processes": 1,
            "dag_file_processor_timeout": 180,
            "health_check_threshold": 180,
        },
        "logging": {
            "base_log_folder": settings.log_dir / "airflow",
            "dag_processor_child_process_log_directory": settings.log_dir / "airflow" / "parsing",
            "worker_log_server_port": settings.ports["airflow_worker_log"],
            "trigger_log_server_port": settings.ports["airflow_trigger_log"],
            "colored_console_log": False,
        },
        "usage_data_collection": {"enabled": False},
    }
    parser = configparser.RawConfigParser()
    # Airflow interpolates; a % in a password is not one.
    parser.read_dict(
        {
            section: {key: str(value).replace("%", "%%") for key, value in values.items()}
            for section, values in options.items()
        }
    )
    written = io.StringIO()
    parser.write(written)
    write_private(home / "airflow.cfg", written.getvalue())
    return {
        "AIRFLOW_HOME": str(home),
        # The second holds airflow_local_settings.
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "infra" / "local" / "preload")]),
        "CITYLOOM_CONFIG": digest(written.getvalue()),
    }


def mlflow_environment(settings: Settings) -> dict[str, str]:
    """Write MLflow's login settings (0600) and return the environment of its server."""
    home = settings.home / "mlflow"
    (home / "artifacts").mkdir(mode=0o700, parents=True, exist_ok=True)
    url = sqlalchemy_url(settings, "mlflow")
    auth = (
        "[mlflow]\n"
        "default_permission = READ\n"
        f"database_uri = {url.replace('%', '%%')}\n"
        f"admin_username = {settings.admin_user}\n"
        f"admin_password = {settings.admin_password}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        # Each request checks a slow hash otherwise.
        "auth_cache_ttl_seconds = 60\n"
    )
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
    config = ROOT / "infra" / "local" / "superset" / "superset_config.py"
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


def fernet_key(settings: Settings) -> str:
    """Return Airflow's key for stored connections: 32 bytes, URL-safe base64."""
    return settings.secret("airflow_fernet_key", length=32) + "="


def web_urls(settings: Settings) -> dict[str, str]:
    """Return the address of each service that has one."""
    address = f"{settings.database_host}:{settings.ports['postgres']}"
    return {
        "postgres": f"postgresql://{address}",
        "airflow-api-server": settings.url("airflow"),
        "mlflow": settings.url("mlflow"),
        "superset": settings.url("superset"),
    }


def version(family: str) -> str:
    """Return the installed version of a family's software; raise `StackError` when missing."""
    try:
        if family == "postgres":
            return _postgres_version()
        if family == "superset":
            return _superset_version(superset_python())
        return metadata.version({"airflow": "apache-airflow"}.get(family, family))
    except metadata.PackageNotFoundError as error:
        raise StackError(f"{error.name} is not installed here; run `make setup`") from error


@cache
def _postgres_version() -> str:
    import subprocess

    from infra.local.postgres import shipped_programs

    said = subprocess.run(
        [str(shipped_programs() / "postgres"), "--version"], capture_output=True, text=True
    )
    return said.stdout.strip().rpartition(" ")[2]


@cache
def _superset_version(python: Path) -> str:
    packages = [str(p) for p in python.parent.parent.glob("lib/python3*/site-packages")]
    for found in metadata.distributions(name="apache-superset", path=packages):
        return found.version
    raise StackError(
        f"Superset is not installed in {python.parent.parent}; run `make setup`, or name its "
        "environment in CITYLOOM_SUPERSET_VENV"
    )


def probe(settings: Settings) -> dict[str, str | None]:
    """Ask every service how it is; map its name to None when well, else to what is wrong."""
    from concurrent.futures import ThreadPoolExecutor

    families = ("postgres", "airflow", "mlflow", "superset")
    with ThreadPoolExecutor(len(families)) as pool:
        answers = pool.map(lambda family: probe_family(family, settings), families)
        return {name: wrong for family in answers for name, wrong in family.items()}


def probe_family(family: str, settings: Settings) -> dict[str, str | None]:
    """Ask one family's services how they are, as `probe` does."""
    if family == "airflow":
        return _probe_airflow(settings)
    if family == "postgres":
        return {"postgres": _probe_postgres(settings)}
    return {family: _probe_http(f"{settings.url(family)}/health")}


def _probe_postgres(settings: Settings) -> str | None:
    import psycopg

    try:
        with psycopg.connect(settings.database_url("warehouse"), connect_timeout=3) as connection:
            connection.execute("select 1")
    except psycopg.Error as error:
        return str(error).strip().splitlines()[0]
    return None


AIRFLOW_PARTS = {
    "airflow-scheduler": "scheduler",
    "airflow-dag-processor": "dag_processor",
    "airflow-triggerer": "triggerer",
}


def _probe_airflow(settings: Settings) -> dict[str, str | None]:
    names = ("airflow-api-server", *AIRFLOW_PARTS)
    try:
        health = json.loads(_get(f"{settings.url('airflow')}/api/v2/monitor/health"))
        states = {part: health[part]["status"] for part in AIRFLOW_PARTS.values()}
        database = health["metadatabase"]["status"]
    except (KeyError, TypeError):
        return dict.fromkeys(names, "another program answers on Airflow's port")
    except (OSError, ValueError) as error:
        return dict.fromkeys(names, _said(error))
    answers: dict[str, str | None] = {
        name: None
        if states[part] == "healthy"
        else f"no heartbeat since {health[part].get(f'latest_{part}_heartbeat') or 'its start'}"
        for name, part in AIRFLOW_PARTS.items()
    }
    answers["airflow-api-server"] = None if database == "healthy" else "its database is unreachable"
    return answers


def _probe_http(url: str) -> str | None:
    """Ask a server whose word for well is OK."""
    try:
        said = _get(url)
    except (OSError, ValueError) as error:
        return _said(error)
    return None if said.strip() == b"OK" else "another program answers on its port"


def _get(url: str) -> bytes:
    # Loopback: whatever proxy the machine uses is not for this.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=5) as answer:
        return answer.read()


def _said(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    if isinstance(error, urllib.error.HTTPError):
        return f"answers {error.code}"
    return f"no answer ({reason or error})"
