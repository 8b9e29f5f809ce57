"""Parks: no work is done before its order was written."""

from __future__ import annotations

from typing import Any

from catalog.models import Source
from expectations.rules import at_least


def expectations(source: Source) -> list[Any]:
    """Return the rules between columns."""
    return [at_least("completed_on", "opened_on", "row", "completed_on: is before opened_on")]
