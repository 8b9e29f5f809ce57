"""`cityloom doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.display import print_json, printable


def main(
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Look for what commonly goes wrong, and say the remedy.

    Ends with 1 when something must be mended. Example: cityloom doctor
    """
    from infra.contract import operations

    findings = operations().examine()
    if json:
        from dataclasses import asdict

        print_json([asdict(finding) for finding in findings])
    else:
        from rich.console import Console
        from rich.markup import escape

        marks = {"ok": "[green]ok  [/]", "warn": "[yellow]warn[/]", "bad": "[red]bad [/]"}
        console = Console(highlight=False, soft_wrap=True)
        for finding in findings:
            found = escape(printable(f"{finding.check}: {finding.found}"))
            console.print(f"{marks[finding.verdict]}  {found}")
            if finding.remedy:
                console.print(f"      -> {escape(printable(finding.remedy))}")
    raise typer.Exit(1 if any(finding.verdict == "bad" for finding in findings) else 0)
