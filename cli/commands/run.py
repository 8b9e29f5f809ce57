"""`cityloom run`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from cli.display import Json, echo, live, print_json, styled, table, wide_console
from infra.contract import Deployment, started

if TYPE_CHECKING:
    from catalog.models import City
    from cli.airflow import RunKey, Task
    from cli.pipeline import Event, Outcome

#: How many reasons for quarantine the summary names; JSON has three a load.
SHOWN_REASONS = 5
#: How a task that ended is shown; one that failed is shown with its reason.
SIGNS = {"success": "[green]✓[/]", "up_for_retry": "[yellow]↻[/]"}
#: Of a load; any other state is red.
STATE_STYLES = {"accepted": "green", "unchanged": ""}
WAITING = (None, "scheduled", "queued")


def main(
    city: Annotated[str, typer.Argument(help="A city under cities/: demo, nyc, ...")],
    snapshot: Annotated[
        Path | None,
        typer.Option(
            help="Read the sources' files in this folder, not the live sources.",
            exists=True,
            file_okay=False,
            resolve_path=True,
        ),
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
    from cli.airflow import Task
    from cli.pipeline import run
    from extract.load import ensure_raw_tables
    from extract.manifests import load_cities

    every = load_cities()
    found = load_cities(only=city)
    unusable = [broken for broken in found.broken if not source or broken.source_id in source]
    if not found.sources or (source and unusable):
        nothing = f"cities/{city} has no sources; write a manifest, see docs/add-a-source.md"
        raise ManifestError(found.problems or [nothing])
    (chosen,) = found.cities
    sources = [chosen.source(name) for name in dict.fromkeys(source or ())] or chosen.sources
    console = wide_console(stderr=json)
    with live("Starting Cityloom", stderr=json) as report:
        deployment = started(report)
    if chosen.simulated and snapshot is None:
        import simulator

        echo(f"{chosen.name}: making its departments' files, where absent", err=json)
        simulator.ensure(deployment.drop_dir(city))
    ensure_raw_tables(deployment.database_url("warehouse"), every.cities)
    screen = Screen(console)
    try:
        with screen.running:
            outcome = run(deployment, chosen, sources, snapshot, screen.show)
    except KeyboardInterrupt:
        console.print(f"\nAirflow goes on with it: {deployment.url('airflow')}", highlight=False)
        raise typer.Exit(130) from None
    for broken in unusable:
        name = {"dag_id": broken.dag_id, "task_id": "manifest"}
        reason = "\n".join(map(str, broken.problems))
        outcome.failures.append(Task(**name, run_id="", state="failed", reason=reason))
    if json:
        urls = addresses(deployment)
        print_json({"succeeded": not outcome.failures, **outcome.model_dump(), "urls": urls})
    else:
        show(console, chosen, outcome, deployment)
    raise typer.Exit(1 if outcome.failures else 0)


def addresses(deployment: Deployment) -> dict[str, str]:
    """Return where a person looks next."""
    from dashboards.code import load_dashboards

    superset = deployment.url("superset")
    boards = {d.title: f"{superset}/superset/dashboard/{d.slug}/" for d in load_dashboards()}
    return {
        **boards,
        "Superset": superset,
        "Airflow": deployment.url("airflow"),
        "MLflow": deployment.url("mlflow"),
        "Data docs": f"file://{deployment.reports_dir / 'index.html'}",
    }


def show(console: Console, city: City, outcome: Outcome, deployment: Deployment) -> None:
    """Print what came in and was quarantined, who is champion, where to look, and what failed."""
    console.print()
    console.print(_loads_table(city, outcome), soft_wrap=True)
    _print_reasons(console, outcome)
    facts: dict[str, str] = {}
    if outcome.champion:
        facts["Champion"] = champion_line(outcome.champion)
        if outcome.champion.get("decision"):
            facts["Decision"] = outcome.champion["decision"]
    facts |= addresses(deployment)
    user, place = deployment.user_and_place("superset")
    # On a terminal a person reads it; a log would keep it.
    shown = deployment.login("superset")[1] if console.is_terminal else f"password in {place}"
    facts["Login"] = f"{user} / {shown}"
    console.print()
    console.print(table(["", ""], facts.items(), show_header=False), soft_wrap=True)
    if outcome.failures:
        console.print(styled(f"\n{len(outcome.failures)} failed:", "red"))
        for failure in outcome.failures:
            _print_failure(console, failure)


def _loads_table(city: City, outcome: Outcome) -> Table:
    counts = ["read", "accepted", "unchanged", "quarantined"]
    rows = []
    for load in outcome.loads:
        numbers = [styled(f"{load[f'rows_{count}']:,}", right=True) for count in counts]
        if load["rows_quarantined"]:
            numbers[-1].stylize("yellow")
        state = styled(load["state"], STATE_STYLES.get(load["state"], "red"))
        if not load["own"]:
            state.append(f" by an earlier run, {load['finished_at'].astimezone():%H:%M}", "dim")
        rows.append([load["source_id"], *numbers, state])
    title = styled(f"{city.name}, {outcome.seconds:.0f} s")
    return table(["source", *counts, "state"], rows, title=title, title_justify="left")


def _print_reasons(console: Console, outcome: Outcome) -> None:
    """Print the reasons for which most rows were quarantined."""
    found = [
        (reason["rows"], load["source_id"], reason["reason"])
        for load in outcome.loads
        for reason in load["quarantine_reasons"]
    ]
    found.sort(key=lambda reason: -reason[0])
    if found:
        console.print("\n[bold]quarantined most often[/] (all are in quality.quarantine)")
    for rows, source, reason in found[:SHOWN_REASONS]:
        console.print(styled(f"{rows:>7,}  {source}: {reason}"), soft_wrap=True)


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


def _print_failure(console: Console, failure: Task) -> None:
    console.print(styled(f"✗ {failure.label}: {failure.reason}", "red"), soft_wrap=True)
    if failure.log:
        console.print(styled(f"  log: {failure.log}", "dim"), soft_wrap=True)


class Screen:
    """Shows a run as it goes: a line for each task that ends, and on a terminal what is running."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.began = time.monotonic()
        columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
        off = not console.is_terminal
        self.running = Progress(*columns, console=console, transient=True, disable=off)
        self.clock = self.running.add_task("in all")
        self.rows: dict[tuple[RunKey, str], Any] = {}
        self.waiting: set[tuple[RunKey, str]] = set()

    def show(self, event: Event) -> None:
        """Show an event of `cli.pipeline`."""
        if isinstance(event, str):
            self._print("  ", event)
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
        if task.state == "failed":
            _print_failure(self.console, task)
        if task.state in SIGNS:
            took = f" {task.duration:.1f} s" if task.duration is not None else ""
            again = f", try {task.try_number} failed" if task.state == "up_for_retry" else ""
            self._print(SIGNS[task.state], task.label, f"{took}{again}")

    def _print(self, sign: str, text: str, rest: str = "") -> None:
        minutes, seconds = divmod(int(time.monotonic() - self.began), 60)
        self.console.print(
            f"{minutes}:{seconds:02d} {sign}", styled(text) + styled(rest, "dim"), highlight=False
        )
