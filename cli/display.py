"""Showing steps as they go: a live list on a terminal, a line a step elsewhere."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def wide_console(stderr: bool = False) -> Console:
    """Return a console that cuts nothing to 80 columns when its output goes to a file or pipe."""
    from rich.console import Console

    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=10_000)


@contextlib.contextmanager
def live(title: str) -> Iterator[Callable[[str, str, bool], None]]:
    """Yield `report(name, text, done)`: what `name` is doing now, and whether it is through."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console()
    if not console.is_terminal:
        lock = threading.Lock()

        def say(name: str, text: str, done: bool) -> None:
            with lock:
                print(f"{name}: {text}", flush=True)

        yield say
        return
    tasks = {}
    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.fields[name]}"),
        TextColumn("[dim]{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        progress.console.print(title, style="bold")

        def show(name: str, text: str, done: bool) -> None:
            if name == "stack":
                progress.console.print(f"  {text}", style="yellow", highlight=False)
                return
            if name not in tasks:
                tasks[name] = progress.add_task(text, name=name, total=1)
            progress.update(tasks[name], description=text, completed=1 if done else 0)

        yield show
