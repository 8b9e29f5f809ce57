"""`cityloom dashboards`: push, pull, unlock, check, pictures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from cli.display import Json, echo, print_json
from infra import contract

app = typer.Typer(
    help="Superset's dashboards, kept as code in dashboards/. Example: `cityloom dashboards push`",
    no_args_is_help=True,
)


def _superset() -> tuple[str, str, str]:
    """Return Superset's address, and the user and password there."""
    deployment = contract.load_deployment()
    return deployment.url("superset"), *deployment.login("superset")


def _warehouse() -> str:
    return contract.load_deployment().database_url("dashboards")


@app.command()
def push(
    discard_edits: Annotated[
        bool, typer.Option("--discard-edits", help="Also overwrite edits of unlocked dashboards.")
    ] = False,
) -> None:
    """Make Superset agree with the code: create, change, remove; a second push changes nothing.

    An unlocked dashboard is locked again once its edits are in the code.

    Example: cityloom dashboards push
    """
    from dashboards.push import push as push_all

    report = push_all(*_superset(), _warehouse(), discard_edits=discard_edits, lock=True)
    for change in report.changes:
        if change.action != "unchanged":
            detail = f" ({change.detail})" if change.detail else ""
            echo(f"{change.action:9} {change.kind:9} {change.place}{detail}")
    echo(report.summary)
    for title, url in report.urls.items():
        echo(f"{title}: {url}")


@app.command()
def pull(
    dashboard: Annotated[
        str | None, typer.Option(help="Only this one, by slug; with --add CHART, where to.")
    ] = None,
    chart: Annotated[str | None, typer.Option(help="Only this: title, file's name or id.")] = None,
    add: Annotated[
        list[str] | None,
        typer.Option(help="Bring in a dashboard (slug or title), chart (title or id) or metric."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the diff.")] = False,
    json: Json = False,
) -> None:
    """Write what people made or changed in Superset into the YAML, and list what is not in it.

    Example: cityloom dashboards pull --add "Calls by hour" --dashboard city-overview
    """
    from dashboards.pull import pull as pull_all

    server = *_superset(), _warehouse()
    report = pull_all(*server, dashboard=dashboard, chart=chart, add=add or (), write=not dry_run)
    if json:
        files = [
            {"path": change.path, "action": change.action, "diff": change.diff(report.folder)}
            for change in report.files
        ]
        print_json({"files": files, "not_in_code": report.offers, "notes": report.notes})
        return
    if dry_run and report.diff:
        echo(report.diff.rstrip("\n"))
    for change in report.files:
        echo(f"{change.action:9} {os.path.relpath(change.path)}")
    for note in dict.fromkeys(report.notes):
        echo(f"note: {note}")
    if not report.files:
        echo("the code has all that was changed in Superset")
    if report.offers:
        echo("made in Superset and not in the code; bring one in with --add:")
        for offer in report.offers:
            title = "" if offer.title == offer.add else f" {offer.title}"
            echo(f"  {offer.kind:9} {offer.add}{title}")


@app.command()
def unlock(
    slug: Annotated[str, typer.Argument(help="The dashboard's slug, such as city-overview.")],
) -> None:
    """Open a dashboard of the code and its charts for editing in Superset.

    Pushes leave it alone until `pull` has written the edits and `push` has locked it again.

    Example: cityloom dashboards unlock city-overview
    """
    from dashboards.push import unlock as unlock_one

    url, charts = unlock_one(*_superset(), slug)
    echo(f"{url}: open for editing, with {charts} charts")
    echo("when done: `cityloom dashboards pull`, look at the diff, `cityloom dashboards push`")


@app.command()
def check(
    warehouse: Annotated[
        bool, typer.Option("--warehouse", help="Also try all in the warehouse.")
    ] = False,
) -> None:
    """Verify each relation, column and metric against dbt's documentation; needs no Superset.

    Example: cityloom dashboards check --warehouse
    """
    from dashboards.check import check as check_all

    checked = check_all(warehouse_url=_warehouse() if warehouse else None)
    against = "dbt and the warehouse" if checked.against_warehouse else "dbt"
    echo(
        f"{checked.dashboards} dashboard(s), {checked.charts} charts, {checked.datasets} datasets: "
        f"all that they name is known to {against}"
    )


@app.command()
def pictures(
    folder: Annotated[Path, typer.Argument(help="Where the PNGs are written.")] = Path(
        "build/pictures"
    ),
    city: Annotated[str | None, typer.Option(help="Of this city, by its name on the page.")] = None,
    dashboard: Annotated[str | None, typer.Option(help="Only this one, by its slug.")] = None,
    first_screen: Annotated[
        bool, typer.Option("--first-screen", help="Only what shows at first, SLUG.png.")
    ] = False,
) -> None:
    """Take a picture of every page, whole, as wide as a desktop, a laptop and a phone.

    Example: cityloom dashboards pictures --city "New York City"
    """
    from dashboards.browser import WIDTH, WIDTHS, choose, open_dashboard, save_picture
    from dashboards.chromium import ensure
    from dashboards.code import load_dashboards

    browser = ensure()
    for page in (page for page in load_dashboards() if dashboard in (None, page.slug)):
        filters = choose(page, City=city) if city else ""
        for width in (WIDTH,) if first_screen else WIDTHS:
            path = folder / f"{page.slug}{'' if first_screen else f'-{width}'}.png"
            place = (*_superset(), page.slug)
            with open_dashboard(*place, executable=browser, filters=filters, width=width) as opened:
                save_picture(opened, path, whole=not first_screen)
            echo(f"{path}: {path.stat().st_size / 1024:,.0f} kB")
