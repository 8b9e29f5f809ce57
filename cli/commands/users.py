"""`cityloom users`: people's logins, one for all servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from accounts.roles import ROLES
from cli.display import Json, echo, print_json, print_table
from infra import contract

if TYPE_CHECKING:
    from accounts.servers import Server

app = typer.Typer(
    help="People's logins, one for all servers. Example: `cityloom users add ana --role analyst`",
    no_args_is_help=True,
)
Name = Annotated[str, typer.Argument(help="Login of the person, such as ana.")]


@contextmanager
def _servers() -> Iterator[list[Server]]:
    from accounts.servers import AirflowServer, MlflowServer, SupersetServer
    from dashboards.superset import Superset

    deployment = contract.load_deployment()
    with Superset(deployment.url("superset"), *deployment.login("superset")) as session:
        airflow = AirflowServer.log_in(deployment.url("airflow"), *deployment.login("airflow"))
        mlflow = MlflowServer.log_in(deployment.url("mlflow"), *deployment.login("mlflow"))
        yield [SupersetServer(session), airflow, mlflow]


@app.command()
def add(
    name: Name,
    role: Annotated[
        str,
        typer.Option(help=f"One of {', '.join(ROLES)}."),
    ],
    city: Annotated[str | None, typer.Option(help="City of a department's head.")] = None,
    department: Annotated[str | None, typer.Option(help="The head's department.")] = None,
) -> None:
    """Make a person's login on every server, or give it another role; print its password.

    Example: cityloom users add ana --role department_head --city demo --department sanitation
    """
    from accounts import people
    from extract.manifests import load_cities

    operations = contract.operations()
    own = (city or "", department or "") if city or department else None
    with _servers() as servers:
        password = people.add(
            servers,
            operations.admin_url(),
            name,
            role,
            department=own,
            cities=load_cities().cities,
            secret=operations.role_password,
            forget=operations.forget_password,
        )
    echo(f"{name} ({role}), password: {password}\nIt is shown this once; `users passwd` renews it.")


@app.command("list")
def list_(json: Json = False) -> None:
    """List people's logins, with their roles and servers.

    Example: cityloom users list --json
    """
    from accounts import people

    with _servers() as servers:
        found = people.listed(servers, contract.operations().admin_url())
    if json:
        print_json(found)
    else:
        rows = []
        for one in found:
            closed = [f"{server} (closed)" for server in one.closed]
            rows.append((one.name, one.role, ", ".join([*one.servers, *closed])))
        print_table(["name", "role", "has a login on"], rows)


@app.command()
def passwd(name: Name) -> None:
    """Give a person a new password on every server, and print it.

    Example: cityloom users passwd ana
    """
    from accounts import people

    with _servers() as servers:
        echo(people.change_password(servers, contract.operations().admin_url(), name))


@app.command()
def remove(name: Name) -> None:
    """Remove a person's login from every server; what the person made in Superset stays.

    Superset keeps the entry of one whom its record of queries names, closed; the command then says
    so and ends with 1.

    Example: cityloom users remove ana
    """
    from accounts import people

    operations = contract.operations()
    with _servers() as servers:
        people.remove(servers, operations.admin_url(), name, forget=operations.forget_password)
    echo(f"{name} has no login any more")
