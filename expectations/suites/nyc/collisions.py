"""Collisions: no group of people can have more hurt than there are people hurt."""

from __future__ import annotations

from typing import Any

from catalog.models import Source
from expectations.rules import at_least


def expectations(source: Source) -> list[Any]:
    """Return the rules between columns."""
    return [
        at_least(
            f"number_of_persons_{harm}",
            f"number_of_{group}_{harm}",
            "row",
            f"number_of_persons_{harm}: is less than number_of_{group}_{harm}",
        )
        for harm in ("injured", "killed")
        for group in ("pedestrians", "cyclist", "motorist")
    ]
