"""`cityloom sources`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.display import Json, echo, print_json, print_table

if TYPE_CHECKING:
    from catalog.models import Source

app = typer.Typer(
    help="Cities and sources as declared in manifests. Example: `cityloom sources list`"
)

#: What `list` shows of a manifest as it stands there; the table has the first four.
AS_DECLARED = ("department", "source", "cadence", "tier", "title", "owner", "licence")
OnlyCity = Annotated[str | None, typer.Argument(help="Only this city.")]


@app.command("list")
def list_(city: OnlyCity = None, json: Json = False) -> None:
    """List sources: whose they are, how and when they are read. Example: cityloom sources list."""
    from extract.manifests import load_cities

    found = load_cities(only=city)
    rows = [
        {
            "city": source.city_id,
            "connector": source.read.connector,
            "snapshot": source.snapshot.connector if source.snapshot else None,
            "key": ", ".join(source.primary_key),
            **{name: getattr(source, name) for name in AS_DECLARED},
        }
        for source in found.sources
    ]
    if found.problems:
        files = {str(problem.path) for problem in found.problems}
        echo(f"{len(files)} file(s) cannot be used; see `cityloom sources check`", err=True)
    if json:
        print_json(rows)
    else:
        columns = ["city", *AS_DECLARED[:2], "connector", "snapshot", "key", *AS_DECLARED[2:4]]
        print_table(columns, rows)


@app.command()
def check(
    city: OnlyCity = None,
    source: Annotated[str | None, typer.Argument(help="Only this source (with --data).")] = None,
    data: Annotated[Path | None, typer.Option(help="Also read the files in this folder.")] = None,
    snapshot: Annotated[bool, typer.Option("--snapshot", help="--data holds snapshots.")] = False,
) -> None:
    """Check the manifests; with --data, also the files against them. Loads nothing.

    Names each problem by file, line, key and remedy, and ends with 1 if there is one.

    Example: cityloom sources check nyc --data ../shared/data/nyc --snapshot
    """
    from catalog.checks import declaration_problems
    from catalog.generate import holiday_problem
    from extract.manifests import load_cities

    found = load_cities(only=city)
    problems = [*found.problems, *declaration_problems(found)]
    for problem in problems:
        echo(problem, err=True)
    good = not problems
    unusable = {(broken.city_id, broken.source_id) for broken in found.broken}
    for known in found.cities:
        wrong = sum(broken.city_id == known.city_id for broken in found.broken)
        rest = f", {wrong} cannot be used" if wrong else ""
        count = len(known.sources)
        echo(f"{known.city_id}: {count} manifest{' is' if count == 1 else 's are'} good{rest}")
        if warning := holiday_problem(known):
            echo(f"warning: {warning}", err=True)
        if data is not None and (known.city_id, source) not in unusable:
            for one in [known.source(source)] if source else known.sources:
                good &= _check_files(one, data, "snapshot" if snapshot else "read")
    raise typer.Exit(0 if good else 1)


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
    for known, one in found.items():
        typer.secho(known, bold=True, nl=False)
        echo(f"  {one.summary}{'' if one.reads_files else ' (no files)'}")
        rows = []
        for option, field in one.options.model_fields.items():
            default = "" if field.default in (None, []) else repr(field.default)
            rows.append([option, "required" if field.is_required() else default, field.description])
        print_table(["option", "default", "meaning"], rows)
        echo()


@app.command()
def schema(
    city: Annotated[bool, typer.Option("--city", help="That of city.yml, not manifests'.")] = False,
) -> None:
    """Print the JSON schema of manifests, for editors that check YAML as it is written.

    Example: cityloom sources schema > manifest.schema.json
    """
    from extract.manifests import json_schema

    print_json(json_schema("city" if city else "source"))


def _check_files(source: Source, data: Path, mode: str) -> bool:
    """Say what a load would find in a source's files; return whether they can be read."""
    from extract.dry_run import dry_run
    from extract.errors import ExtractError

    try:
        found = dry_run(source, data, mode)
    except ExtractError as error:
        echo(f"  {source.source}: {error}", err=True)
        return False
    echo(f"  {source.source}: {found.rows} rows, {found.quarantined} to be quarantined")
    for one in found.reasons:
        echo(f"    {one.count} like: {one.reason}; first in {one.file}, row {one.row}")
    if found.undeclared:
        echo(f"    columns that the manifest does not declare: {', '.join(found.undeclared)}")
    return True
