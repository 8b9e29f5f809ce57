"""Values of indicators, recomputed from files by polars, and compared with what is stored."""

from __future__ import annotations

from typing import Any

import numpy as np
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


def withheld_that_follow(warehouse: Any, city_id: str) -> list[tuple[str, str, str]]:
    """Return the withheld months that linear algebra finds from what is shown: metric, area, month.

    Known are, of each ratio, the city's months, the districts' months and the trailing years;
    unknown are the withheld months, and in each month what has no district.
    """
    cells = warehouse.rows(
        "select value.metric_id, district_id, period_grain, period_start, value.period_end, "
        "is_complete, value.null_reason in ('too_few', 'derivable'), n, value.months_covered "
        "from intermediate.int_kpi_value as value "
        "join staging.kpi_definition as definition on value.metric_id = definition.metric_id "
        f"where city_id = '{city_id}' and department_id = '*' and aggregate = 'ratio'"
    )
    found = []
    for metric in sorted({cell[0] for cell in cells}):
        own = [cell[1:] for cell in cells if cell[0] == metric]
        months = {(area, start): cell for area, grain, start, *cell in own if grain == "month"}
        hidden = [key for key, cell in months.items() if cell[2]]
        spread = {month for area, month in months if area == "*"}
        located = {month: 0 for month in spread}
        for (area, month), cell in months.items():
            if area != "*":
                located[month] += cell[3]
        nowhere = [("", month) for month in spread if months["*", month][3] > located[month]]
        unknown = {key: number for number, key in enumerate([*hidden, *nowhere])}
        if not hidden:
            continue
        rows = []
        for month in spread:  # the city less what its districts show
            row = np.zeros(len(unknown))
            for (area, at), number in unknown.items():
                if at == month:
                    row[number] = -1.0 if area == "*" else 1.0
            rows.append(row)
        for area, grain, start, end, _, is_hidden, _, covered in own:
            counted = [
                key
                for key, cell in months.items()
                if key[0] == area and start <= key[1] < end and cell[1]
            ]
            # A year of fewer months than are complete leaves the withheld ones out.
            if grain == "month" or is_hidden or covered < len(counted):
                continue
            row = np.zeros(len(unknown))
            for key in counted:
                if key in unknown:
                    row[unknown[key]] = 1.0
            rows.append(row)
        matrix = np.array([row for row in rows if row.any()])
        if not len(matrix):
            continue
        _, sizes, basis = np.linalg.svd(matrix)
        free = basis[(sizes > 1e-9).sum() :]  # directions in which nothing is known
        for (area, month), number in unknown.items():
            if area and not np.any(np.abs(free[:, number]) > 1e-9):
                found.append((metric, area, f"{month}"))
    return found
