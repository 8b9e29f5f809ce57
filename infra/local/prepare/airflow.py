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

    from infra.local.prepare.admin import ensure_admin

    with get_application_builder() as builder:
        builder.sm.sync_roles()
        ensure_admin(builder.sm, load_settings())


if __name__ == "__main__":
    main()
