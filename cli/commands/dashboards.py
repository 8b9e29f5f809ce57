"""`cityloom dashboards`: push, check, picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Superset's dashboards, kept as code in dashboards/. Example: `cityloom dashboards push`",
    no_args_is_help=True,
)

Folder = Annotated[
    Path | None, typer.Option("--folder", help="Other code than dashboards/ of the checkout.")
]


@app.command()
def push(folder: Folder = None) -> None:
    """Make Superset agree with the code: create, change, remove; a second push changes nothing.

    Example: cityloom dashboards push
    """
    from dashboards.code import CODE_DIR
    from dashboards.push import push as push_all
    from infra.contract import load_deployment

    deployment = load_deployment()
    report = push_all(
        deployment.url("superset"),
        *deployment.login("superset"),
        deployment.database_url("dashboards"),
        folder or CODE_DIR,
    )
    for change in report.changes:
        if change.action != "unchanged":
            detail = f" ({change.detail})" if change.detail else ""
            typer.echo(f"{change.action:9} {change.kind:9} {change.place}{detail}")
    typer.echo(report.summary)
    for title, url in report.urls.items():
        typer.echo(f"{title}: {url}")


@app.command()
def check(
    folder: Folder = None,
    warehouse: Annotated[
        bool, typer.Option("--warehouse", help="Also try everything on the running warehouse.")
    ] = False,
) -> None:
    """Verify each relation, column and metric against dbt's documentation; needs no Superset.

    Example: cityloom dashboards check --warehouse
    """
    from dashboards.check import check as check_all
    from dashboards.code import CODE_DIR

    url = None
    if warehouse:
        from infra.contract import load_deployment

        url = load_deployment().database_url("dashboards")
    checked = check_all(folder or CODE_DIR, warehouse_url=url)
    against = "dbt and the warehouse" if checked.against_warehouse else "dbt"
    typer.echo(
        f"{checked.dashboards} dashboard(s), {checked.charts} charts, {checked.datasets} datasets: "
        f"all that they name is known to {against}"
    )


@app.command()
def picture(
    path: Annotated[Path, typer.Argument(help="PNG to write.")] = Path(
        "docs/images/city-overview.png"
    ),
    dashboard: Annotated[str, typer.Option(help="The dashboard's slug.")] = "city-overview",
    full: Annotated[
        bool, typer.Option("--full", help="The whole page, not the first screen.")
    ] = False,
) -> None:
    """Open a dashboard in a headless browser and take its picture.

    Example: cityloom dashboards picture
    """
    from dashboards.browser import open_dashboard, save_picture
    from infra.browser import ensure
    from infra.contract import load_deployment

    deployment = load_deployment()
    with open_dashboard(
        deployment.url("superset"),
        *deployment.login("superset"),
        dashboard,
        executable=ensure(),
    ) as opened:
        save_picture(opened, path, whole=full)
    typer.echo(f"{path}: {path.stat().st_size / 1024:,.0f} kB")
