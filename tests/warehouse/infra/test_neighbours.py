"""Installations that start at once on one machine, each with its own database server."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from infra.home import ROOT

#: What `up` does until its database is there, and the questions to it.
START = """
import json, psycopg
from infra.home import cityloom_home
from infra.local import services, stack
from infra.local.ports import Reservations
from infra.local.settings import settings_from
from infra.local.state import decide_state, one_at_a_time
from infra.local.supervise import Supervisor

with one_at_a_time(), Reservations() as reservations:
    settings = settings_from(cityloom_home(), decide_state(reservations=reservations))
    supervisor = Supervisor()
    environments = services.environments(settings)
    supervisor.apply(services.supervisor_config(settings, environments))
    stack.Start(settings, supervisor, lambda *_: None).database()
with psycopg.connect(settings.database_url("analyst")) as connection:
    loads = connection.execute("select count(*) from quality.loads").fetchone()[0]
restarts = supervisor.log.read_text().count(" exited: ")
stack.down(lambda *_: None)
stack.remove_state()
print(json.dumps({"port": settings.ports["postgres"], "loads": loads, "restarts": restarts}))
"""


@pytest.fixture
def homes():
    with tempfile.TemporaryDirectory(prefix="cl-") as folder:
        yield [Path(folder) / name for name in "abc"]


def test_three_that_start_at_once_have_a_server_each(homes):
    starting = [
        subprocess.Popen(
            [sys.executable, "-c", START],
            cwd=ROOT,
            env={**os.environ, "CITYLOOM_HOME": str(home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for home in homes
    ]
    ended = [process.communicate() for process in starting]
    assert [process.returncode for process in starting] == [0, 0, 0], ended
    answers = [json.loads(output.splitlines()[-1]) for output, _ in ended]
    assert len({answer["port"] for answer in answers}) == 3
    assert [answer["loads"] for answer in answers] == [0, 0, 0]
    assert [answer["restarts"] for answer in answers] == [0, 0, 0]
