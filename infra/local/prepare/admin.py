"""The admin login of Airflow and Superset, which both use Flask-AppBuilder.

Superset's environment reads this too: werkzeug is all that it needs.
"""

from __future__ import annotations

from typing import Any

from werkzeug.security import check_password_hash

from infra.local.settings import Settings


def ensure_admin(security: Any, settings: Settings) -> None:
    """Make the admin login where missing, and give it the current password.

    `security` is the application's security manager. Exits when the login cannot be made.
    """
    name, password = settings.admin_user, settings.admin_password
    user = security.find_user(name)
    if user is None:
        address, role = f"{name}@cityloom.invalid", security.find_role("Admin")
        if not security.add_user(name, "Cityloom", "Admin", address, role, password):
            raise SystemExit("the admin login could not be made; see the lines above")
    elif not check_password_hash(user.password, password):
        security.reset_password(user.id, password)
