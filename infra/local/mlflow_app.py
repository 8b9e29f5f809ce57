"""MLflow's server with logins, whose pages show model training.

By default they show language models' traces, an assistant that needs such a model, and a note that
usage data is collected, also where `MLFLOW_DISABLE_TELEMETRY` stops that. Each page sets other
defaults in the browser before its own scripts run; a person's later choice stays. The assistant has
no setting that switches it off: its button is hidden.

What a login may ask, and where the server keeps files, is in `infra.local.mlflow_guard`.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any

from accounts.roles import ROLES
from infra.local.mlflow_guard import RIGHTS, keep_in_store, leaves_store, may, needed

#: The browser's keys, as MLflow 3.17 names them (`useLocalStorage` adds the version).
DEFAULTS = {
    "mlflow.workflowType_v1": json.dumps("machine_learning"),
    "mlflow.telemetry.info.alert.dismissed_v1": json.dumps(True),
    "mlflow.settings.telemetry.enabled_v1": json.dumps(False),
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": json.dumps(True),
}
SCRIPT = (
    f"<script>for (const [key, value] of Object.entries({json.dumps(DEFAULTS)}))"
    "if (localStorage.getItem(key) === null) localStorage.setItem(key, value)</script>"
    "<style>[data-assistant-ui] { display: none !important }</style>"
).encode()


def create_app() -> Any:
    """Return the application that `mlflow server --app-name cityloom` runs."""
    from mlflow.server import ARTIFACTS_DESTINATION_ENV_VAR, app
    from mlflow.server.auth import create_app as with_logins

    keep_in_store(os.environ[ARTIFACTS_DESTINATION_ENV_VAR])

    @app.after_request
    def set_defaults(response: Any) -> Any:
        if response.mimetype == "text/html":
            response.direct_passthrough = False
            page = response.get_data()
            response.set_data(re.sub(rb"<head[^>]*>", lambda m: m[0] + SCRIPT, page, count=1))
        return response

    server = with_logins(app)
    server.middleware("http")(_refuse)  # the last one added is asked first
    return server


async def _refuse(request: Any, call_next: Any) -> Any:
    """Answer a request that its login may not make; pass on every other."""
    from mlflow.server import auth

    path, method = request.scope["path"], request.method
    if leaves_store(path) or any(map(leaves_store, request.query_params.getlist("path"))):
        refusal = {"error_code": "INVALID_PARAMETER_VALUE", "message": "the path leaves its folder"}
        return auth.JSONResponse(refusal, 400)
    if auth.is_unprotected_route(path) and may("", method, path):
        return await call_next(request)
    if (user := auth._authenticate_fastapi_request(request)) is None:
        asks = {"WWW-Authenticate": 'Basic realm="mlflow"'}
        return auth.PlainTextResponse("log in with the name and password of Cityloom", 401, asks)
    if may(_right(user), method, path):
        return await call_next(request)
    known = needed(method, path) is not None
    message = (
        "your role may not do this; `cityloom users list` shows the roles"
        if known
        else f"{method} {path} is not served here: Cityloom uses MLflow for model training only"
    )
    return auth.JSONResponse({"error_code": "PERMISSION_DENIED", "message": message}, 403)


def _right(user: Any) -> str:
    """Return what a login may do: by its role, not by what it once made itself."""
    from mlflow.server import auth

    if user.is_admin:
        return "admin"
    names = (role.name for role in auth.store.list_user_roles(user.id))
    rights = (ROLES[name].mlflow for name in names if name in ROLES)
    return max((right for right in rights if right != "admin"), key=RIGHTS.index, default="")


def main() -> None:
    """Run MLflow's command line; `server` becomes the server instead of waiting for it as a child.

    That spares the memory of a process that has imported MLflow and does nothing.
    """
    import mlflow.server
    from mlflow.cli import cli

    def become(cmd: Any, *, extra_env: Any = None, **_: Any) -> Any:
        os.execve(cmd[0], cmd, os.environ | extra_env)

    mlflow.server._exec_cmd = become
    cli()


if __name__ == "__main__":
    main()
