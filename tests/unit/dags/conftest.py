"""The DAG folder, parsed once for all tests of it."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]


def parse(root: Path, home: Path) -> dict[str, Any]:
    """Return what `parse.py` finds in the DAG folder of a checkout; `home` is Airflow's."""
    found = home / "found.json"
    answer = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("parse.py")), str(root / "dags"), str(found)],
        env={
            **os.environ,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/none.db",
            "PYTHONPATH": str(root),
        },
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return json.loads(found.read_text())


@pytest.fixture(scope="session", autouse=True)
def airflow_home(tmp_path_factory):
    """Airflow makes its home when it is first imported: not in the home of who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_HOME", str(tmp_path_factory.mktemp("airflow")))
        yield


@pytest.fixture(scope="session")
def parsed(tmp_path_factory) -> dict[str, Any]:
    """What `parse.py` found in dags/; the first of xdist's processes that asks parses for all."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    found = folder / "parsed_dags.json"
    with (folder / "parsed_dags.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not found.is_file():
            found.write_text(json.dumps(parse(ROOT, tmp_path_factory.mktemp("airflow"))))
    return json.loads(found.read_text())


@pytest.fixture(scope="session")
def parse_changed(changed_checkout, tmp_path_factory) -> Callable[[dict[str, str]], dict[str, Any]]:
    """Parses the DAG folder of a copy of this checkout in which some files have another text."""
    return lambda changed: parse(changed_checkout(changed), tmp_path_factory.mktemp("airflow"))
