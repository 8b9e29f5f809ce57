"""MLflow's server with logins, whose pages do not announce a collection of usage data.

`MLFLOW_DISABLE_TELEMETRY` stops the collection, but not the announcement on the first page: that
hangs on what the browser keeps under `mlflow.telemetry.info.alert.dismissed_v1`. A page sets both
its switches before the others of its scripts run.
"""

from __future__ import annotations

import re
from typing import Any

SWITCHES = (
    b"<script>"
    b"localStorage.setItem('mlflow.telemetry.info.alert.dismissed_v1', 'true');"
    b"localStorage.setItem('mlflow.settings.telemetry.enabled_v1', 'false');"
    b"</script>"
)


def create_app() -> Any:
    """Return the application that `mlflow server --app-name cityloom` runs."""
    from mlflow.server import app
    from mlflow.server.auth import create_app as with_logins

    @app.after_request
    def switch_off(response: Any) -> Any:
        if response.mimetype == "text/html":
            response.direct_passthrough = False
            page = response.get_data()
            response.set_data(re.sub(rb"<head[^>]*>", lambda m: m[0] + SWITCHES, page, count=1))
        return response

    return with_logins(app)
