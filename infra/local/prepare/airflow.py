"""Airflow's metadata tables and its admin login, in one process instead of three commands.

Run as `python -m infra.local.prepare.airflow` with `AIRFLOW_HOME` and `CITYLOOM_HOME` set.
"""

from __future__ import annotations

from infra.local.settings import load_settings


def main() -> None:
    """Migrate the database and make (or give the current password to) the admin login."""
    from airflow.utils import db  # noqa: TID251 - this module is the server's own set-up

    db.upgradedb()

    from airflow.providers.fab.auth_manager.cli_commands.utils import (  # noqa: TID251
        get_application_builder,
    )
    from werkzeug.security import check_password_hash

    settings = load_settings()
    with get_application_builder() as builder:
        security = builder.sm
        security.sync_roles()
        user = security.find_user(settings.admin_user)
        if user is None:
            made = security.add_user(
                settings.admin_user,
                "Cityloom",
                "Admin",
                f"{settings.admin_user}@cityloom.invalid",
                security.find_role("Admin"),
                settings.admin_password,
            )
            if not made:
                raise SystemExit("Airflow's admin login could not be made; see the lines above")
        elif not check_password_hash(user.password, settings.admin_password):
            security.reset_password(user.id, settings.admin_password)


if __name__ == "__main__":
    main()
