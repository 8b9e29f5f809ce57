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
    from infra.contract import operations
    from infra.home import cityloom_home

    local = operations()
    home = cityloom_home()
    if not home.exists():
        typer.echo(f"nothing to remove: {home} does not exist")
        return
    if not yes:
        typer.confirm(f"Remove the warehouse and all other state in {home}?", abort=True)
    with live("Stopping Cityloom") as report:
        local.stop_whatever_runs(report)
    for said in local.remove_state():
        typer.echo(said)
