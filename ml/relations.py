"""Which indicator of work moves with which of residents' comments, by district and month.

`relate` reads the values of districts that dbt has made, and writes `ml.voice_relation`, which
`reporting.rpt_voice_relation` shows: for each indicator of work, each of comments and each lag of 0
to 3 months, how much more of the one there is in a district and month with more of the other.

What all districts have in common in a month (a season, a trend, a storm) and what a district always
has are taken away first: both are regressed on an effect of each month and each district. Months of
one district are not independent, so the interval comes from leaving out one district after the
other, with the effects fitted anew (the cluster jackknife, CV3 of MacKinnon, Nielsen and Webb
2023), which also holds for as few as a dozen districts, where the usual clustered error finds too
much. p-values are adjusted for the number of looks by Benjamini and Hochberg. Two things that move
together need not cause one another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from datetime import date
from typing import Any

import numpy as np
import psycopg
from scipy import stats

LAGS = (0, 1, 2, 3)
#: Fewer say nothing, so no relation is computed.
MIN_DISTRICTS = 8
MIN_MONTHS = 12
MIN_N = 60
CONFIDENCE = 0.95

_VALUES = """
    select value.city_id, value.metric_id, definition.fact = 'feedback' as is_voice,
           value.district_id, value.period_start, value.value
    from intermediate.int_kpi_value as value
    join staging.kpi_definition as definition using (metric_id, definition_version)
    join marts.dim_district as district using (city_id, district_id)
    where value.period_grain = 'month' and value.department_id = '*' and value.is_complete
      and value.value is not null and district.is_residential
    order by 1, 2, 4, 5
