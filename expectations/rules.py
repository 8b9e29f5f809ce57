"""Rules between columns, as sources' own suites use them."""

from __future__ import annotations

from typing import Any

from expectations.slim_gx import gx
from expectations.suite import SEVERITIES


def at_least(greater: str, smaller: str, severity: str, reason: str) -> Any:
    """Expect `greater` >= `smaller` in each row that has both.

    `severity`: `critical`, `row` or `info`. `reason`: what is recorded for a row that fails.
    """
    return gx.expectations.ExpectColumnPairValuesAToBeGreaterThanB(
        column_A=greater,
        column_B=smaller,
        or_equal=True,
        ignore_row_if="either_value_is_missing",
        severity=SEVERITIES[severity],
        description=reason,
    )
