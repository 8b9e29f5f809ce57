"""311: agencies correct dates by hand, and 1900-01-01 stands for unknown."""

from __future__ import annotations

from typing import Any

from catalog.models import Source
from expectations.rules import at_least


def expectations(source: Source) -> list[Any]:
    """Return the rules between columns."""
    reason = "closed_date: is before created_date; staging takes the time of closing as not known"
    return [at_least("closed_date", "created_date", "info", reason)]
