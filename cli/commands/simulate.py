"""`cityloom simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.display import echo
from infra import contract


def main(
    city: Annotated[str, typer.Argument(help="The simulated city; there is one: demo.")] = "demo",
    days: Annotated[int, typer.Option("--days", min=0, help="Days to let pass.")] = 1,
    into: Annotated[Path | None, typer.Option(help="Folder of files; else the city's.")] = None,
) -> None:
    """Let days pass in the demo city: its departments' files grow, earlier rows change.

    Makes the files first where there are none (2023-01-01 to 2025-12-31); `--days 0` does only
    that. The next `cityloom run demo` loads what is new.

    Example: cityloom simulate demo --days 7
    """
    import simulator
    from extract.manifests import load_cities

    simulated = [known.city_id for known in load_cities().cities if known.simulated]
    if city not in simulated:
        raise typer.BadParameter(
            f"{city!r} is not simulated; simulated: {', '.join(simulated)}", param_hint="CITY"
        )
    folder = into or contract.drop_dir(city)
    before = simulator.last_day(folder)
    after = simulator.grow(folder, days)
    was = f"until {before}" if before else "absent"
    echo(f"{city}: files in {folder} hold data until {after} (before: {was})")
