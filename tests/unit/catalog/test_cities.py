"""A mistake under `cities/` is answered with file, key and remedy; every mistake, not the first."""

from __future__ import annotations

import pytest
import yaml

from catalog.cities import ManifestError, load_city

CITY = {
    "name": "Testville",
    "country": "US",
    "language": "en",
    "time_zone": "UTC",
    "population": 1000,
    "population_year": 2024,
    "departments": {"parks": "Parks"},
}
SOURCE = {
    "source": "pools",
    "title": "Pools",
    "grain": "one row a pool",
    "owner": "Parks",
    "licence": "CC0-1.0",
    "tier": "open",
    "cadence": "@daily",
    "primary_key": ["pool_id"],
    "read": {"connector": "csv", "files": ["pools.csv"]},
    "columns": {"pool_id": {"required": True}},
}


@pytest.fixture
def write(tmp_path):
    def write(city=CITY, department="parks", **sources):
        folder = tmp_path / "testville" / "sources" / department
        folder.mkdir(parents=True, exist_ok=True)
        (tmp_path / "testville" / "city.yml").write_text(yaml.safe_dump(city))
        for name, source in sources.items():
            text = source if isinstance(source, str) else yaml.safe_dump(source)
            (folder / f"{name}.yml").write_text(text)
        return tmp_path

    return write


def problems(cities_dir) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        load_city("testville", cities_dir)
    return caught.value.problems


def test_a_good_city_is_read_whole(write):
    city = load_city("testville", write(pools=SOURCE))
    (source,) = city.sources
    assert (source.city_id, source.department, source.raw_table) == (
        "testville",
        "parks",
        "testville__pools",
    )


@pytest.mark.parametrize(
    "change, words",
    [
        ({"cadense": "@daily"}, ("cadense", "not a known key", "'cadence'")),
        ({"tier": "secret"}, ("tier", "'secret'", "open")),
        ({"primary_key": ["pool"]}, ("'pool'", "not under columns")),
        ({"primary_key": []}, ("primary_key", "name the columns")),
        ({"source": "ponds"}, ("'ponds'", "name it 'pools'")),
        ({"city_id": "elsewhere"}, ("city_id", "comes from the folder", "remove it")),
        ({"columns": {"pool_id": {"typ": "text"}}}, ("columns.pool_id.typ", "'type'")),
        ({"columns": {"pool_id": {"personal": "drop"}}}, ("pool_id", "only be hashed")),
        ({"columns": {"pool_id": {}, "Name": {}}}, ("columns.Name", "lower case")),
        (
            {"columns": {"pool_id": {}, "name": {"aliases": ["Pool ID"]}}},
            ("'pool_id' also means",),
        ),
    ],
)
def test_a_mistake_is_told_with_file_key_and_remedy(write, change, words):
    (problem,) = problems(write(pools={**SOURCE, **change}))
    assert "pools.yml" in problem
    for word in words:
        assert word in problem


def test_a_missing_key_is_named(write):
    source = {key: value for key, value in SOURCE.items() if key != "licence"}
    (problem,) = problems(write(pools=source))
    assert "pools.yml: licence: is missing; add it" in problem


def test_what_is_not_yaml_is_told_with_its_line(write):
    (problem,) = problems(write(pools="source: pools\ncolumns: {"))
    assert "pools.yml" in problem and "line 2" in problem and "not YAML" in problem


def test_every_mistake_is_told_at_once(write):
    found = problems(
        write(pools={**SOURCE, "tier": "x"}, ponds={**SOURCE, "source": "ponds", "owner": 1})
    )
    assert len(found) == 2


def test_a_department_that_the_city_has_not_is_named(write):
    (problem,) = problems(write(department="zoo", pools=SOURCE))
    assert "city.yml" in problem and "'zoo'" in problem


def test_a_city_that_is_not_there_is_answered_with_those_that_are(write):
    with pytest.raises(ManifestError, match="Cities here: testville"):
        load_city("atlantis", write(pools=SOURCE))
