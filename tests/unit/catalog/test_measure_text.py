"""Values as text, by their unit."""

from __future__ import annotations

import pytest

from catalog.measure_text import measure_text


@pytest.mark.parametrize(
    ("value", "unit", "aggregate", "text"),
    [
        (67.813268, "%", "ratio", "67.8 %"),
        (0.196089, "share", "ratio", "19.6 %"),
        (-0.205251, "-1 to 1", "ratio", "-0.21"),
        (3263.0, "requests a month", "count", "3,263"),
        (2.680542, "collisions a month", "per_resident", "2.68"),
        (0.204448, "people a month", "per_resident", "0.204"),
        (0.00318, "requests a month", "per_resident", "0.0032"),
        (0.0, "people a month", "per_resident", "0"),
        (2.754537, "days", "median", "2.75 days"),
        (0.0241, "days", "median", "34.7 minutes"),
        (16.350556, "hours", "median", "16.4 hours"),
        (0.5, "seconds", "median", "0.500 seconds"),
        (0.0, "days", "median", "0 days"),
        (12.5, "business days", "median", "12.5 business days"),
        (None, "days", "median", ""),
    ],
)
def test_a_value_has_the_digits_that_its_unit_needs(value, unit, aggregate, text):
    assert measure_text(value, unit, aggregate) == text
