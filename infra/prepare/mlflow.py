"""MLflow's tables after a new version; a first start makes them by itself.

Run as `python -m infra.prepare.mlflow` with `MLFLOW_BACKEND_STORE_URI` set: MLflow's own command
would want the address, password and all, on the command line.
"""

from __future__ import annotations

import os


def main() -> None:
    """Migrate the tracking tables to the installed version."""
    from mlflow.store.db.utils import _upgrade_db, create_sqlalchemy_engine_with_retry

    _upgrade_db(create_sqlalchemy_engine_with_retry(os.environ["MLFLOW_BACKEND_STORE_URI"]))


if __name__ == "__main__":
    main()
