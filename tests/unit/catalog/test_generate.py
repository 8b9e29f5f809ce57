from __future__ import annotations

import csv
from pathlib import Path

import pytest
import yaml

from catalog import generate
from catalog.cities import ManifestError, load_cities, load_city

CITY = """
name: Smalltown
country: US
language: en
time_zone: America/Chicago
population: 1000
population_year: 2024
departments: {works: Public Works}
"""
SOURCE = """
source: potholes
title: Potholes
grain: one row a pothole
owner: Public Works
licence: CC0-1.0
tier: open
cadence: "0 5 * * *"
primary_key: [street, found_on]
read: {connector: csv, files: ["potholes.csv"]}
columns:
  street: {description: "Street"}
  found_on: {type: date}
  depth: {type: double}
  reported_by: {personal: drop}
"""


@pytest.fixture
def cities(tmp_path: Path):
    folder = tmp_path / "cities" / "smalltown"
    (folder / "sources" / "works").mkdir(parents=True)
    (folder / "city.yml").write_text(CITY)
    (folder / "sources" / "works" / "potholes.yml").write_text(SOURCE)
    return tmp_path / "cities"


def test_what_is_kept_in_git_is_what_the_manifests_say():
    assert generate.stale() == []


def test_every_source_of_every_city_is_a_table_that_dbt_knows():
    document = yaml.safe_load((generate.DBT_PROJECT / "models/staging/_sources.yml").read_text())
    tables = {table["name"] for table in document["sources"][0]["tables"]}
    assert tables == {s.raw_table for city in load_cities() for s in city.sources}


def test_source_has_key_types_and_loader_columns_and_nothing_that_is_dropped(cities: Path):
    texts = generate.rendered([load_city("smalltown", cities)])
    document = yaml.safe_load(texts[Path("models/staging/_sources.yml")])
    (table,) = document["sources"][0]["tables"]
    assert table["name"] == "smalltown__potholes"
    assert table["config"]["meta"]["primary_key"] == ["street", "found_on"]
    types = {column["name"]: column["data_type"] for column in table["columns"]}
    assert types == {
        "street": "text",
        "found_on": "date",
        "depth": "double precision",
        "_load_id": "bigint",
        "_row_hash": "text",
        "_source_file": "text",
        "_source_row": "bigint",
    }


def test_a_changed_manifest_shows_as_stale_until_written(cities: Path, tmp_path: Path):
    project = tmp_path / "dbt"
    city = load_city("smalltown", cities)
    assert set(generate.write(project, [city])) == set(generate.rendered([city]))
    assert generate.stale(project, [city]) == []
    manifest = cities / "smalltown" / "sources" / "works" / "potholes.yml"
    manifest.write_text(SOURCE.replace("depth: {type: double}", "depth: {type: numeric}"))
    changed = load_city("smalltown", cities)
    assert generate.stale(project, [changed]) == [Path("models/staging/_sources.yml")]
    assert generate.write(project, [changed]) == [Path("models/staging/_sources.yml")]
    assert generate.stale(project, [changed]) == []


def test_targets_come_with_their_city_and_without_empty_ones(cities: Path):
    (cities / "smalltown" / "targets.csv").write_text(
        "metric_id,target,direction,from_date\n"
        "requests_opened,,none,2024-01-01\n"
        "recycling_rate,0.3,higher,2024-01-01\n"
    )
    texts = generate.rendered([load_city("smalltown", cities)])
    rows = list(csv.reader(texts[Path("seeds/target.csv")].splitlines()))
    assert rows == [
        ["city_id", "metric_id", "target", "from_date"],
        ["smalltown", "recycling_rate", "0.3", "2024-01-01"],
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("metric_id,from_date\nx,2024-01-01\n", "targets.csv: line 1: has no column target"),
        ("metric_id,target,from_date\nx,much,2024-01-01\n", "targets.csv: line 2: target 'much'"),
    ],
)
def test_a_bad_targets_file_is_named_with_its_line(cities: Path, text: str, said: str):
    (cities / "smalltown" / "targets.csv").write_text(text)
    with pytest.raises(ManifestError, match=said):
        generate.rendered([load_city("smalltown", cities)])


def test_check_names_the_file_and_the_remedy(monkeypatch, capsys, tmp_path: Path):
    monkeypatch.setattr(generate.stale, "__defaults__", (tmp_path, None))
    assert generate.main(["--check"]) == 1
    assert "models/staging/_sources.yml is not what cities/ says; run `make generate`" in (
        capsys.readouterr().out
    )
