"""`cityloom down`."""

from __future__ import annotations


def main() -> None:
    """Stop every server; what is stored stays.

    Example: cityloom down
    """
    from cli.display import live
    from infra.contract import operations

    with live("Stopping Cityloom") as report:
        operations().down(report)
