"""The DAG folder, parsed once for all tests of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def parsed(tmp_path_factory) -> dict[str, Any]:
    """What `parse.py` found in dags/."""
    home = tmp_path_factory.mktemp("airflow")
    found = home / "found.json"
    answer = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("parse.py")), str(ROOT / "dags"), str(found)],
        env={
            **os.environ,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/none.db",
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return json.loads(found.read_text())
