"""Values of indicators, recomputed from files by polars, and compared with what is stored."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

#: Of a month (`2024-06-01`): how many events there are, and the value.
Months = dict[str, tuple[int, float]]


def by_month(rows: pl.DataFrame, at: str, value: pl.Expr) -> Months:
    """Return number and value of the rows of each month of their column `at`."""
    found = rows.group_by(pl.col(at).dt.strftime("%Y-%m-01")).agg(n=pl.len(), value=value)
    return {month: (n, value) for month, n, value in found.rows()}


def stored_months(warehouse: Any, city_id: str, metric_id: str) -> Months:
    """Return what `fct_kpi` has of the months of a whole city that have events."""
    rows = warehouse.rows(
        "select period_start::text, n, value from marts.fct_kpi where district_id = '*' "
        f"and city_id = '{city_id}' and metric_id = '{metric_id}' and n > 0"
    )
    return {month: (n, value) for month, n, value in rows}


def as_stored(warehouse: Any, metric_id: str, months: Months) -> dict[str, tuple[int, Any]]:
    """Return months as they should be stored: to six digits, and without values of too few."""
    where = f"where metric_id = '{metric_id}'"
    ((floor,),) = warehouse.rows(f"select min_n from staging.kpi_definition {where}")
    return {
        month: (n, pytest.approx(value, abs=5.1e-7) if n >= floor else None)
        for month, (n, value) in months.items()
    }
