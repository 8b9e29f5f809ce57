"""`cityloom dashboards`: push, pull, unlock, check, picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.display import echo, print_json, printable

if TYPE_CHECKING:
    from dashboards.pull import PullReport

app = typer.Typer(
    help="Superset's dashboards, kept as code in dashboards/. Example: `cityloom dashboards push`",
    no_args_is_help=True,
)

Folder = Annotated[
    Path | None, typer.Option("--folder", help="Other code than dashboards/ of the checkout.")
]


@app.command()
def push(
    folder: Folder = None,
    discard_edits: Annotated[
        bool,
        typer.Option("--discard-edits", help="Also overwrite edits of unlocked dashboards."),
    ] = False,
) -> None:
    """Make Superset agree with the code: create, change, remove; a second push changes nothing.

    An unlocked dashboard is locked again once its edits are in the code.

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
        discard_edits=discard_edits,
        lock=True,
    )
    for change in report.changes:
        if change.action != "unchanged":
            detail = f" ({change.detail})" if change.detail else ""
            echo(f"{change.action:9} {change.kind:9} {change.place}{detail}")
    echo(report.summary)
    for title, url in report.urls.items():
        echo(f"{title}: {url}")


@app.command()
def pull(
    folder: Folder = None,
    dashboard: Annotated[
        str | None,
        typer.Option("--dashboard", help="Only this one, by slug; with --add CHART, where to."),
    ] = None,
    chart: Annotated[
        str | None, typer.Option("--chart", help="Only this one, by title, file's name or id.")
    ] = None,
    add: Annotated[
        list[str] | None,
        typer.Option(
            "--add", help="Bring in a dashboard (slug or title), chart (title or id) or metric."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the diff, write nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Write what people made or changed in Superset into the YAML, and list what is not in it.

    Example: cityloom dashboards pull --add "Calls by hour" --dashboard city-overview
    """
    from dashboards.code import CODE_DIR
    from dashboards.pull import pull as pull_all
    from infra.contract import load_deployment

    deployment = load_deployment()
    report = pull_all(
        deployment.url("superset"),
        *deployment.login("superset"),
        deployment.database_url("dashboards"),
        (folder or CODE_DIR).resolve(),
        dashboard=dashboard,
        chart=chart,
        add=add or (),
        write=not dry_run,
    )
    if as_json:
        print_json(_pull_as_json(report))
    else:
        _print_pull(report, dry_run=dry_run)


def _pull_as_json(report: PullReport) -> dict[str, object]:
    return {
        "files": [
            {
                "path": str(change.path),
                "action": change.action,
                "diff": change.diff(report.folder),
            }
            for change in report.files
        ],
        "not_in_code": [
            {"kind": offer.kind, "title": offer.title, "add": offer.add} for offer in report.offers
        ],
        "notes": report.notes,
    }


def _print_pull(report: PullReport, *, dry_run: bool) -> None:
    from infra.home import ROOT

    if dry_run and report.diff:
        typer.echo(printable(report.diff), nl=False)
    for change in report.files:
        path = change.path.relative_to(ROOT) if change.path.is_relative_to(ROOT) else change.path
        echo(f"{'created' if change.before is None else 'changed':9} {path}")
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
    folder: Folder = None,
) -> None:
    """Open a dashboard of the code and its charts for editing in Superset.

    Pushes leave it alone until `pull` has written the edits and `push` has locked it again.

    Example: cityloom dashboards unlock city-overview
    """
    from dashboards.code import CODE_DIR
    from dashboards.push import unlock as unlock_one
    from infra.contract import load_deployment

    deployment = load_deployment()
    url, charts = unlock_one(
        deployment.url("superset"),
        *deployment.login("superset"),
        slug,
        folder or CODE_DIR,
    )
    echo(f"{url}: open for editing, with {charts} charts")
    echo("when done: `cityloom dashboards pull`, look at the diff, `cityloom dashboards push`")


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
    echo(
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
    echo(f"{path}: {path.stat().st_size / 1024:,.0f} kB")
