"""Showing things to people: tables, steps as they go, and text that cannot command a terminal."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

#: The option of every command whose output a script may want.
Json = Annotated[bool, typer.Option("--json", help="Print JSON; progress goes to stderr.")]

#: Control characters but tab and line feed, those that turn the direction of the text after them,
#: and halves of characters (bytes of a file name that are not UTF-8).
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
#: What spreadsheets take for the beginning of a formula, in wide letters too; and plain numbers.
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?[0-9]+([.,][0-9]+)*")


def printable(value: object) -> str:
    r"""Return text for a terminal: escape sequences are shown, as `\x1b[2J`, and not obeyed.

    >>> printable("a\x1b[2Jb"), printable(None)
    ('a\\x1b[2Jb', '')
    """
    text = "" if value is None else str(value)
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def spreadsheet_cell(text: str) -> str:
    """Return text for a CSV cell: what a spreadsheet would run as a formula begins with `'`.

    >>> spreadsheet_cell("=1+1"), spreadsheet_cell("-1.5"), spreadsheet_cell("a=b")
    ("'=1+1", '-1.5', 'a=b')
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def echo(text: object = "", err: bool = False) -> None:
    """Print a line for a person; see `printable`."""
    typer.echo(printable(text), err=err)


def print_json(value: object) -> None:
    """Print a value as JSON, exact, and with what could command a terminal escaped as JSON does."""
    from json import dumps

    text = dumps(value, indent=2, default=str, ensure_ascii=False)
    typer.echo(_UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def wide_console(stderr: bool = False) -> Console:
    """Return a console that cuts nothing to 80 columns when its output goes to a file or pipe."""
    from rich.console import Console

    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=10_000)


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    text: Callable[[Any], str] = printable,
    **options: Any,
) -> Table:
    """Return a table of values, numbers to the right, None empty.

    `text` makes text of a value. A `rich.text.Text` keeps its style and its side. `options` are
    those of `rich.table.Table`.
    """
    from rich.table import Table
    from rich.text import Text

    def cell(value: object) -> Text:
        if isinstance(value, Text):
            return value
        return Text("" if value is None else printable(text(value)))

    made = Table(**{"box": None, "header_style": "bold", "pad_edge": False} | options)
    for index, column in enumerate(columns):
        values = [row[index] for row in rows if row[index] is not None]
        right = bool(values) and all(
            value.justify == "right" if isinstance(value, Text) else _is_number(value)
            for value in values
        )
        made.add_column(Text(printable(column)), justify="right" if right else "left")
    for row in rows:
        made.add_row(*(cell(value) for value in row))
    return made


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal)


def count(number: int, style: str = "") -> Any:
    """Return a number of rows as a cell of a `table`, with separators: 1,234."""
    from rich.text import Text

    return Text(f"{number:,}", style=style, justify="right")


@contextlib.contextmanager
def live(title: str, stderr: bool = False) -> Iterator[Callable[[str, str, bool], None]]:
    """Yield `report(name, text, done)`: what `name` is doing now, and whether it is through.

    A list on a terminal, a line a step elsewhere. What `name` "stack" does is a note between them.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=stderr)
    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.fields[name]}"),
        TextColumn("[dim]{task.description}"),
        TimeElapsedColumn(),
    )
    steps: dict[str, Any] = {}
    lock = threading.Lock()
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        if console.is_terminal:
            console.print(title, style="bold")

        def report(name: str, text: str, done: bool) -> None:
            with lock:
                if not console.is_terminal:
                    typer.echo(f"{name}: {printable(text)}", err=stderr)
                elif name == "stack":
                    console.print(f"  {escape(printable(text))}", style="yellow", highlight=False)
                else:
                    if name not in steps:
                        steps[name] = progress.add_task("", name=name, total=1)
                    shown = escape(printable(text))
                    progress.update(steps[name], description=shown, completed=int(done))

        yield report
