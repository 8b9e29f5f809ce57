"""`cityloom run`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from catalog.models import City, Source
    from cli.pipeline import Outcome
    from infra.contract import Deployment


#: How a task that ended is shown; one that failed is shown with its reason.
SIGNS = {"success": ("✓", "green"), "up_for_retry": ("↻", "yellow")}


def main(
    city: Annotated[str, typer.Argument(help="A city under cities/: demo, nyc, ...")],
    snapshot: Annotated[
        Path | None,
        typer.Option(help="Read the sources' files in this folder, not the live sources."),
    ] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="Load this source only; may be repeated.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the outcome as JSON; progress goes to stderr.")
    ] = False,
) -> None:
    """Load a city's sources through Airflow, and build, score and publish what is new.

    Starts the stack where it is down. Ends with 0 if, and only if, every task succeeded; what
    one source lacks does not hold up the others.

    Example: cityloom run nyc --snapshot ../shared/data/nyc
    """
    from catalog.cities import load_cities, load_city
    from cli.display import live, wide_console
    from cli.pipeline import run
    from infra.contract import started

    chosen = load_city(city)
    sources = _sources(chosen, source)
    if snapshot is not None:
        snapshot = snapshot.expanduser().resolve()
        if not snapshot.is_dir():
            raise typer.BadParameter(f"{snapshot} is no folder", param_hint="--snapshot")
    console = wide_console(stderr=json)
    if json:
        deployment = started(
            lambda name, text, done: console.print(f"{name}: {text}", highlight=False)
        )
    else:
        with live("Starting Cityloom") as report:
            deployment = started(report)
    if chosen.simulated and snapshot is None:
        import simulator

        console.print(f"{chosen.name}: making its departments' files, where absent")
        simulator.ensure(deployment.drop_dir(city))
    from extract.load import ensure_raw_tables

    ensure_raw_tables(deployment.database_url("warehouse"), load_cities())
    try:
        with watching(console) as watcher:
            outcome = run(deployment, chosen, sources, snapshot, watcher)
    except KeyboardInterrupt:
        console.print(f"\nAirflow goes on with it: {deployment.url('airflow')}", highlight=False)
        raise typer.Exit(130) from None
    if json:
        typer.echo(as_json(outcome, deployment))
    else:
        show(console, chosen, outcome, deployment)
    raise typer.Exit(0 if outcome.succeeded else 1)


def _sources(city: City, names: list[str] | None) -> list[Source]:
    try:
        return [city.source(name) for name in dict.fromkeys(names or ())] or list(city.sources)
    except KeyError as error:
        raise typer.BadParameter(str(error.args[0]), param_hint="--source") from error


def as_json(outcome: Outcome, deployment: Deployment) -> str:
    """Return the outcome for a script: loads, failures, seconds of each task, champion, URLs."""
    from dataclasses import asdict
    from json import dumps

    return dumps(
        {"succeeded": outcome.succeeded, **asdict(outcome), "urls": addresses(deployment)},
        indent=2,
        default=str,
    )


def addresses(deployment: Deployment) -> dict[str, str]:
    """Return where a person looks next."""
    from dashboards.code import load_dashboards

    superset = deployment.url("superset")
    shown = {d.title: f"{superset}/superset/dashboard/{d.slug}/" for d in load_dashboards()}
    return {
        **shown,
        "Superset": superset,
        "Airflow": deployment.url("airflow"),
        "MLflow": deployment.url("mlflow"),
        "Data docs": f"file://{deployment.reports_dir / 'index.html'}",
    }


def show(console: Console, city: City, outcome: Outcome, deployment: Deployment) -> None:
    """Print what was loaded, what was put aside, who is champion, and where to look."""
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False, title_justify="left")
    table.title = f"{city.name}, {outcome.seconds:.0f} s"
    table.add_column("source")
    for column in ("read", "accepted", "unchanged", "quarantined"):
        table.add_column(column, justify="right")
    table.add_column("state")
    for load in outcome.loads:
        counts = (load[f"rows_{name}"] for name in ("read", "accepted", "unchanged"))
        aside = load["rows_quarantined"]
        table.add_row(
            load["source_id"],
            *(f"{count:,}" for count in counts),
            f"[yellow]{aside:,}[/]" if aside else "0",
            {"accepted": "[green]accepted[/]", "unchanged": "unchanged"}.get(
                load["state"], f"[red]{load['state']}[/]"
            ),
        )
    console.print()
    console.print(table, soft_wrap=True)
    facts = Table(box=None, show_header=False, pad_edge=False)
    if outcome.champion:
        facts.add_row("Champion", champion_line(outcome.champion))
    for name, url in addresses(deployment).items():
        facts.add_row(name, url)
    user, place = deployment.user_and_place("superset")
    # On a terminal a person reads it; a log would keep it.
    said = deployment.login("superset")[1] if console.is_terminal else f"password in {place}"
    facts.add_row("Login", f"{user} / {said}")
    console.print()
    console.print(facts, soft_wrap=True, highlight=False)
    if outcome.failures:
        console.print(f"\n[red]{len(outcome.failures)} failed:[/]")
        for failure in outcome.failures:
            _print_failure(console, failure)


def champion_line(champion: dict[str, Any]) -> str:
    """Return one line on the champion, as far as it is known."""
    line = f"{champion['model']} version {champion['version']}"
    if champion.get("description"):
        line += f" ({champion['description']})"
    if champion.get("agreement") is not None:
        line += (
            f", reads {champion['agreement']:.1%} of {champion['n']:,} comments "
            "as their (simulated) writers meant them"
        )
    return line


def _print_failure(console: Console, failure) -> None:
    from cli.pipeline import short

    name = f"{short(failure.dag_id)} {failure.task_id}"
    console.print(f"✗ {name}: {failure.reason}", style="red", markup=False, soft_wrap=True)
    console.print(f"  log: {failure.log}", style="dim", markup=False, soft_wrap=True)


def watching(console: Console):
    """Return a context manager with a watcher: a live view on a terminal, lines elsewhere."""
    from contextlib import contextmanager

    from rich.live import Live
    from rich.table import Table

    from cli.pipeline import Failure, Task, Watcher, label

    began = time.monotonic()

    class Lines(Watcher):
        """A line for each task that ends."""

        def says(self, text: str) -> None:
            console.print(f"{_clock(began)}   {text}", highlight=False, markup=False)

        def moved(self, task: Task, label: str) -> None:
            sign, style = SIGNS.get(task.state or "", ("", ""))
            if not sign:
                return
            took = f"{task.seconds:.1f} s" if task.seconds is not None else ""
            again = f", try {task.try_number} failed" if task.state == "up_for_retry" else ""
            console.print(
                f"{_clock(began)} [{style}]{sign}[/] {label} [dim]{took}{again}[/]", highlight=False
            )

        def failed(self, failure: Failure) -> None:
            _print_failure(console, failure)

    class Screen(Lines):
        """The same, and below it what is under way."""

        def __init__(self, live: Live) -> None:
            self.live = live

        def now(self, tasks, waiting: int) -> None:
            grid = Table(box=None, show_header=False, pad_edge=False)
            for task in tasks:
                since = time.time() - task.started.timestamp() if task.started else 0
                grid.add_row("[cyan]▸[/]", label(task), f"[dim]{since:.0f} s[/]")
            queued = max(0, waiting - len({task.run_id + task.dag_id for task in tasks}))
            grid.add_row("", f"[dim]{queued} more waiting[/]" if queued else "", _clock(began))
            self.live.update(grid)

    @contextmanager
    def watch():
        if not console.is_terminal:
            yield Lines()
            return
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            yield Screen(live)

    return watch()


def _clock(began: float) -> str:
    seconds = int(time.monotonic() - began)
    return f"{seconds // 60}:{seconds % 60:02d}"
