"""What a manifest says to its connectors, checked as it is read: file, key and remedy."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml

from catalog.models import Reader
from catalog.problems import ManifestError
from extract.connectors import REGISTRY, connector
from extract.manifests import load_cities, load_city

CITY = """
name: Testville
country: US
language: en
time_zone: UTC
population: 1000
population_year: 2024
departments: {parks: Parks}
"""
SOURCE = """
source: pools
title: Pools
grain: one row a pool
owner: Parks
licence: CC0-1.0
tier: open
cadence: "@daily"
primary_key: [pool_id]
columns: {pool_id: {}}
"""
FILES = {"files": ["pools.csv"]}
LAYOUT = [{"name": "a", "start": 1, "length": 4}]


@pytest.fixture
def write(tmp_path):
    def write(name="pools", **readers):
        folder = tmp_path / "testville" / "sources" / "parks"
        folder.mkdir(parents=True, exist_ok=True)
        (tmp_path / "testville" / "city.yml").write_text(CITY)
        text = SOURCE.replace("pools\n", f"{name}\n", 1) + yaml.safe_dump(readers)
        (folder / f"{name}.yml").write_text(text)
        return tmp_path

    return write


def only_problem(cities_dir) -> str:
    with pytest.raises(ManifestError) as caught:
        load_city("testville", cities_dir)
    (problem,) = caught.value.problems
    return problem


def reader(name, files=True, **options):
    given = {"connector": name, "options": options}
    return given | FILES if files else given


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (reader("arcgis"), ("read.connector: 'arcgis' is not a connector", "csv, excel, fixed_")),
        (reader("fixedwith"), ("read.connector: 'fixedwith'", "did you mean 'fixed_width'?")),
        (reader("CSV"), ("read.connector: 'CSV' is not", "did you mean 'csv'?")),
        (reader("csv", files=False), ("read.files: is missing; name the files",)),
        (reader("csv", seperator=";"), ("read.options.seperator: is not a known key", "delimiter")),
        (reader("csv", encodng="utf-8"), ("read.options.encodng:", "did you mean 'encoding'?")),
        (
            reader("csv", header=False),
            ("read.options.header: must be a list", "not false", "for files without a header"),
        ),
        (reader("csv", header=[]), ("read.options.header: is empty",)),
        (reader("csv", header=[1]), ("read.options.header[0]: is 1", "in quotes")),
        (reader("csv", delimiter=""), ("read.options.delimiter: is empty; write one",)),
        (reader("csv", delimiter="||"), ("read.options.delimiter: '||' is not one ASCII",)),
        (reader("csv", quote="''"), ("read.options.quote:", "is not one ASCII character")),
        (reader("csv", encoding="utf8-bom"), ("read.options.encoding: 'utf8-bom' is no encod",)),
        (reader("csv", encoding="base64"), ("read.options.encoding: 'base64' is no encoding",)),
        (reader("csv", skip_rows="2"), ("read.options.skip_rows: must be a whole number",)),
        (reader("csv", skip_rows=-1), ("read.options.skip_rows: must be greater than or equal",)),
        (reader("csv", skip_rows=True), ("read.options.skip_rows: must be", "not true")),
        (reader("csv", nulls="N/A"), ("read.options.nulls: must be a list", "not 'N/A'")),
        (reader("csv", time_zone="Mars"), ("read.options.time_zone: 'Mars' is not an IANA",)),
        (reader("json", record="a"), ("read.options.record:", "did you mean 'records'?")),
        (reader("jsonl", records="a"), ("read.options.records: is not a known key",)),
        (reader("excel", header_rows=0), ("read.options.header_rows: must be greater than",)),
        (reader("excel", total_rows="("), ("read.options.total_rows: '(' is not a regular",)),
        (reader("excel", sheet=1), ("read.options.sheet: is 1", "in quotes. sheet: Name of")),
        (reader("fixed_width"), ("read.options.layout: is missing; add it. layout: The record's",)),
        (
            reader("fixed_width", layout=[{"name": "a", "start": 0, "length": 1}]),
            ("read.options.layout[0].start: must be greater", "counted from 1"),
        ),
        (
            reader("fixed_width", layout=[{"name": "a", "begin": 1, "length": 1, "start": 1}]),
            ("read.options.layout[0].begin: is not a known key; use one of: length, name, start",),
        ),
        (
            reader("fixed_width", layout=[*LAYOUT, *LAYOUT]),
            ("read.options.layout[1].name: 'a' is listed twice",),
        ),
        (
            reader("fixed_width", layout=LAYOUT, record_length=3),
            ("read.options.layout[0].length: ends at 4, behind record_length 3",),
        ),
        (reader("geojson", crs=2263), ("read.options.crs: is 2263", "in quotes. crs: Reference")),
        (reader("parquet", encoding="utf-8"), ("read.options.encoding: is not", "time_zone")),
        (reader("sql", files=False, table="t"), ("read.options.url: is missing; add it",)),
        (
            reader("sql", files=False, url="sqlite:///a.db"),
            ("read.options.table: is missing; add it, or query",),
        ),
        (
            reader("sql", files=False, url="sqlite:///a.db", table="t", query="select 1"),
            ("read.options.query: cannot be combined with table",),
        ),
        (reader("sql", files=False, url="a.db", table="t"), ("read.options.url: is not a URL",)),
        (
            reader("sql", files=False, url="postgresql://me:secret@host/db", table="t"),
            ("read.options.url: holds a password; write ${NAME}",),
        ),
        (
            reader("sql", files=False, url="postgresql://host/db?password=secret", table="t"),
            ("read.options.url: holds a password; write ${NAME}",),
        ),
        (
            reader(
                "sql", files=False, url="mssql+pyodbc://?odbc_connect=UID%3Da%3BPWD%3Db", table="t"
            ),
            ("read.options.url: holds a password; write ${NAME}",),
        ),
        *[
            (
                reader("sql", files=False, url=url, table="t"),
                ("read.options.url: leaves the city's drop folder; put the database there",),
            )
            for url in ("sqlite:////etc/a.db", "sqlite:///../a.db", "sqlite:///a/../../b.db")
        ],
        (
            reader("sql", url="sqlite:///a.db", table="t"),
            ("read.files: connector sql reads no files; take it out",),
        ),
        (
            reader("socrata", files=False, domain="data.city.example"),
            ("read.options.dataset: is missing; add it. dataset: Id of the dataset",),
        ),
        (
            reader("socrata", files=False, domain="https://data.city.example", dataset="abcd-1234"),
            ("read.options.domain:", "not the name of a portal"),
        ),
        (
            reader("socrata", files=False, domain="data.city.example", dataset="pools"),
            ("read.options.dataset: 'pools' is not a dataset's id", "abcd-1234"),
        ),
    ],
)
def test_a_wrong_reader_is_reported_with_file_key_and_remedy(write, given, words):
    cities_dir = write(read=given)
    problem = only_problem(cities_dir)
    assert "parks/pools.yml:" in problem
    for word in words:
        assert word in problem


def test_a_problem_of_a_password_does_not_repeat_it(write):
    url = "postgresql://me:hunter2@host/db"
    problem = only_problem(write(read=reader("sql", files=False, url=url, table="t")))
    assert "hunter2" not in problem


def test_a_snapshot_is_checked_as_well(write):
    problem = only_problem(write(read=reader("csv"), snapshot=reader("csv", seperator=";")))
    assert "snapshot.options.seperator: is not a known key" in problem


def test_each_problem_has_its_line(write):
    cities_dir = write(read=reader("csv", seperator=";"))
    text = (cities_dir / "testville" / "sources" / "parks" / "pools.yml").read_text()
    line = text.splitlines().index("    seperator: ;") + 1
    assert f"pools.yml:{line}: read.options.seperator" in only_problem(cities_dir)


def test_a_wrong_reader_costs_its_own_source_alone(write):
    write(read=reader("csv"))
    found = load_cities(write("ponds", read=reader("arcgis")))
    assert [source.source for source in found.sources] == ["pools"]
    assert [broken.source_id for broken in found.broken] == ["ponds"]


def test_every_source_of_the_repository_is_right():
    assert load_cities().problems == ()


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_a_connector_says_what_it_is_and_what_each_option_means(name):
    found = connector(name)
    assert found.summary
    for option, field in found.options.model_fields.items():
        assert field.description, option
    problems = dict(found.problems(Reader(connector=name, options={"nonsense": 1})))
    assert ("options", "nonsense") in problems
    assert (("files",) in problems) is found.reads_files


def test_checking_all_manifests_imports_nothing_heavy():
    """Airflow parses the DAG folder all the time, and every task does."""
    code = """
import sys
from extract.connectors import REGISTRY, connector
from extract.manifests import load_cities
assert load_cities().sources and [connector(name) for name in REGISTRY]
print(*{name.partition(".")[0] for name in sys.modules})
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    heavy = {"numpy", "pyarrow", "polars", "sqlalchemy", "dlt", "requests", "pyproj", "pandas"}
    assert not heavy & set(answer.stdout.split())
