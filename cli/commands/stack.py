"""`cityloom up`, `down`, `status`, `doctor`, `reset`, `env`: the deployment's servers."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from cli.display import Json, Screen, echo, print_json, print_table, styled, wide_console
from infra import contract


def up(json: Json = False) -> None:
    """Start what does not run, wait until every server is healthy, and print their addresses.

    Example: cityloom up
    """
    with Screen(stderr=json) as screen:
        deployment = contract.operations().up(screen.show_step)
    user, place = deployment.user_and_place("superset")
    facts = addresses(deployment) | {"Login": user, "Password in": place}
    if json:
        print_json(facts)
    else:
        print_table(["", ""], facts.items(), show_header=False)


def addresses(deployment: contract.Deployment) -> dict[str, str]:
    """Return where a person looks next."""
    from dashboards.code import load_dashboards

    superset = deployment.url("superset")
    boards = {d.title: f"{superset}/superset/dashboard/{d.slug}/" for d in load_dashboards()}
    return {
        **boards,
        "Superset": superset,
        "Airflow": deployment.url("airflow"),
        "MLflow": deployment.url("mlflow"),
        "Data docs": deployment.reports_address,
    }


def down() -> None:
    """Stop every server; what is stored stays.

    Example: cityloom down
    """
    with Screen() as screen:
        contract.operations().down(screen.show_step)


def status(json: Json = False) -> None:
    """Show of each server whether it is up, its version, address and memory.

    Ends with 0 if, and only if, all are up. Example: cityloom status --json
    """
    found = contract.operations().status()
    if json:
        print_json(found)
    else:
        _print_status(found)
    raise typer.Exit(0 if found.up else 1)


def _print_status(found: contract.StackStatus) -> None:
    rows: list[list[object]] = [
        [
            service.name,
            styled("up", "green") if service.up else styled(f"down: {service.detail}", "red"),
            service.version,
            service.url,
            service.pid,
            styled(f"{service.memory_mb:,.0f} MB", right=True) if service.pid else None,
        ]
        for service in found.services
    ]
    memory = styled(f"{found.memory_mb:,.0f} MB", "bold", right=True)
    rows.append([styled("total", "bold"), *[None] * 4, memory])
    print_table(["service", "", "version", "address", "pid", "memory"], rows)
    deployment = contract.load_deployment()
    echo("login      {}, password in {}".format(*deployment.user_and_place("superset")))
    echo(f"data docs  {deployment.reports_address}")
    echo(f"logs       {deployment.logs}")


def doctor(json: Json = False) -> None:
    """Look for what commonly goes wrong, and print the remedy.

    Ends with 1 when something must be mended. Example: cityloom doctor
    """
    findings = contract.operations().examine()
    if json:
        print_json(findings)
    else:
        console, colours = wide_console(), {"ok": "green", "warn": "yellow", "bad": "red"}
        for finding in findings:
            verdict = styled(f"{finding.verdict:<4}  ", colours[finding.verdict])
            console.print(verdict + styled(f"{finding.check}: {finding.found}"), soft_wrap=True)
            if finding.remedy:
                echo(f"      -> {finding.remedy}")
    raise typer.Exit(1 if any(finding.verdict == "bad" for finding in findings) else 0)


def reset(yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Stop everything and remove the state folder: database, models, passwords, logs.

    What an external database holds is left alone. Example: cityloom reset --yes
    """
    deployment = contract.operations()
    home = deployment.state_dir()
    if not home.exists():
        echo(f"nothing to remove: {home} does not exist")
        return
    if not yes:
        typer.confirm(f"Remove the warehouse and all other state in {home}?", abort=True)
    with Screen() as screen:
        deployment.down(screen.show_step)
    for line in deployment.remove_state():
        echo(line)


def env() -> None:
    """Print the variables that dbt's profile reads, for `dbt` by hand in `dbt_project/`.

    Example: eval "$(cityloom env)" && cd dbt_project && dbt build
    """
    from warehouse.dbt import environment

    for name, value in environment(contract.load_deployment().database_url("warehouse")).items():
        print(f"export {name}={shlex.quote(value)}")
