"""`cityloom status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.display import print_json, printable, table, wide_console

if TYPE_CHECKING:
    from infra.contract import StackStatus


def main(
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Say of each server whether it is up, its version, address, memory and restarts.

    Ends with 0 if, and only if, all are up. Example: cityloom status --json
    """
    from infra.contract import operations

    found = operations().status()
    if json:
        from dataclasses import asdict

        print_json(asdict(found))
    else:
        _print(found)
    raise typer.Exit(0 if found.up else 1)


def _print(found: StackStatus) -> None:
    from rich.text import Text

    rows: list[list[object]] = [
        [
            service.name,
            Text("up", "green")
            if service.up
            else Text(f"down: {printable(service.detail)}", "red"),
            service.version,
            service.url,
            service.pid,
            Text(f"{service.memory_mb:,.0f} MB" if service.pid else "", justify="right"),
            service.restarts or None,
        ]
        for service in found.services
    ]
    memory = Text(f"{found.memory_mb:,.0f} MB", "bold", justify="right")
    rows.append([Text("total", "bold"), "", "", "", None, memory, None])
    console = wide_console()
    console.print(table(["service", "", "version", "address", "pid", "memory", "restarts"], rows))
    console.print(f"login      {found.admin_user}, password in {found.admin_password_file}")
    console.print(f"data docs  file://{found.data_docs}", soft_wrap=True)
    console.print(f"logs       {found.logs}", soft_wrap=True)
