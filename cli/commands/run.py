"""`cityloom run`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cli.commands.stack import addresses
from cli.display import SIGNS, Json, Screen, print_json, styled, table
from infra.contract import Deployment, started

if TYPE_CHECKING:
    from catalog.models import City
    from cli.airflow import Task
    from cli.pipeline import Outcome

#: How many reasons for quarantine the summary names; JSON has three a load.
SHOWN_REASONS = 5
SNAPSHOT = typer.Option(
    help="Read this folder, not the live sources.", exists=True, file_okay=False, resolve_path=True
)
#: Of a load whose rows are in raw; any other state is red.
STATE_STYLES = {"accepted": "green", "unchanged": ""}


def main(
    city: Annotated[str, typer.Argument(help="A city under cities/: demo, nyc, ...")],
    snapshot: Annotated[Path | None, SNAPSHOT] = None,
    source: Annotated[list[str] | None, typer.Option(help="Only this source; repeatable.")] = None,
    json: Json = False,
) -> None:
    """Load a city's sources through Airflow, and build, score and publish what is new.

    Starts the stack where it is down. Ends with 0 if, and only if, every task succeeded and every
    source is in the fact that its manifest says it feeds; what one source lacks does not hold up
    the others. A source that is only in raw is a warning.

    Example: cityloom run nyc --snapshot ../shared/data/nyc
    """
    from catalog.facts import DBT_PROJECT, without_mart
    from catalog.problems import ManifestError
    from cli.airflow import Task
    from cli.pipeline import run
    from extract.manifests import load_cities

    found = load_cities(only=city)
    unusable = [broken for broken in found.broken if not source or broken.source_id in source]
    if not found.sources or (source and unusable):
        nothing = f"cities/{city} has no sources; write a manifest, see docs/add-a-source.md"
        raise ManifestError(found.problems or [nothing])
    (whole,) = found.cities
    sources = tuple(whole.source(name) for name in dict.fromkeys(source or ())) or whole.sources
    chosen = whole.model_copy(update={"sources": sources})
    no_mart = without_mart(sources, DBT_PROJECT)
    with Screen(stderr=json) as screen:
        deployment = started(screen.show_step)
        if chosen.simulated and snapshot is None:
            import simulator

            screen.line(f"{chosen.name}: making its departments' files, where absent")
            simulator.ensure(deployment.drop_dir(city))
        try:
            outcome = run(deployment, chosen, snapshot, partial(show_event, screen))
        except KeyboardInterrupt:
            screen.line(f"Airflow goes on with it: {deployment.url('airflow')}")
            raise typer.Exit(130) from None
    for broken in unusable:
        name = {"dag_id": broken.dag_id, "task_id": "manifest", "run_id": ""}
        reason = "\n".join(map(str, broken.problems))
        outcome.failures.append(Task(**name, state="failed", reason=reason))
    in_raw = {load["source_id"] for load in outcome.loads if load["state"] in STATE_STYLES}
    outcome.warnings = {name: why for name, why in no_mart.items() if name in in_raw}
    unfed = any(one.feeds for one in sources if one.source in outcome.warnings)
    succeeded = not outcome.failures and not unfed
    if json:
        urls = addresses(deployment)
        print_json({"succeeded": succeeded, **outcome.model_dump(), "urls": urls})
    else:
        show(screen.console, chosen, outcome, deployment)
    raise typer.Exit(0 if succeeded else 1)


def show(console: Console, city: City, outcome: Outcome, deployment: Deployment) -> None:
    """Print what came in and was quarantined, who is champion, where to look, and what failed."""
    console.print()
    console.print(_loads_table(city, outcome), soft_wrap=True)
    _print_reasons(console, outcome)
    champion = {"Champion": champion_line(outcome.champion)} if outcome.champion else {}
    facts = champion | addresses(deployment)
    user, place = deployment.user_and_place("superset")
    # On a terminal a person reads it; a log would keep it.
    shown = deployment.login("superset")[1] if console.is_terminal else f"password in {place}"
    facts["Login"] = f"{user} / {shown}"
    console.print()
    console.print(table(["", ""], facts.items(), show_header=False), soft_wrap=True)
    for name, why in outcome.warnings.items():
        console.print(styled(f"\nwarning: {name} is {why}", "yellow"), soft_wrap=True)
    for test in outcome.test_warnings:
        line = f"dbt's test {test['name']} found {test['failures']:,}; see the log of the build"
        console.print(styled(f"\nwarning: {line}", "yellow"), soft_wrap=True)
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
        if load["source_id"] in outcome.warnings:
            state.append(", in no mart", "yellow")
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
    line = f"{champion['model']} {champion['reason']}"
    if champion.get("agreement") is not None:
        line += f", reads {champion['agreement']:.1%} of {champion['n']:,} comments as their "
        line += "(simulated) writers meant them"
    return line


def _print_failure(console: Console, failure: Task) -> None:
    console.print(styled(f"✗ {failure.name}: {failure.reason}", "red"), soft_wrap=True)
    if failure.log:
        console.print(styled(f"  log: {failure.log}", "dim"), soft_wrap=True)


def show_event(screen: Screen, event: str | Task) -> None:
    """Show an event of `cli.pipeline`: a line, or a task whose state changed."""
    if isinstance(event, str):
        screen.line(event)
        return
    screen.set_busy((event.run, event.task_id), event.name if event.state == "running" else "")
    if event.state == "failed":
        _print_failure(screen.console, event)
    elif event.state in SIGNS and (event.state != "skipped" or event.duration):
        took = f" {event.duration:.1f} s" if event.duration is not None else ""
        again = {"up_for_retry": f", try {event.try_number} failed", "skipped": ", nothing to do"}
        screen.line(event.name, took + again.get(event.state, ""), SIGNS[event.state])
