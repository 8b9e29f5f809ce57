"""`cityloom status`."""

from __future__ import annotations

from typing import Annotated

import typer


def main(
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Say of each server whether it is up, its version, address, memory and restarts.

    Ends with 0 if, and only if, all are up. Example: cityloom status --json
    """
    from infra.stack import as_json, status

    found = status()
    if json:
        from json import dumps

        typer.echo(dumps(as_json(found), indent=2))
    else:
        _print(found)
    raise typer.Exit(0 if found.up else 1)


def _print(found) -> None:
    from rich.table import Table

    from cli.display import wide_console

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("service", "", "version", "address", "pid"):
        table.add_column(column, no_wrap=column == "address")
    table.add_column("memory", justify="right")
    table.add_column("restarts", justify="right")
    for service in found.services:
        table.add_row(
            service.name,
            "[green]up[/]" if service.up else f"[red]down: {service.detail}[/]",
            service.version,
            service.url or "",
            str(service.pid or ""),
            f"{service.memory_mb:,.0f} MB" if service.pid else "",
            str(service.restarts) if service.restarts else "",
        )
    table.add_row("total", "", "", "", "", f"{found.memory_mb:,.0f} MB", "", style="bold")
    console = wide_console()
    console.print(table)
    console.print(f"login      {found.admin_user}, password in {found.admin_password_file}")
    console.print(f"data docs  file://{found.data_docs}", soft_wrap=True)
    console.print(f"logs       {found.logs}", soft_wrap=True)
