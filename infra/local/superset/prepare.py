"""Superset's tables, roles and admin login, in one process instead of three commands.

Run by Superset's own interpreter with `SUPERSET_CONFIG_PATH` set.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from infra.local.prepare.admin import ensure_admin
from infra.local.settings import load_settings


def main() -> None:
    """Migrate the database, make roles and permissions, and the admin login."""
    from superset.app import create_app

    app = create_app()
    with app.app_context():
        from flask_migrate import upgrade
        from superset import appbuilder, security_manager
        from superset.extensions import db

        upgrade(directory=str(Path(sys.modules["superset"].__file__).parent / "migrations"))
        drop_unreadable_passwords(db.session)
        appbuilder.add_permissions(update_perms=True)
        security_manager.sync_role_definitions()
        ensure_admin(security_manager, load_settings())
        db.session.commit()


def drop_unreadable_passwords(session) -> None:
    """Remove the databases' passwords when they were encrypted with another key than ours.

    An external server keeps them over a `cityloom reset`, which removes the key; Superset cannot
    even list its databases then. The next push of dashboards stores the password again.
    """
    from sqlalchemy import text
    from superset.models.core import Database

    try:
        session.query(Database.password, Database.encrypted_extra).all()
    except ValueError:
        session.rollback()
        session.execute(text("update dbs set password = null, encrypted_extra = null"))
        session.commit()
        print("passwords of databases were encrypted with another key: removed")


if __name__ == "__main__":
    main()
