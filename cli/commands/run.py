"""`cityloom run`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.display import Json, count, echo, live, print_json, printable, table, wide_console

if TYPE_CHECKING:
    from rich.console import Console

    from catalog.models import City, Source
    from cli.airflow import Task
    from cli.pipeline import Event, Failure, Outcome
    from infra.contract import Deployment

#: How many reasons for quarantine the summary names; JSON has three a load.
SHOWN_REASONS = 5
#: How a task that ended is shown; one that failed is shown with its reason.
SIGNS = {"success": "[green]✓[/]", "up_for_retry": "[yellow]↻[/]"}
WAITING = (None, "scheduled", "queued")


def main(
    city: Annotated[str, typer.Argument(help="A city under cities/: demo, nyc, ...")],
    snapshot: Annotated[
        Path | None,
        typer.Option(help="Read the sources' files in this folder, not the live sources."),
    ] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="Load this source only; may be repeated.")
    ] = None,
    json: Json = False,
) -> None:
    """Load a city's sources through Airflow, and build, score and publish what is new.

    Starts the stack where it is down. Ends with 0 if, and only if, every task succeeded; what
    one source lacks does not hold up the others.

    Example: cityloom run nyc --snapshot ../shared/data/nyc
    """
    from catalog.problems import ManifestError
    from cli.pipeline import Failure, run
    from extract.manifests import load_cities
    from infra.contract import started

    every = load_cities()
    found = load_cities(only=city)
    unusable = [broken for broken in found.broken if not source or broken.source_id in source]
    if not found.sources or (source and unusable):
        nothing = f"cities/{city} has no sources; write a manifest, see docs/add-a-source.md"
        raise ManifestError(found.problems or [nothing])
    (chosen,) = found.cities
    sources = _sources(chosen, source)
    if snapshot is not None:
        snapshot = snapshot.expanduser().resolve()
        if not snapshot.is_dir():
            raise typer.BadParameter(f"{snapshot} is no folder", param_hint="--snapshot")
    console = wide_console(stderr=json)
    with live("Starting Cityloom", stderr=json) as report:
        deployment = started(report)
    if chosen.simulated and snapshot is None:
        import simulator

        echo(f"{chosen.name}: making its departments' files, where absent", err=json)
        simulator.ensure(deployment.drop_dir(city))
    from extract.load import ensure_raw_tables

    ensure_raw_tables(deployment.database_url("warehouse"), every.cities)
    screen = Screen(console)
    try:
        with screen.running:
            outcome = run(deployment, chosen, sources, snapshot, screen.show)
    except KeyboardInterrupt:
        console.print(f"\nAirflow goes on with it: {deployment.url('airflow')}", highlight=False)
        raise typer.Exit(130) from None
    for broken in unusable:
        reason = "\n".join(map(str, broken.problems))
        outcome.failures.append(Failure(f"extract_{city}_{broken.source_id}", "manifest", reason))
    if json:
        from dataclasses import asdict

        urls = addresses(deployment)
        print_json({"succeeded": outcome.succeeded, **asdict(outcome), "urls": urls})
    else:
        show(console, chosen, outcome, deployment)
    raise typer.Exit(0 if outcome.succeeded else 1)


def _sources(city: City, names: list[str] | None) -> list[Source]:
    try:
        return [city.source(name) for name in dict.fromkeys(names or ())] or list(city.sources)
    except KeyError as error:
        raise typer.BadParameter(str(error.args[0]), param_hint="--source") from error


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
    """Print what came in and was quarantined, who is champion, where to look, and what failed."""
    from rich.table import Table
    from rich.text import Text

    styles = {"accepted": "green", "unchanged": ""}
    columns = ["source", "read", "accepted", "unchanged", "quarantined", "state"]
    rows = [
        [
            load["source_id"],
            count(load["rows_read"]),
            count(load["rows_accepted"]),
            count(load["rows_unchanged"]),
            count(load["rows_quarantined"], "yellow" if load["rows_quarantined"] else ""),
            Text(load["state"], styles.get(load["state"], "red")),
            None if load["own"] else f"by an earlier run, {load['finished_at'].astimezone():%H:%M}",
        ]
        for load in outcome.loads
    ]
    if all(load["own"] for load in outcome.loads):
        rows = [row[:-1] for row in rows]
    else:
        columns.append("loaded")
    title = Text(printable(f"{city.name}, {outcome.seconds:.0f} s"))
    console.print()
    console.print(table(columns, rows, title=title, title_justify="left"), soft_wrap=True)
    _print_reasons(console, outcome)
    facts = Table(box=None, show_header=False, pad_edge=False)
    if outcome.champion:
        facts.add_row("Champion", Text(printable(champion_line(outcome.champion))))
        if outcome.champion.get("decision"):
            facts.add_row("Decision", Text(printable(outcome.champion["decision"])))
    for name, url in addresses(deployment).items():
        facts.add_row(name, url)
    user, place = deployment.user_and_place("superset")
    # On a terminal a person reads it; a log would keep it.
    shown = deployment.login("superset")[1] if console.is_terminal else f"password in {place}"
    facts.add_row("Login", f"{user} / {shown}")
    console.print()
    console.print(facts, soft_wrap=True, highlight=False)
    if outcome.failures:
        console.print(f"\n[red]{len(outcome.failures)} failed:[/]")
        for failure in outcome.failures:
            _print_failure(console, failure)


def _print_reasons(console: Console, outcome: Outcome) -> None:
    """Print the reasons for which most rows were quarantined."""
    found = [
        (reason["rows"], load["source_id"], reason["reason"])
        for load in outcome.loads
        for reason in load["quarantine_reasons"]
    ]
    if not found:
        return
    found.sort(key=lambda reason: -reason[0])
    console.print("\n[bold]quarantined most often[/] (all are in quality.quarantine)")
    for rows, source, reason in found[:SHOWN_REASONS]:
        line = printable(f"{rows:>7,}  {source}: {reason}")
        console.print(line, markup=False, highlight=False, soft_wrap=True)


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


def _print_failure(console: Console, failure: Failure) -> None:
    from cli.airflow import short

    text = printable(f"✗ {short(failure.dag_id)} {failure.task_id}: {failure.reason}")
    console.print(text, style="red", markup=False, soft_wrap=True)
    if failure.log:
        console.print(printable(f"  log: {failure.log}"), style="dim", markup=False, soft_wrap=True)


class Screen:
    """Shows a run as it goes: a line for each task that ends, and on a terminal what is running."""

    def __init__(self, console: Console) -> None:
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self.console = console
        self.began = time.monotonic()
        columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
        off = not console.is_terminal
        self.running = Progress(*columns, console=console, transient=True, disable=off)
        self.clock = self.running.add_task("in all")
        self.rows: dict[tuple[str, str, str], Any] = {}
        self.waiting: set[tuple[str, str, str]] = set()

    def show(self, event: Event) -> None:
        """Show an event of `cli.pipeline`."""
        from rich.markup import escape

        from cli.pipeline import Failure

        if isinstance(event, str):
            self._print(f"  {escape(printable(event))}")
        elif isinstance(event, Failure):
            _print_failure(self.console, event)
        else:
            self._show_task(event)

    def _show_task(self, task: Task) -> None:
        if task.key in self.rows:
            self.running.remove_task(self.rows.pop(task.key))
        if task.state == "running":
            self.rows[task.key] = self.running.add_task(task.label)
        (self.waiting.add if task.state in WAITING else self.waiting.discard)(task.key)
        waiting = f", {len(self.waiting)} waiting" if self.waiting else ""
        self.running.update(self.clock, description=f"in all{waiting}")
        if task.state in SIGNS:
            took = f" {task.duration:.1f} s" if task.duration is not None else ""
            again = f", try {task.try_number} failed" if task.state == "up_for_retry" else ""
            self._print(f"{SIGNS[task.state]} {task.label}[dim]{took}{again}[/]")

    def _print(self, line: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self.began), 60)
        self.console.print(f"{minutes}:{seconds:02d} {line}", highlight=False)
