"""Rodent inspections: a few are approved, by the record, before they were made."""

from __future__ import annotations

from typing import Any

from catalog.models import Source
from expectations.rules import at_least


def expectations(source: Source) -> list[Any]:
    """Return the rules between columns."""
    reason = "approved_date: is before inspection_date"
    return [at_least("approved_date", "inspection_date", "info", reason)]
