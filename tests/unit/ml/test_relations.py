"""Relations of work and voice: planted ones are found, and where there is none, few are."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from scipy import stats

from ml.relations import LAGS, Relation, ValueRow, find_relations

DISTRICTS, MONTHS = 12, 36
PAIR = ("work_0", "voice_1")


def wandering(rng: np.random.Generator, shape: tuple[int, int], keeps: float) -> np.ndarray:
    """Values of which each month keeps a share of the one before."""
    values = rng.normal(size=shape)
    for month in range(1, shape[1]):
        values[:, month] += keeps * values[:, month - 1]
    return values


def with_common(rng: np.random.Generator, own: np.ndarray) -> np.ndarray:
    """Add what misleads: the level of each district, one season and one trend for all."""
    months = np.arange(own.shape[1])
    season = 4 * np.cos(2 * np.pi * months / 12) + 0.2 * months
    return own + season + 5 * rng.normal(size=(own.shape[0], 1))


def rows_of(panels: dict[str, np.ndarray], city: str = "a") -> list[ValueRow]:
    """Rows as the warehouse gives them; metrics of voice begin with `voice`."""
    return [
        (city, name, name.startswith("voice"), f"d{d:02}", date(2023 + m // 12, m % 12 + 1, 1), v)
        for name, panel in panels.items()
        for (d, m), v in np.ndenumerate(panel)
        if not np.isnan(v)
    ]


def unrelated(rng: np.random.Generator, keeps: float) -> list[ValueRow]:
    shape = (DISTRICTS, MONTHS)
    names = [*(f"work_{at}" for at in range(6)), "voice_0", "voice_1"]
    panels = {name: with_common(rng, wandering(rng, shape, keeps)) for name in names}
    panels["voice_1"][rng.random(shape) < 0.1] = np.nan
    return rows_of(panels)


def planted(rng: np.random.Generator, lag: int, slope: float) -> list[ValueRow]:
    work = wandering(rng, (DISTRICTS, MONTHS), 0.3)
    voice = wandering(rng, (DISTRICTS, MONTHS), 0.3)
    voice[:, lag:] += slope * work[:, : MONTHS - lag]
    other = wandering(rng, (DISTRICTS, MONTHS), 0.3)
    panels = {"work_0": work, "work_1": other, "voice_0": voice}
    return rows_of({name: with_common(rng, panel) for name, panel in panels.items()})


def finds(relations: list[Relation]) -> list[Relation]:
    return [one for one in relations if one.q_value is not None and one.q_value < 0.05]


@pytest.mark.parametrize("keeps", [0.0, 0.6])
def test_without_a_relation_few_cities_have_any_find(keeps: float):
    """Of 20 cities with 48 looks each, about one in twenty; season and trend are common to all."""
    rng = np.random.default_rng(20261126)
    found = [finds(find_relations(unrelated(rng, keeps))) for _ in range(20)]
    assert sum(map(bool, found)) <= 3


def test_without_the_effects_the_common_season_would_be_a_relation():
    rng = np.random.default_rng(1)
    rows = unrelated(rng, 0.0)
    of = {
        name: np.array([row[5] for row in rows if row[1] == name]) for name in ("work_0", "voice_0")
    }
    assert np.corrcoef(of["work_0"], of["voice_0"])[0, 1] ** 2 * len(of["work_0"]) > 20


@pytest.mark.parametrize("lag", LAGS)
def test_a_planted_relation_is_found_at_its_lag(lag: int):
    rng = np.random.default_rng(7)
    relations = find_relations(planted(rng, lag, -0.4))
    best = min(relations, key=lambda one: one.q_value or 1)
    assert (best.work_metric_id, best.voice_metric_id) == ("work_0", "voice_0")
    assert best.lag_months == lag and best.q_value < 0.01 and best.n_tests == 2 * len(LAGS)
    assert best.low < -0.4 < best.high < 0 and best.correlation < 0
    assert (best.n, best.n_districts) == (DISTRICTS * (MONTHS - lag), DISTRICTS)
    assert best.n_months == MONTHS - lag


def test_the_interval_has_the_truth_in_it_as_often_as_it_says():
    rng = np.random.default_rng(11)
    inside = 0
    for _ in range(100):
        (one,) = (
            one
            for one in find_relations(planted(rng, 1, 0.3))
            if (one.work_metric_id, one.lag_months) == ("work_0", 1)
        )
        inside += one.low <= 0.3 <= one.high
    assert inside >= 89


def test_the_interval_fits_the_effects_anew_without_each_district():
    """By least squares on dummies, without each district in turn; the panel has gaps."""
    rows = [row for row in unrelated(np.random.default_rng(2), 0.6) if row[1] in PAIR]
    panels = {name: {row[3:5]: row[5] for row in rows if row[1] == name} for name in PAIR}
    cells = sorted(panels["work_0"].keys() & panels["voice_1"].keys())
    assert len(cells) < DISTRICTS * MONTHS

    def coefficient(kept: list[tuple[str, date]]) -> float:
        dummies = [
            np.array([[cell[part] == one for one in {c[part] for c in kept}] for cell in kept])
            for part in (0, 1)
        ]
        work, voice = (np.array([panels[name][cell] for cell in kept]) for name in PAIR)
        return np.linalg.lstsq(np.column_stack([work, *dummies]), voice)[0][0]

    (found,) = (one for one in find_relations(rows) if one.lag_months == 0)
    whole = coefficient(cells)
    without = [
        coefficient([cell for cell in cells if cell[0] != left_out])
        for left_out in {cell[0] for cell in cells}
    ]
    error = np.sqrt((DISTRICTS - 1) / DISTRICTS * sum((one - whole) ** 2 for one in without))
    reach = stats.t.ppf(0.975, DISTRICTS - 1) * error
    assert found.coefficient == pytest.approx(whole)
    assert (found.low, found.high) == pytest.approx((whole - reach, whole + reach))


def test_what_one_district_alone_has_is_no_relation():
    rng = np.random.default_rng(4)
    voice = rng.normal(size=(DISTRICTS, MONTHS))
    alone = np.zeros((DISTRICTS, MONTHS))
    alone[3] = rng.normal(size=MONTHS)
    found = find_relations(rows_of({"work_0": alone, "voice_0": voice}))
    assert {one.null_reason for one in found} == {"constant"}


def test_too_little_and_what_never_changes_has_no_relation():
    rng = np.random.default_rng(3)
    shape = (DISTRICTS, MONTHS)
    few = np.full(shape, np.nan)
    few[:7] = rng.normal(size=(7, MONTHS))
    panels = {
        "voice_0": rng.normal(size=shape),
        "work_few": few,
        "work_same": np.full(shape, 3.7) + np.arange(MONTHS),
    }
    found = {(one.work_metric_id, one.lag_months): one for one in find_relations(rows_of(panels))}
    assert {one.null_reason for (name, _), one in found.items() if name == "work_few"} == {
        "too_few"
    }
    assert {found["work_same", lag].null_reason for lag in LAGS} == {"constant"}
    assert all(one.coefficient is None and one.q_value is None for one in found.values())


def test_each_city_is_corrected_for_its_own_looks():
    rng = np.random.default_rng(5)
    one, other = planted(rng, 1, -0.4), planted(rng, 2, 0.5)
    together = find_relations([*one, *(("b", *row[1:]) for row in other)])
    assert [r for r in together if r.city_id == "a"] == find_relations(one)
    assert {r.n_tests for r in together} == {2 * len(LAGS)}
    assert not find_relations([])
