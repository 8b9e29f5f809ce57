"""How work is shown as it goes: in a file line by line, on a terminal with what is under way."""

from __future__ import annotations

import io

from rich.console import Console

import cli.display
from cli.airflow import Task
from cli.commands.run import show_event
from cli.display import Screen


def screen(monkeypatch, terminal: bool) -> tuple[Screen, io.StringIO]:
    file = io.StringIO()
    console = Console(file=file, width=200, force_terminal=terminal, legacy_windows=False)
    monkeypatch.setattr(cli.display, "wide_console", lambda stderr: console)
    return Screen(), file


def test_in_a_file_each_step_is_a_line(monkeypatch):
    shown, file = screen(monkeypatch, terminal=False)
    with shown:
        shown.show_step("postgres", "starting", False)
        shown.show_step("stack", "a port moved [to 1]", False)
        shown.show_step("postgres", "up (0.1 s)", True)
        shown.show_step("mlflow", "failed", True)
        shown.line("demo\x1b[2J")
    assert [line[5:].rstrip() for line in file.getvalue().splitlines()] == [
        "  postgres: starting",
        "  stack: a port moved [to 1]",
        "✓ postgres: up (0.1 s)",
        "✗ mlflow: failed",
        r"  demo\x1b[2J",
    ]


def test_on_a_terminal_what_is_under_way_is_shown_until_it_ends(monkeypatch):
    shown, file = screen(monkeypatch, terminal=True)
    with shown:
        shown.show_step("postgres", "starting", False)
        shown.show_step("postgres", "still [starting]", False)
        assert [row.description for row in shown.tasks] == [
            "in all",
            "postgres: still [starting]",
        ]
        shown.show_step("postgres", "up (0.1 s)", True)
        assert [row.description for row in shown.tasks] == ["in all"]
    assert "postgres" in file.getvalue() and "up (0.1 s)" in file.getvalue()


def test_a_gate_that_ran_and_found_nothing_new_is_a_line(monkeypatch):
    shown, file = screen(monkeypatch, terminal=False)
    task = {"dag_id": "extract_demo_trees", "run_id": "r", "task_id": "gate"}
    with shown:
        show_event(shown, Task(**task, state="skipped", duration=1.5))
        show_event(shown, Task(**task, state="skipped"))  # it never began
    (line,) = file.getvalue().splitlines()
    assert "- extract_demo_trees.gate 1.5 s, nothing to do" in line
