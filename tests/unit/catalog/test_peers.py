"""Bands and regions of peer cities, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.cities import read_cities
from catalog.peers import load_peer_groups, region_problems
from catalog.problems import ManifestError

GROUPS = """
bands:
  - {name: small, from: 0}
  - {name: large, from: 1000}
regions: {west: West}
min_cities: 3
"""


@pytest.fixture
def groups(tmp_path: Path) -> Path:
    path = tmp_path / "peer_groups.yml"
    path.write_text(GROUPS)
    return path


def test_a_band_reaches_up_to_the_next(groups: Path):
    assert load_peer_groups(groups).band_rows() == [
        (1, "small", 0, 1000),
        (2, "large", 1000, None),
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("from: 1000", "from: 0", "bands: each band's `from` is above the one before"),
        ("from: 0", "from: 5", "bands: each band's `from` is above the one before"),
        ("min_cities: 3", "min_cities: 1", "min_cities: "),
        ("regions: {west: West}", "regions: west", "regions: "),
        ("min_cities: 3", "min_citys: 3", "min_citys: "),
        ("bands:", "bands: [", "is not YAML"),
    ],
)
def test_a_mistake_is_answered_with_file_and_key(groups: Path, old: str, new: str, said: str):
    groups.write_text(GROUPS.replace(old, new))
    with pytest.raises(ManifestError) as caught:
        load_peer_groups(groups)
    assert any(f"{groups.name}: {said}" in problem for problem in caught.value.problems)
    assert region_problems([], groups) == caught.value.problems


def test_a_region_that_is_not_in_the_file_is_a_problem_of_its_city(groups: Path):
    (city,) = read_cities(only="demo").cities
    (problem,) = region_problems([city], groups)
    assert problem.startswith(f"{city.path}: region: 'midwest' is not in peer_groups.yml; ")
    assert not region_problems([city.model_copy(update={"region": "west"})], groups)
    assert not region_problems([city.model_copy(update={"region": None})], groups)


def test_cities_and_peer_groups_in_git_agree():
    assert not region_problems(read_cities().cities)
