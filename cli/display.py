"""Showing things to people: tables, steps as they go, and text that cannot command a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from decimal import Decimal
from json import dumps
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from catalog.text import UNPRINTABLE, printable

#: The option of every command whose output a script may want.
Json = Annotated[bool, typer.Option("--json", help="Print JSON; progress goes to stderr.")]

#: How something ended, by its state.
SIGNS = {"success": "[green]✓[/]", "up_for_retry": "[yellow]↻[/]", "failed": "[red]✗[/]"}
SIGNS |= {"skipped": "[dim]-[/]"}

#: A row of a table: its values, or a mapping that has the columns.
Row = Sequence[object] | Mapping[str, Any]


def echo(text: object = "", err: bool = False) -> None:
    """Print a line for a person; see `printable`."""
    typer.echo(printable(text), err=err)


def print_json(value: object) -> None:
    """Print a value as JSON, exact, and with what could command a terminal escaped as JSON does.

    A dataclass becomes an object, what JSON has no form for (a date, a path) its text.
    """

    def plain(value: Any) -> object:
        is_object = is_dataclass(value) and not isinstance(value, type)
        return asdict(value) if is_object else str(value)

    text = dumps(value, indent=2, default=plain, ensure_ascii=False)
    typer.echo(UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def styled(value: object, style: str = "", *, right: bool = False) -> Text:
    """Return a value as rich text in one style: `printable`, and never read as markup."""
    return Text(printable(value), style, justify="right" if right else None)


def wide_console(stderr: bool = False) -> Console:
    """Return a console that cuts nothing to 80 columns when its output goes to a file or pipe."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=10_000)


def table(
    columns: Sequence[str],
    rows: Iterable[Row],
    text: Callable[[Any], str] | None = None,
    **options: Any,
) -> Table:
    """Return a table of values, numbers to the right, None empty.

    `text` makes text of a value, else fractions have one decimal; what is `styled` already stays
    so. `options` are those of `rich.table.Table`.
    """

    def cell(value: object) -> Text:
        if value is None or isinstance(value, Text):
            return value or Text()
        shown = f"{value:.1f}" if isinstance(value, float) else value
        right = isinstance(value, int | float | Decimal)
        return styled(text(value) if text else shown, right=right)

    made = Table(**{"box": None, "header_style": "bold", "pad_edge": False} | options)
    values = [[row[c] for c in columns] if isinstance(row, Mapping) else row for row in rows]
    cells = [[cell(value) for value in line] for line in values]
    for index, column in enumerate(columns):
        filled = [line[index] for line in cells if line[index]]
        right = bool(filled) and all(found.justify == "right" for found in filled)
        made.add_column(styled(column), justify="right" if right else "left")
    for line in cells:
        made.add_row(*line)
    return made


def print_table(columns: Sequence[str], rows: Iterable[Row], **options: Any) -> None:
    """Print a `table`, whole also where the output goes to a file or pipe."""
    wide_console().print(table(columns, rows, **options))


class Screen(Progress):
    """Shows work as it goes: a line for what ended, and on a terminal what is under way."""

    def __init__(self, stderr: bool = False) -> None:
        console = wide_console(stderr)
        text = TextColumn("{task.description}", markup=False)
        off = not console.is_terminal
        columns = SpinnerColumn(), text, TimeElapsedColumn()
        super().__init__(*columns, console=console, transient=True, disable=off)
        self.began = time.monotonic()
        self.rows: dict[Hashable, TaskID] = {}
        self.add_task("in all")

    def line(self, text: str, rest: str = "", sign: str = " ") -> None:
        """Print a line, with the time since the start."""
        minutes, seconds = divmod(int(time.monotonic() - self.began), 60)
        shown = styled(text) + styled(rest, "dim")
        self.console.print(f"{minutes}:{seconds:02d} {sign}", shown, highlight=False)

    def set_busy(self, key: Hashable, text: str = "") -> None:
        """Show what is under way, on a terminal; without a text no more."""
        if key in self.rows:
            self.remove_task(self.rows.pop(key))
        if text:
            self.rows[key] = self.add_task(printable(text))

    def show_step(self, name: str, text: str, done: bool) -> None:
        """Show what a service does; an `infra.contract.Report`. What `stack` does is a note."""
        under_way = not done and name != "stack" and self.console.is_terminal
        self.set_busy(name, f"{name}: {text}" if under_way else "")
        if not under_way:
            sign = SIGNS.get(text, SIGNS["success"]) if done else " "
            self.line(name, f": {text}", sign)
