"""What each server's database needs before its first start and after a new version or password.

Run as `python -m infra.local.prepare <family>` with the environment of the family's server, by
Superset's own interpreter for Superset: in one process instead of three commands, and with no
password on a command line.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from infra.local.settings import load_settings

#: Of Superset's role for readers, Gamma, what pages need: they are read, filtered, shared and saved
#: as files. Gamma may also make charts, tag, and list each table's columns.
PAGE_READER = frozenset(
    f"can {what} on {resource}"
    for what, resources in {
        "read": (
            "AdvancedDataType AvailableDomains Chart CssTemplate CurrentUserRestApi Dashboard "
            "DashboardFilterStateRestApi DashboardPermalinkRestApi Dataset EmbeddedDashboard "
            "Explore ExploreFormDataRestApi ExplorePermalinkRestApi SecurityRestApi Theme security"
        ),
        # The state of filters, and links to it; no chart or page.
        "write": (
            "DashboardFilterStateRestApi DashboardPermalinkRestApi ExploreFormDataRestApi "
            "ExplorePermalinkRestApi"
        ),
        "get": "Datasource MenuApi",
        "list": "AsyncEventsRestApi",
        "csv": "Superset",
        "dashboard": "Superset",
        "dashboard permalink": "Superset",
        "explore": "Superset",
        "explore json": "Superset",
        "fetch datasource metadata": "Superset",
        "language pack": "Superset",
        "log": "Superset",
        "share chart": "Superset",
        "share dashboard": "Superset",
        "slice": "Superset",
        "drill": "Dashboard",
        "view chart as table": "Dashboard",
        "view query": "Dashboard",
        "get drill info": "Dataset",
        "query": "Api",
        "query form data": "Api",
        "time range": "Api",
        "recent activity": "Log",
        "userinfo": "UserDBModelView",
    }.items()
    for resource in resources.split()
) | {"menu access on Home", "menu access on Dashboards", "menu access on Charts"}


def airflow() -> None:
    """Migrate Airflow's metadata tables; sync its roles and make the admin login."""
    from airflow.utils import db  # noqa: TID251 - this module is the server's own set-up

    db.upgradedb()

    from airflow.providers.fab.auth_manager.cli_commands.utils import (  # noqa: TID251
        get_application_builder,
    )

    with get_application_builder() as builder:
        builder.sm.sync_roles()
        hidden = ("Task Logs", "XComs")  # may name what the rows hold
        make_role(builder.sm, "data_engineer", ("Op",))
        make_role(builder.sm, "ml_engineer", ("User",))
        for role in ("analyst", "cio"):
            make_role(builder.sm, role, ("Viewer",), without=hidden)
        for role in ("reader_open", "department_head"):
            make_role(builder.sm, role, ())
        ensure_admin(builder.sm)


def mlflow() -> None:
    """Migrate MLflow's tables; give the admin login its password. A first start makes both."""
    from mlflow.db import commands
    from mlflow.server.auth.config import read_auth_config
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

    commands(["upgrade", os.environ["MLFLOW_BACKEND_STORE_URI"]], standalone_mode=False)
    store = SqlAlchemyStore()
    store.init_db(read_auth_config().database_uri)
    settings = load_settings()
    if store.has_user(settings.admin_user):
        store.update_user(settings.admin_user, password=settings.admin_password)


def superset() -> None:
    """Migrate Superset's tables; make its roles, permissions and the admin login."""
    from superset.app import create_app

    with create_app().app_context():
        from flask_migrate import upgrade
        from sqlalchemy import text
        from superset import appbuilder, security_manager
        from superset.extensions import db
        from superset.models.core import Database

        upgrade(directory=str(Path(sys.modules["superset"].__file__ or "").parent / "migrations"))
        # An external server keeps the databases' passwords over a `cityloom reset`, which removes
        # the key; Superset cannot even list its databases then. The next push stores them again.
        try:
            db.session.query(Database.password, Database.encrypted_extra).all()
        except ValueError:
            db.session.rollback()
            db.session.execute(text("update dbs set password = null, encrypted_extra = null"))
            print("passwords of databases were encrypted with another key: removed")
        appbuilder.add_permissions(update_perms=True)
        security_manager.sync_role_definitions()
        # Which rows a role reads is the warehouse's to decide, so each reaches all datasets.
        every_dataset = ("all_datasource_access", "all_datasource_access")
        for role in ("reader_open", "department_head", "cio"):
            make_role(security_manager, role, ("Gamma",), add=every_dataset, only=PAGE_READER)
        for role in ("analyst", "data_engineer", "ml_engineer"):
            make_role(security_manager, role, ("Alpha", "sql_lab"))
        ensure_admin(security_manager)
        db.session.commit()


def make_role(
    security: Any,
    name: str,
    like: tuple[str, ...],
    *,
    add: tuple[str, str] | None = None,
    without: tuple[str, ...] = (),
    only: frozenset[str] | None = None,
) -> None:
    """Make a role of Flask-AppBuilder with the permissions of others, or bring it to that.

    `add`: one more permission, and what it is on. `without`: resources that it has none on.
    `only`: the permissions that it may have of them, as Flask-AppBuilder prints them.
    """
    role = security.find_role(name) or security.add_role(name)
    wanted = {p for other in like for p in security.find_role(other).permissions}
    wanted = {p for p in wanted if not str(p).endswith(without)} if without else wanted
    if only is not None:
        wanted = {p for p in wanted if str(p) in only}
    if add:
        wanted.add(security.find_permission_view_menu(*add))
    role.permissions = list(wanted)


def ensure_admin(security: Any) -> None:
    """Make the admin login where missing, and give it the current password.

    `security` is the security manager of Flask-AppBuilder, which Airflow and Superset both use.
    Exits when the login cannot be made.
    """
    from werkzeug.security import check_password_hash

    settings = load_settings()
    name, password = settings.admin_user, settings.admin_password
    user = security.find_user(name)
    if user is None:
        address, role = f"{name}@cityloom.invalid", security.find_role("Admin")
        if not security.add_user(name, "Cityloom", "Admin", address, role, password):
            raise SystemExit("the admin login could not be made; see the lines above")
    elif not check_password_hash(user.password, password):
        security.reset_password(user.id, password)


if __name__ == "__main__":
    {"airflow": airflow, "mlflow": mlflow, "superset": superset}[sys.argv[1]]()
