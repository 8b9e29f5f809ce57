"""Taxi meters: a few were set to another time between pickup and dropoff."""

from __future__ import annotations

from typing import Any

from catalog.models import Source
from expectations.rules import at_least


def expectations(source: Source) -> list[Any]:
    """Return the rules between columns."""
    reason = "dropoff_datetime: is before pickup_datetime"
    return [at_least("dropoff_datetime", "pickup_datetime", "info", reason)]
