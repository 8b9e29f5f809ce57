"""Superset's settings; read by `superset.config` through SUPERSET_CONFIG_PATH.

Runs in Superset's own environment, which has few of the platform's packages:
`infra.local.settings` needs only the standard library.
"""

from __future__ import annotations

from typing import Any

from infra.local.settings import load_settings
from infra.local.superset.readers import (
    ReaderSecurityManager,
    connect_as_reader,
    export_as_reader,
    hide_people,
    only_oneself,
)

_settings = load_settings()

SECRET_KEY = _settings.secret("superset_secret_key", length=42)
SQLALCHEMY_DATABASE_URI = _settings.database_url("superset", "psycopg2")
SQLALCHEMY_ENGINE_OPTIONS = {"pool_size": 8, "max_overflow": 8, "pool_pre_ping": True}

# The same host carries Airflow and MLflow, and cookies do not know ports.
SESSION_COOKIE_NAME = "cityloom_superset"
# The server is reached on loopback, by http.
TALISMAN_ENABLED = True
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        # Nothing from outside: maps' tiles and avatars are not asked for either.
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "object-src": "'none'",
        "style-src": ["'self'", "'unsafe-inline'"],
        "font-src": ["'self'", "data:"],
        "script-src": ["'self'", "'strict-dynamic'"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "force_https": False,
    "session_cookie_secure": False,
}

_CACHE = {
    "CACHE_TYPE": "FileSystemCache",
    "CACHE_DIR": str(_settings.home / "superset" / "cache"),
    "CACHE_DEFAULT_TIMEOUT": 7 * 24 * 3600,
}
# Answers to charts. `ReaderSecurityManager` makes their keys: of a reader's login on the warehouse
# and of the tables' builds, so that they are dropped when data or rights change.
DATA_CACHE_CONFIG = {
    **_CACHE,
    "CACHE_KEY_PREFIX": "data_",
    "CACHE_DIR": str(_settings.home / "superset" / "answers"),
    "CACHE_DEFAULT_TIMEOUT": 24 * 3600,
    "CACHE_THRESHOLD": 5000,
}
# The warehouse answers each reader as the reader's own role; a cached answer is of one role.
DB_CONNECTION_MUTATOR = connect_as_reader
CUSTOM_SECURITY_MANAGER = ReaderSecurityManager
if _settings.single_sign_on:
    from infra.local.sign_in.fab import flask_settings
    from infra.local.superset.sign_in import SignInSecurityManager

    CUSTOM_SECURITY_MANAGER = SignInSecurityManager
    globals().update(flask_settings(_settings))
# Who has a login is for administrators.
EXTRA_RELATED_QUERY_FILTERS = {"user": only_oneself}

# What a dashboard's filters hold, kept over a restart.
FILTER_STATE_CACHE_CONFIG = {**_CACHE, "CACHE_KEY_PREFIX": "filter_"}
EXPLORE_FORM_DATA_CACHE_CONFIG = {**_CACHE, "CACHE_KEY_PREFIX": "explore_"}

# The browser test and the push log in more often than a person would.
RATELIMIT_ENABLED = False
APP_NAME = "Cityloom"
SUPERSET_WEBSERVER_TIMEOUT = 120
# The warehouse is on loopback; a chart that hangs must not hold a thread for ever.
SQLLAB_TIMEOUT = 60

#: Superset's own are too pale to read for many (WCAG 2.2 asks for a contrast of 4.5).
COLOURS = {
    **{"colorPrimary": "#1b7089", "colorPrimaryBg": "#e4f1f2", "colorPrimaryBgHover": "#d3e8eb"},
    **{"colorLink": "#1b7089", "colorTextPlaceholder": "#6b6b6b"},
}


VIEWPORT = b'<meta name="viewport" content="width=device-width, initial-scale=1">'


def FLASK_APP_MUTATOR(app: Any) -> None:
    """Have pages readable: darker colours, and a language for programs that read them aloud.

    And keep the list of users from all but administrators, have timelines show events, and serve
    the page that explains a figure.
    """
    # They import models, for which the application must be there.
    from infra.local.superset.events import show_events
    from infra.local.superset.explain import blueprint

    hide_people(app)
    export_as_reader()
    show_events()
    app.register_blueprint(blueprint)
    app.config["THEME_DEFAULT"]["token"] |= COLOURS

    @app.after_request
    def name_language(response: Any) -> Any:
        if response.mimetype == "text/html" and not response.direct_passthrough:
            page = response.get_data()
            page = page.replace(b"<html>", b'<html lang="en">', 1)
            # Without it a phone shows the page of a desktop, made small.
            if b'name="viewport"' not in page:
                page = page.replace(b"<head>", b"<head>" + VIEWPORT, 1)
            response.set_data(page)
        return response
