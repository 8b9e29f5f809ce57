"""A test run that is told to terminate leaves no server behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time

from infra.home import ROOT

SERVER = """
import subprocess, sys, time
import pytest

@pytest.fixture
def server():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    open("pid", "w").write(f"{process.pid}\\n")
    yield
    process.kill()
    open("ended", "w").close()

def test_that_takes_long(server):
    time.sleep(600)
"""


def test_fixtures_of_a_terminated_run_end_their_servers(tmp_path):
    (tmp_path / "test_server.py").write_text(SERVER)
    options = ["-p", "tests.conftest", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    command = [sys.executable, "-m", "pytest", "-q", *options, str(tmp_path)]
    run = subprocess.Popen(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL
    )
    try:
        while run.poll() is None and not (tmp_path / "pid").is_file():
            time.sleep(0.1)
        run.send_signal(signal.SIGTERM)
        run.wait()
    finally:
        run.kill()
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert (tmp_path / "ended").is_file()
