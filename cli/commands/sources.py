"""`cityloom sources`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.display import echo, print_json, table, wide_console

app = typer.Typer(
    help="Cities and sources as their manifests say. Example: `cityloom sources list`"
)


@app.callback()
def main() -> None:
    """Cities and sources as their manifests say."""


@app.command("list")
def list_(
    city: Annotated[str | None, typer.Argument(help="Only this city's sources.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List sources: whose they are, how and when they are read. Example: cityloom sources list."""
    from catalog.cities import city_ids, load_city

    rows = [
        {
            "city": found.city_id,
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
        for found in map(load_city, [city] if city else city_ids())
        for source in found.sources
    ]
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

    Example: cityloom sources check nyc --data ../shared/data/nyc --snapshot
    """
    from catalog.cities import ManifestError, city_ids, load_city

    good = True
    for city_id in [city] if city else city_ids():
        try:
            found = load_city(city_id)
        except ManifestError as error:
            good = False
            for problem in error.problems:
                echo(problem, err=True)
            continue
        echo(f"{city_id}: {len(found.sources)} manifests are good")
        if data is not None:
            for one in [found.source(source)] if source else found.sources:
                good &= _check(one, data, "snapshot" if snapshot else "read")
    if not good:
        raise typer.Exit(1)


def _check(source, data: Path, mode: str) -> bool:
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
