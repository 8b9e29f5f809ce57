"""Permits: nothing is issued before it was applied for."""

from __future__ import annotations

from typing import Any

from catalog.models import Source
from expectations.rules import at_least


def expectations(source: Source) -> list[Any]:
    """Return the rules between columns."""
    return [at_least("issued_on", "applied_on", "row", "issued_on: is before applied_on")]
