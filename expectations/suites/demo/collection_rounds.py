"""Collection: a round cannot miss more stops than it has."""

from __future__ import annotations

from typing import Any

from catalog.models import Source
from expectations.rules import at_least


def expectations(source: Source) -> list[Any]:
    """Return the rules between columns."""
    reason = "missed_stops: is more than scheduled_stops"
    return [at_least("scheduled_stops", "missed_stops", "row", reason)]