"""
#: City, metric, whether it is of comments, district, first day of the month, value.
ValueRow = tuple[str, str, bool, str, date, float]


@dataclass(frozen=True)
class Relation:
    """How an indicator of work and one of comments move together, `lag_months` later.

    `n` district-months, of so many districts and months. `coefficient`: by how much more of the
    voice indicator there is for one unit more of work, with its interval; `correlation` is of what
    is left once months and districts are taken away. `q_value`: the p-value, adjusted for the
    `n_tests` looks at a city. Without a coefficient, `null_reason` is `too_few` or `constant`.
    """

    city_id: str
    work_metric_id: str
    voice_metric_id: str
    lag_months: int
    n: int
    n_districts: int
    n_months: int
    coefficient: float | None = None
    low: float | None = None
    high: float | None = None
    correlation: float | None = None
    p_value: float | None = None
    q_value: float | None = None
    n_tests: int = 0
    null_reason: str | None = None


def relate(warehouse_url: str) -> str:
    """Compute the relations of all cities into `ml.voice_relation`; return a line on them."""
    with psycopg.connect(warehouse_url) as connection:
        rows = connection.execute(_VALUES).fetchall()
        found = find_relations(rows)
        columns = ", ".join(field.name for field in fields(Relation))
        connection.execute("delete from ml.voice_relation")
        with connection.cursor().copy(f"copy ml.voice_relation ({columns}) from stdin") as copy:
            for relation in found:
                copy.write_row(astuple(relation))
    tested = [relation for relation in found if relation.q_value is not None]
    below = sum(relation.q_value < 1 - CONFIDENCE for relation in tested)  # type: ignore[operator]
    return f"{len(tested)} pairs of work and voice looked at, {below} move together"


def find_relations(rows: Iterable[ValueRow]) -> list[Relation]:
    """Return a relation for each pair and lag of each city, in the order of their names."""
    by_city: dict[str, list[ValueRow]] = {}
    for row in rows:
        by_city.setdefault(row[0], []).append(row)
    return [one for city_id in sorted(by_city) for one in _of_city(city_id, by_city[city_id])]


def _of_city(city_id: str, rows: list[ValueRow]) -> list[Relation]:
    panels = _panels(rows)
    voice = sorted({row[1] for row in rows if row[2]})
    work = sorted({row[1] for row in rows if not row[2]})
    effects: dict[bytes, _Effects] = {}
    found = [
        _relation(city_id, (x, y), lag, panels, effects)
        for y in voice
        for x in work
        for lag in LAGS
    ]
    tested = [at for at, one in enumerate(found) if one["p_value"] is not None]
    if tested:
        adjusted = stats.false_discovery_control([found[at]["p_value"] for at in tested])
        for at, q_value in zip(tested, adjusted, strict=True):
            found[at] |= {"q_value": float(q_value), "n_tests": len(tested)}
    return [Relation(**one) for one in found]


def _panels(rows: list[ValueRow]) -> dict[str, np.ndarray]:
    """Return each metric's values as (district, month), NaN where there is none.

    Months are those of the calendar from the first to the last, so that a lag is one of months.
    """
    districts = {name: at for at, name in enumerate(sorted({row[3] for row in rows}))}
    first = min(_month(row[4]) for row in rows)
    shape = len(districts), max(_month(row[4]) for row in rows) - first + 1
    panels: dict[str, np.ndarray] = {}
    for _, metric_id, _, district, month, value in rows:
        panel = panels.setdefault(metric_id, np.full(shape, np.nan))
        panel[districts[district], _month(month) - first] = value
    return panels


def _month(day: date) -> int:
    return day.year * 12 + day.month


def _relation(
    city_id: str,
    pair: tuple[str, str],
    lag: int,
    panels: Mapping[str, np.ndarray],
    effects: dict[bytes, _Effects],
) -> dict[str, Any]:
    """Return what `Relation` holds, but for the adjustment; `effects`: those known, by their cells.

    `pair`: the metric of work and the one of voice, `lag` months later.
    """
    work, voice = panels[pair[0]], panels[pair[1]]
    earlier = np.full_like(work, np.nan)
    earlier[:, lag:] = work[:, : work.shape[1] - lag]
    both = ~np.isnan(earlier) & ~np.isnan(voice)
    district, month = np.nonzero(both)
    n_districts, n_months = len(np.unique(district)), len(np.unique(month))
    about: dict[str, Any] = {
        "city_id": city_id,
        "work_metric_id": pair[0],
        "voice_metric_id": pair[1],
        "lag_months": lag,
        "n": len(district),
        "n_districts": n_districts,
        "n_months": n_months,
        "p_value": None,
    }
    if len(district) < MIN_N or n_districts < MIN_DISTRICTS or n_months < MIN_MONTHS:
        return about | {"null_reason": "too_few"}
    cells = np.packbits(both).tobytes()
    if cells not in effects:
        effects[cells] = _Effects.of(district, month)
    x, y = (effects[cells].without(values[both]) for values in (earlier, voice))
    scale = [np.abs(values[both]).max() or 1.0 for values in (earlier, voice)]
    if any(np.abs(left).max() < 1e-9 * whole for left, whole in zip((x, y), scale, strict=True)):
        return about | {"null_reason": "constant"}
    found = _estimate(x, y, effects[cells].coefficients_without_each(x, y))
    return about | (found or {"null_reason": "constant"})


@dataclass(frozen=True)
class _Effects:
    """Effects of districts and months, to be taken away from observations in their order.

    `district` and `month` number those of each observation from 0. `inverse`: of the months' normal
    equations once districts are taken away; `without_each`: the same without the observations of
    each district in turn.
    """

    district: np.ndarray
    month: np.ndarray
    inverse: np.ndarray
    without_each: np.ndarray

    @classmethod
    def of(cls, district: np.ndarray, month: np.ndarray) -> _Effects:
        """Return the effects of these observations' districts and months."""
        at = [np.unique(numbers, return_inverse=True)[1] for numbers in (district, month)]
        has = np.zeros((at[0].max() + 1, at[1].max() + 1))
        has[at[0], at[1]] = 1
        of_each = has[:, :, None] * np.eye(has.shape[1])
        of_each -= has[:, :, None] * has[:, None, :] / has.sum(axis=1)[:, None, None]
        together = of_each.sum(axis=0)
        # Pseudo-inverses, because a month's effects are known but for a constant.
        return cls(
            at[0],
            at[1],
            np.linalg.pinv(together, hermitian=True),
            np.linalg.pinv(together - of_each, hermitian=True),
        )

    def without(self, values: np.ndarray) -> np.ndarray:
        """Return what the effects leave of values."""
        left = self._without_districts(values)
        by_month = self.inverse @ np.bincount(self.month, left)
        return left - self._without_districts(by_month[self.month])

    def coefficients_without_each(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the coefficient of y on x without each district, whose effects are fitted anew.

        NaN where the other districts have nothing left of x.
        """
        x, y = self._without_districts(x), self._without_districts(y)
        months = []
        for values in (x, y):
            cells = np.zeros((len(self.without_each), len(self.inverse)))
            cells[self.district, self.month] = values
            months.append(cells.sum(axis=0) - cells)

        def left_of(first: int, second: int, product: np.ndarray) -> np.ndarray:
            sums = product.sum() - np.bincount(self.district, product)
            return sums - np.einsum(
                "gt,gtu,gu->g", months[first], self.without_each, months[second]
            )

        xx, xy = left_of(0, 0, x * x), left_of(0, 1, x * y)
        known = xx > 1e-9 * (x @ x)
        return np.where(known, xy / np.where(known, xx, 1), np.nan)

    def _without_districts(self, values: np.ndarray) -> np.ndarray:
        means = np.bincount(self.district, values) / np.bincount(self.district)
        return values - means[self.district]


def _estimate(x: np.ndarray, y: np.ndarray, without: np.ndarray) -> dict[str, Any] | None:
    """Return the coefficient of y on x, its interval and p-value; None where one district has all.

    `without`: the coefficient without each district.
    """
    if np.isnan(without).any():
        return None
    xx, xy, yy = x @ x, x @ y, y @ y
    coefficient = xy / xx
    count = len(without)
    error = np.sqrt((count - 1) / count * ((without - coefficient) ** 2).sum())
    reach = stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) * error
    p_value = 2 * stats.t.sf(abs(coefficient) / error, count - 1) if error > 0 else 0.0
    return {
        "coefficient": float(coefficient),
        "low": float(coefficient - reach),
        "high": float(coefficient + reach),
        "correlation": float(xy / np.sqrt(xx * yy)),
        "p_value": float(p_value),
    }
