"""The 311 line: nothing is closed or changed before it was asked for."""

from __future__ import annotations

from typing import Any

from catalog.models import Source
from expectations.rules import at_least


def expectations(source: Source) -> list[Any]:
    """Return the rules between columns."""
    return [
        at_least("closed_at", "opened_at", "row", "closed_at: is before opened_at"),
        at_least("updated_at", "opened_at", "row", "updated_at: is before opened_at"),
    ]
