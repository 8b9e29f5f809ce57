"""Figures of peer cities: a region that is known, and no more months than the period has."""

from __future__ import annotations

from typing import Any

from catalog.models import Source
from catalog.peers import load_peer_groups
from expectations.rules import at_least
from expectations.slim_gx import gx
from expectations.suite import SEVERITIES


def expectations(source: Source) -> list[Any]:
    """Return the rules beyond the manifest."""
    return [
        at_least("months", "months_covered", "row", "months_covered: is more than months"),
        gx.expectations.ExpectColumnValuesToBeInSet(
            column="region",
            value_set=sorted(load_peer_groups().regions),
            severity=SEVERITIES["row"],
            description="region: is not one of cities/peer_groups.yml",
        ),
    ]
