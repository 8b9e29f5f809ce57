"""MLflow's server with logins, whose pages show model training.

By default they show language models' traces, an assistant that needs such a model, and a note that
usage data is collected, also where `MLFLOW_DISABLE_TELEMETRY` stops that. Each page sets other
defaults in the browser before its own scripts run; a person's later choice stays. The assistant has
no setting that switches it off: its button is hidden.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any

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
    from mlflow.server import app
    from mlflow.server.auth import create_app as with_logins

    @app.after_request
    def set_defaults(response: Any) -> Any:
        if response.mimetype == "text/html":
            response.direct_passthrough = False
            page = response.get_data()
            response.set_data(re.sub(rb"<head[^>]*>", lambda m: m[0] + SCRIPT, page, count=1))
        return response

    return with_logins(app)


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
