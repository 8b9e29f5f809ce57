"""Imported by every process of Airflow; does something in the scheduler only.

With LocalExecutor each task is a process forked, by way of a worker, from the scheduler. What the
scheduler has imported when the workers are forked, no task imports again: seconds of CPU each.
Only libraries: each task must import the rooms' current code. They are imported and not used:
use may start threads, which a forked process does not have.
"""

import gc
import inspect
import os
import warnings
from importlib import import_module

LIBRARIES = (
    "airflow.dag_processing.dagbag",
    "airflow.providers.standard.decorators.short_circuit",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "adbc_driver_postgresql.dbapi",
    "psycopg",
    "psycopg.types.json",
    "pyarrow.compute",
    "pyarrow.csv",
    "sqlalchemy.dialects.postgresql",
    "psycopg2",
    "dbt.cli.main",
    "dbt.adapters.postgres",
    "dbt.compilation",
    "dbt.task.build",
    "dbt.task.retry",
    "dbt_common.clients.agate_helper",
    # Great Expectations, by the door that leaves half of it out.
    "expectations.slim_gx",
    "great_expectations.data_context.types.base",
    "great_expectations.render.renderer.page_renderer",
    "great_expectations.render.view.view",
    "great_expectations.validator.metric_configuration",
)

if os.environ.get("CITYLOOM_PRELOAD"):
    for _name in LIBRARIES:
        try:
            import_module(_name)
        except Exception as error:  # the task that needs it fails with the details
            warnings.warn(f"{_name} is not preloaded: {error}", stacklevel=1)
    # dbt asks who calls it as it starts; the index of all modules by file is made once, here.
    inspect.stack()
    # What stays for ever is taken away from the garbage collector of each fork.
    gc.collect()
    gc.freeze()
