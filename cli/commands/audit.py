"""`cityloom audit`."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from cli.display import Json, echo, print_json, print_table
from infra import contract


def main(
    person: Annotated[str | None, typer.Option(help="Only reads of this person.")] = None,
    relation: Annotated[
        str | None, typer.Option(help="Only reads of this one, such as marts.fct_feedback.")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(help="Only reads from this time on, in UTC.")
    ] = None,
    logs: Annotated[
        list[Path] | None,
        typer.Option(
            "--log", help="A log of PostgreSQL to read, oldest first; repeatable.", exists=True
        ),
    ] = None,
    json: Json = False,
) -> None:
    """List who read relations that may hold restricted rows, and when, by PostgreSQL's own log.

    Example: cityloom audit --relation marts.fct_feedback --since 2026-11-01
    """
    from warehouse.access_log import lines_of, reads

    files = logs or contract.operations().database_logs()
    first = since.replace(tzinfo=UTC) if since else datetime.min.replace(tzinfo=UTC)
    lines = chain.from_iterable(map(lines_of, files))
    found = [
        read
        for read in reads(lines)
        if read.at >= first and person in (None, read.person) and relation in (None, read.relation)
    ]
    if json:
        print_json(found)
        return
    rows = [
        (f"{read.at:%Y-%m-%d %H:%M:%S}", read.person, read.login, read.relation, _short(read))
        for read in found
    ]
    print_table(["at (UTC)", "person", "login", "relation", "statement"], rows)
    if not found:
        echo("no such read is in the logs: " + ", ".join(map(str, files)))


def _short(read: object) -> str:
    text = " ".join(getattr(read, "statement", "").split())
    return text if len(text) <= 120 else f"{text[:119]}…"
