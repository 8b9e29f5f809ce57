"""`cityloom reset`."""

from __future__ import annotations

from typing import Annotated

import typer


def main(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Stop everything and remove the state folder: database, models, passwords, logs.

    What an external database holds is left alone. Example: cityloom reset --yes
    """
    from cli.display import live
    from infra.settings import cityloom_home
    from infra.stack import remove_state, stop_whatever_runs

    home = cityloom_home()
    if not home.exists():
        typer.echo(f"nothing to remove: {home} does not exist")
        return
    if not yes:
        typer.confirm(f"Remove the warehouse and all other state in {home}?", abort=True)
    with live("Stopping Cityloom") as report:
        stop_whatever_runs(report)
    for said in remove_state():
        typer.echo(said)
