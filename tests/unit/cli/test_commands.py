import errno
import os
import subprocess
import sys
from types import SimpleNamespace

import psycopg
import pytest
from typer.testing import CliRunner

from cli import main as cli
from extract.errors import ExtractError
from infra import contract
from infra.home import NotSetUp

#: None of these may be loaded to print help.
HEAVY = ("pandas", "polars", "pyarrow", "psycopg", "torch", "mlflow", "great_expectations", "dlt")


def test_help_is_quick_because_commands_import_lazily():
    program = (
        "import sys; from cli.main import build; build();"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert shown.stdout.strip() == "[]", shown.stderr


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_each_command_helps_with_an_example(command):
    runner = CliRunner()
    shown = runner.invoke(cli.build(), [command, "--help"]).output
    assert "Example" in shown
    for info in getattr(cli.find(command), "registered_commands", ()):
        name = info.name or info.callback.__name__
        assert "Example" in runner.invoke(cli.build(), [command, name, "--help"]).output


def test_reset_asks_the_deployment_where_its_state_is(tmp_path, monkeypatch):
    monkeypatch.setenv("CITYLOOM_HOME", str(tmp_path))
    elsewhere = SimpleNamespace(state_dir=lambda: tmp_path / "elsewhere")
    monkeypatch.setattr(contract, "operations", lambda: elsewhere)
    done = CliRunner().invoke(cli.build(), ["reset"], catch_exceptions=False)
    assert done.output == f"nothing to remove: {tmp_path / 'elsewhere'} does not exist\n"


def test_known_error_is_a_message_and_a_defect_is_not():
    assert cli.explain(NotSetUp("start it")) == "start it"
    assert "cityloom up" in cli.explain(psycopg.OperationalError("connection refused"))
    assert cli.explain(ZeroDivisionError()) is None


def test_what_the_machine_refuses_is_a_message_with_a_remedy(tmp_path):
    full = OSError(errno.ENOSPC, "No space left on device", "/a/b")
    assert "/a/b; free some space" in cli.explain(full)
    assert "run as its owner" in cli.explain(PermissionError(errno.EACCES, "Denied", "/a"))
    assert cli.explain(FileNotFoundError(errno.ENOENT, "No such file", "/a")) is None
    assert "cityloom up" in cli.explain(psycopg.errors.AdminShutdown("terminating connection"))
    assert "free some space" in cli.explain(psycopg.errors.DiskFull("could not extend file"))


@pytest.fixture
def umask():
    """The process's umask, which `main` narrows, as it was before."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_an_error_cannot_command_the_terminal(umask, monkeypatch, capsys):
    def fail(*_):
        raise ExtractError("drops/\x1b[2J\udcffx.csv", "is empty", "send it again")

    monkeypatch.setattr(cli, "build", lambda: fail)
    with pytest.raises(SystemExit):
        cli.main()
    error = capsys.readouterr().err
    assert error.startswith("error: ") and r"drops/\x1b[2J\udcffx.csv" in error


def test_what_a_command_makes_is_its_users_alone(umask, tmp_path, monkeypatch):
    monkeypatch.setenv("CITYLOOM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(sys, "argv", ["cityloom", "status"])
    with pytest.raises(SystemExit):
        cli.main()
    assert os.umask(0) == 0o077
