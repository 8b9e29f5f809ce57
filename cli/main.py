"""The `cityloom` command: a table of commands, each a function of a module in `cli/commands/`.

A module imports what is heavy inside its functions, so that `cityloom --help` is quick.
"""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from typing import Any

import typer

from catalog.text import printable
from infra.home import ROOT

#: Name to module and function (or the `typer.Typer` of a command with commands of its own), in
#: the order of `cityloom --help`. To add a command: write its function, add its name.
COMMANDS = {
    "up": "stack:up",
    "down": "stack:down",
    "status": "stack:status",
    "run": "run:main",
    "loads": "loads:main",
    "sources": "sources:app",
    "kpi": "kpi:app",
    "sql": "sql:main",
    "env": "stack:env",
    "dashboards": "dashboards:app",
    "users": "users:app",
    "audit": "audit:main",
    "doctor": "stack:doctor",
    "reset": "stack:reset",
    "simulate": "simulate:main",
    "train": "models:train",
    "models": "models:app",
    "score": "models:score",
}

FULL = "free some space, or set CITYLOOM_HOME to a larger disk"
FORBIDDEN = "run as its owner, or set CITYLOOM_HOME to a folder that you may write to"
UNREACHABLE = "`cityloom doctor` finds the cause, `cityloom up` starts servers and restores logins"
#: What a machine refuses, and the remedy.
MACHINE_ERRORS = dict.fromkeys([errno.ENOSPC, errno.EDQUOT], FULL)
MACHINE_ERRORS |= dict.fromkeys([errno.EROFS, errno.EACCES, errno.EPERM], FORBIDDEN)


def build() -> typer.Typer:
    """Return the application with every command of `COMMANDS`."""
    app = typer.Typer(
        name="cityloom",
        help="Batch analytics for cities. State lives under CITYLOOM_HOME (default .cityloom/).",
        epilog="Example: `cityloom up`, then `cityloom run demo`",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name in COMMANDS:
        command = find(name)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def find(name: str) -> Any:
    """Return the function, or the `typer.Typer`, of a command."""
    module, _, attribute = COMMANDS[name].partition(":")
    return getattr(import_module(f"cli.commands.{module}"), attribute)


def main() -> None:
    """Run the command line; a known error prints its message and ends with 1."""
    # What is made here (drops, reports, logs) is for its owner only.
    os.umask(0o077)
    try:
        build()()
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        typer.secho(f"error: {printable(message)}", fg=typer.colors.RED, err=True)
        sys.exit(1)


def explain(error: Exception) -> str | None:
    """Return the message for the user of an error, or None for one that is a defect.

    An exception class that a package of this checkout defines carries a message for people.
    """
    room = type(error).__module__.partition(".")[0]
    if (ROOT / room / "__init__.py").is_file():
        return str(error)
    bases = [base.__name__ for base in type(error).__mro__]
    if room == "psycopg" and "OperationalError" in bases:
        return f"{str(error).strip()}\n{FULL if 'DiskFull' in bases else UNREACHABLE}"
    if isinstance(error, OSError) and error.errno in MACHINE_ERRORS:
        place = error.filename or "a file could not be written"
        return f"{error.strerror}: {place}; {MACHINE_ERRORS[error.errno]}"
    return None


if __name__ == "__main__":
    main()
