"""Parses a DAG folder as Airflow's DAG processor does; writes what it found as JSON.

A process of its own, because what the parse imports is one of the facts.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

folder = Path(sys.argv[1])
before = set(sys.modules)
started = time.process_time()
bag = DagBag(folder)
seconds = time.process_time() - started
imported = sorted({name.partition(".")[0] for name in set(sys.modules) - before})


def uris(condition):
    """URIs of all assets in a condition, however nested."""
    if condition is None:
        return []
    nested = getattr(condition, "objects", None)
    return [condition.uri] if nested is None else [uri for part in nested for uri in uris(part)]


def condition(timetable):
    """The assets that start a DAG, as text: `A`, `any of A, B` or `all of A, B`."""
    asked = getattr(timetable, "asset_condition", None)
    kind = {"AssetAny": "any of ", "AssetAll": "all of "}.get(type(asked).__name__, "")
    return kind + ", ".join(sorted(uris(asked)))


def facts(dag):
    kept = DagSerialization.to_dict(dag)
    timetable = dag.timetable
    return {
        "file": Path(dag.fileloc).name,
        "doc": dag.doc_md or "",
        "description": dag.description or "",
        "tags": sorted(dag.tags),
        "paused_at_first": dag.is_paused_upon_creation,
        "max_active_runs": dag.max_active_runs,
        "catchup": dag.catchup,
        "cron": getattr(timetable, "_expression", None) or getattr(timetable, "expression", None),
        "time_zone": str(getattr(timetable, "timezone", getattr(timetable, "_timezone", None))),
        "waits_for": sorted(uris(getattr(timetable, "asset_condition", None))),
        "condition": condition(timetable),
        "params": sorted(dag.params),
        "serialised_bytes": len(json.dumps(kept)),
        "tasks": {
            task.task_id: {
                "owner": task.owner,
                "retries": task.retries,
                "delay": task.retry_delay.total_seconds(),
                "operator": task.custom_operator_name
                if hasattr(task, "custom_operator_name")
                else task.operator_name,
                "queue": task.queue,
                "outlets": [asset.uri for asset in task.outlets],
                "doc": task.doc_md or task.python_callable.__doc__,
                "after": sorted(task.upstream_task_ids),
            }
            for task in dag.tasks
        },
    }


found = {
    "errors": bag.import_errors,
    "warnings": {file: list(messages) for file, messages in bag.captured_warnings.items()},
    "seconds": seconds,
    "imported": imported,
    "dags": {dag_id: facts(dag) for dag_id, dag in bag.dags.items()},
}
Path(sys.argv[2]).write_text(json.dumps(found))
