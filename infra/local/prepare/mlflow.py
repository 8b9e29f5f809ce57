"""MLflow's tables and admin login after a new version or password, or on another server.

A first start makes both itself.

Run as `python -m infra.local.prepare.mlflow` with the environment of MLflow's server: MLflow's own
command would want the address, password and all, on the command line.
"""

from __future__ import annotations

import os

from infra.local.settings import load_settings


def main() -> None:
    """Migrate the tracking tables to the installed version; give the login its password."""
    from mlflow.server.auth.config import read_auth_config
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore
    from mlflow.store.db.utils import (
        _initialize_tables,
        _is_empty_database,
        _upgrade_db,
        create_sqlalchemy_engine_with_retry,
    )

    engine = create_sqlalchemy_engine_with_retry(os.environ["MLFLOW_BACKEND_STORE_URI"])
    (_initialize_tables if _is_empty_database(engine) else _upgrade_db)(engine)
    store = SqlAlchemyStore()
    store.init_db(read_auth_config().database_uri)
    settings = load_settings()
    if store.has_user(settings.admin_user):
        store.update_user(settings.admin_user, password=settings.admin_password)


if __name__ == "__main__":
    main()
