"""`cityloom up`, `down`, `status`, `doctor`, `reset`, `env`: the deployment's servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.display import Json, echo, live, print_json, printable, table, wide_console

if TYPE_CHECKING:
    from infra.contract import StackStatus


def up(json: Json = False) -> None:
    """Start what does not run, wait until every server is well, and print their addresses.

    Example: cityloom up
    """
    from infra.contract import Server, operations

    with live("Starting Cityloom", stderr=json) as report:
        deployment = operations().up(report)
    servers: dict[str, Server] = {"Superset": "superset", "Airflow": "airflow", "MLflow": "mlflow"}
    user, place = deployment.user_and_place("superset")
    facts = {title: deployment.url(server) for title, server in servers.items()}
    facts |= {"Login": user, "Password in": place}
    if json:
        print_json(facts)
    else:
        wide_console().print(table(["", ""], list(facts.items()), show_header=False))


def down() -> None:
    """Stop every server; what is stored stays.

    Example: cityloom down
    """
    from infra.contract import operations

    with live("Stopping Cityloom") as report:
        operations().down(report)


def status(json: Json = False) -> None:
    """Show of each server whether it is up, its version, address, memory and restarts.

    Ends with 0 if, and only if, all are up. Example: cityloom status --json
    """
    from dataclasses import asdict

    from infra.contract import operations

    found = operations().status()
    if json:
        print_json(asdict(found))
    else:
        _print_status(found)
    raise typer.Exit(0 if found.up else 1)


def _print_status(found: StackStatus) -> None:
    from rich.text import Text

    rows: list[list[object]] = [
        [
            service.name,
            Text("up", "green")
            if service.up
            else Text(printable(f"down: {service.detail}"), "red"),
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
    echo(f"login      {found.admin_user}, password in {found.admin_password_file}")
    echo(f"data docs  file://{found.data_docs}")
    echo(f"logs       {found.logs}")


def doctor(json: Json = False) -> None:
    """Look for what commonly goes wrong, and say the remedy.

    Ends with 1 when something must be mended. Example: cityloom doctor
    """
    from dataclasses import asdict

    from infra.contract import operations

    findings = operations().examine()
    if json:
        print_json([asdict(finding) for finding in findings])
    else:
        colours = {"ok": typer.colors.GREEN, "warn": typer.colors.YELLOW, "bad": typer.colors.RED}
        for finding in findings:
            mark = typer.style(f"{finding.verdict:<4}", fg=colours[finding.verdict])
            typer.echo(f"{mark}  {printable(f'{finding.check}: {finding.found}')}")
            if finding.remedy:
                echo(f"      -> {finding.remedy}")
    raise typer.Exit(1 if any(finding.verdict == "bad" for finding in findings) else 0)


def reset(yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Stop everything and remove the state folder: database, models, passwords, logs.

    What an external database holds is left alone. Example: cityloom reset --yes
    """
    from infra.contract import operations
    from infra.home import cityloom_home

    local = operations()
    home = cityloom_home()
    if not home.exists():
        echo(f"nothing to remove: {home} does not exist")
        return
    if not yes:
        typer.confirm(f"Remove the warehouse and all other state in {home}?", abort=True)
    with live("Stopping Cityloom") as report:
        local.stop_whatever_runs(report)
    for line in local.remove_state():
        echo(line)


def env() -> None:
    """Print the variables that dbt's profile reads, for `dbt` by hand in `dbt_project/`.

    Example: eval "$(cityloom env)" && cd dbt_project && dbt build
    """
    import shlex

    from infra.contract import load_deployment
    from warehouse.dbt import environment

    for name, value in environment(load_deployment().database_url("warehouse")).items():
        print(f"export {name}={shlex.quote(value)}")
