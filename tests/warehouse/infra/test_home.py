"""The home is its owner's alone; the database's own user still reaches its folder."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest

from bench.server import free_port
from infra.local import postgres, services, stack
from infra.local.postgres import locate
from infra.local.state import decide_state, one_at_a_time

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


@pytest.fixture
def home(monkeypatch):
    """A home as an earlier version left it: open to everybody who can enter the machine."""
    folder = Path(tempfile.mkdtemp(prefix="cl-"))
    folder.chmod(0o755)
    home = folder / "home"
    monkeypatch.setenv("CITYLOOM_HOME", str(home))
    for name in ("drops/demo", "data_docs", "logs", "supervisor"):
        (home / name).mkdir(parents=True, mode=0o755)
        (home / name / "file").write_text("Jane Doe, jane@example.org")
        (home / name / "file").chmod(0o644)
    home.chmod(0o755)
    decide_state()
    yield home
    stack.down(lambda *_: None)
    stack.remove_state()
    shutil.rmtree(folder)


def can_read(path: Path) -> bool:
    """Whether a user who has nothing to do with Cityloom reads a file."""
    return subprocess.run(["cat", path], capture_output=True, user="nobody").returncode == 0


def test_up_and_down_close_an_open_home(home):
    with one_at_a_time():
        assert home.stat().st_mode & 0o777 == 0o700


@as_root
def test_another_user_of_the_machine_reads_nothing_of_it(home):
    """Whatever the modes of what lies in it, as a department's upload may leave it."""
    file = home / "drops" / "demo" / "file"
    assert can_read(file)
    with one_at_a_time():
        assert not can_read(file)


def put_inside(folder: Path) -> None:
    """Make a database what an earlier version left in a home: all of it the server's user's."""
    outside = folder.resolve()
    folder.unlink()
    shutil.move(outside, folder)
    for path in (*folder.glob("programs*"), folder / "postgresql.conf"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.chown(folder, postgres.SYSTEM_USER)
    folder.chmod(0o700)
    with (folder / "data" / "postgresql.conf").open("a") as settings:
        settings.write("\ninclude_if_exists = 'cityloom.conf'\n")
    (folder / "data" / "cityloom.conf").write_text("listen_addresses = 'no such host'\n")


@as_root
def test_database_of_an_open_home_moves_to_where_its_user_reaches_it(home):
    folder, port = home / "postgres", free_port()
    locate(folder, port).initialise("secret")
    put_inside(folder)
    with one_at_a_time():
        pass
    assert postgres.is_inside(folder)
    cluster = locate(folder, port)
    assert folder.is_symlink() and not postgres.is_inside(folder)
    assert not can_read(cluster.data / "PG_VERSION")
    cluster.initialise("secret")
    server = subprocess.Popen(
        cluster.command(), cwd="/", user=cluster.user, stderr=subprocess.DEVNULL
    )
    try:
        while not cluster.accepts():
            assert server.poll() is None
        with psycopg.connect(cluster.url("secret")) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
    finally:
        server.terminate()
        server.wait()


def test_supervised_servers_write_for_their_owner_only(home):
    settings = stack.settings_from(home, decide_state())
    text = services.supervisor_config(settings, services.environments(settings))
    assert "umask = 077" in text
