"""`cityloom sources`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.display import Json, echo, print_json, table, wide_console

if TYPE_CHECKING:
    from catalog.models import Source

app = typer.Typer(
    help="Cities and sources as their manifests say. Example: `cityloom sources list`"
)


@app.callback()
def main() -> None:
    """Cities and sources as their manifests say."""


@app.command("list")
def list_(
    city: Annotated[str | None, typer.Argument(help="Only this city's sources.")] = None,
    json: Json = False,
) -> None:
    """List sources: whose they are, how and when they are read. Example: cityloom sources list."""
    from extract.manifests import load_cities

    found = load_cities(only=city)
    rows = [
        {
            "city": source.city_id,
            "department": source.department,
            "source": source.source,
            "title": source.title,
            "connector": source.read.connector,
            "snapshot": source.snapshot.connector if source.snapshot else None,
            "key": ", ".join(source.primary_key),
            "cadence": source.cadence,
            "tier": source.tier,
            "owner": source.owner,
            "licence": source.licence,
        }
        for source in found.sources
    ]
    if found.problems:
        files = {str(problem.path) for problem in found.problems}
        echo(f"{len(files)} file(s) cannot be used; see `cityloom sources check`", err=True)
    if json:
        print_json(rows)
        return
    columns = ["city", "department", "source", "connector", "snapshot", "key", "cadence", "tier"]
    wide_console().print(table(columns, [[row[column] for column in columns] for row in rows]))


@app.command()
def check(
    city: Annotated[str | None, typer.Argument(help="Only this city.")] = None,
    source: Annotated[str | None, typer.Argument(help="Only this source (with --data).")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Also read the sources from this folder.")
    ] = None,
    snapshot: Annotated[
        bool, typer.Option("--snapshot", help="With --data: by the manifests' snapshot reader.")
    ] = False,
) -> None:
    """Check the manifests; with --data, also that the files are what they say. Loads nothing.

    Names each problem by file, line, key and remedy, and ends with 1 if there is one.

    Example: cityloom sources check nyc --data ../shared/data/nyc --snapshot
    """
    from catalog.facts import feed_problems, load_facts
    from catalog.generate import DBT_PROJECT
    from extract.manifests import load_cities

    found = load_cities(only=city)
    problems = [
        *found.problems,
        *feed_problems(found.sources, load_facts(DBT_PROJECT), DBT_PROJECT),
    ]
    for problem in problems:
        echo(problem, err=True)
    good = not problems
    for known in found.cities:
        wrong = sum(broken.city_id == known.city_id for broken in found.broken)
        echo(
            f"{known.city_id}: {len(known.sources)} manifests are good"
            + (f", {wrong} cannot be used" if wrong else "")
        )
        if data is not None:
            try:
                chosen = [known.source(source)] if source else known.sources
            except KeyError as error:
                raise typer.BadParameter(str(error.args[0]), param_hint="SOURCE") from error
            for one in chosen:
                good &= _check(one, data, "snapshot" if snapshot else "read")
    if not good:
        raise typer.Exit(1)


@app.command()
def connectors(
    name: Annotated[str | None, typer.Argument(help="Only this connector.")] = None,
    json: Json = False,
) -> None:
    """List connectors and their options, as manifests name them.

    Example: cityloom sources connectors csv
    """
    from extract.connectors import REGISTRY, connector

    found = {known: connector(known) for known in ([name] if name else sorted(REGISTRY))}
    if json:
        print_json(
            {
                known: {
                    "summary": one.summary,
                    "reads_files": one.reads_files,
                    "options": one.options.model_json_schema(),
                }
                for known, one in found.items()
            }
        )
        return
    console = wide_console()
    for known, one in found.items():
        files = "" if one.reads_files else " (no files)"
        console.print(f"[bold]{known}[/]  {one.summary}{files}", highlight=False)
        rows = [
            [
                option,
                "required" if field.is_required() else _default(field.default),
                field.description,
            ]
            for option, field in one.options.model_fields.items()
        ]
        console.print(table(["option", "default", "meaning"], rows))
        console.print()


def _default(value: object) -> str:
    return "" if value in (None, []) else repr(value)


@app.command()
def schema(
    city: Annotated[
        bool, typer.Option("--city", help="The schema of city.yml, not of manifests.")
    ] = False,
) -> None:
    """Print the JSON schema of manifests, for editors that check YAML as it is written.

    Example: cityloom sources schema > manifest.schema.json
    """
    from extract.manifests import json_schema

    print_json(json_schema("city" if city else "source"))


def _check(source: Source, data: Path, mode: str) -> bool:
    from extract.dry_run import dry_run
    from extract.errors import ExtractError

    try:
        found = dry_run(source, data, mode)
    except ExtractError as error:
        echo(f"  {source.source}: {error}", err=True)
        return False
    echo(f"  {source.source}: {found.rows} rows, {found.quarantined} to be quarantined")
    for reason, count in found.reasons:
        echo(f"    {count} like: {reason}")
    if found.undeclared:
        echo(f"    columns that the manifest does not declare: {', '.join(found.undeclared)}")
    return True
