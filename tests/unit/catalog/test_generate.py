from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from catalog import generate
from catalog.cities import read_cities
from catalog.facts import feed_problems, load_facts, twin_problems
from catalog.problems import ManifestError
from extract.manifests import load_cities, load_city

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
feeds: hole
primary_key: [street, found_on]
read: {connector: csv, files: ["potholes.csv"]}
columns:
  street: {description: "Street"}
  found_on: {type: date}
  depth: {type: double}
  reported_by: {personal: drop}
"""


FACT = """
models:
  - name: int_hole
    description: "Holes. Grain: one row a hole."
    config:
      meta:
        fact:
          key: hole_id
          event_time: found_at
    columns:
      - {name: city_id, data_type: text}
      - {name: source_id, data_type: text}
      - {name: hole_id, data_type: text}
      - {name: found_at, data_type: timestamp}
      - {name: depth, data_type: double precision}
"""
STAGING = """
select
    street || found_on as hole_id,
    found_on::timestamp as found_at,
    depth  -- not depths
from {{ source('raw', 'smalltown__potholes') }}
"""
RAW = Path("generated/models/raw.yml")


@pytest.fixture
def cities(tmp_path: Path):
    folder = tmp_path / "cities" / "smalltown"
    (folder / "sources" / "works").mkdir(parents=True)
    (folder / "city.yml").write_text(CITY)
    (folder / "sources" / "works" / "potholes.yml").write_text(SOURCE)
    return tmp_path / "cities"


@pytest.fixture
def project(tmp_path: Path):
    project = tmp_path / "dbt_project"
    (project / "models/intermediate").mkdir(parents=True)
    (project / "models/staging/smalltown").mkdir(parents=True)
    (project / "models/intermediate/int_hole.yml").write_text(FACT)
    staging = project / "models/staging/smalltown/stg_smalltown__potholes.sql"
    staging.write_text(STAGING)
    return project


def problems(project: Path, cities: Path) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        generate.write(project, [load_city("smalltown", cities)])
    assert not (project / "generated").exists()
    return caught.value.problems


def test_the_cities_and_facts_in_git_agree():
    assert generate.main(["--check"]) == 0


def test_only_staging_names_a_city_or_a_source():
    """What a city adds is declared; another city changes no model of all cities."""
    cities = load_cities().cities
    names = {s.staging_model for c in cities for s in c.sources} | {c.city_id for c in cities}
    for layer in ("intermediate", "marts", "reporting"):
        for path in (generate.DBT_PROJECT / "models" / layer).rglob("*.sql"):
            words = set(re.findall(r"\w+", path.read_text(encoding="utf-8")))
            assert not names & words, path


def test_what_is_generated_is_not_kept_in_git():
    kept = subprocess.run(
        ["git", "ls-files", "dbt_project/generated"],
        cwd=generate.DBT_PROJECT.parent,
        capture_output=True,
        text=True,
    )
    assert kept.stdout == ""


def test_every_source_of_every_city_is_a_table_that_dbt_knows():
    texts = generate.rendered(load_cities().cities, load_facts(generate.DBT_PROJECT))
    tables = {table["name"] for table in yaml.safe_load(texts[RAW])["sources"][0]["tables"]}
    assert tables == {s.raw_table for city in load_cities().cities for s in city.sources}


def test_source_has_key_types_and_loader_columns_and_nothing_that_is_dropped(cities: Path):
    texts = generate.rendered([load_city("smalltown", cities)], {})
    (table,) = yaml.safe_load(texts[RAW])["sources"][0]["tables"]
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


def test_what_a_reader_says_its_rows_are_a_sample_of_is_in_the_catalog(cities: Path):
    manifest = cities / "smalltown/sources/works/potholes.yml"
    snapshot = 'snapshot: {connector: csv, files: ["p.csv"], sample: "every tenth, of 2024"}'
    manifest.write_text(f"{SOURCE}{snapshot}\n")
    seed = generate.rendered([load_city("smalltown", cities)], {})
    (row,) = csv.DictReader(
        seed[Path("generated/seeds/source_catalog.csv")].splitlines(keepends=True)
    )
    assert (row["sample"], row["snapshot_sample"]) == ("", "every tenth, of 2024")


def test_a_city_s_own_holidays_stand_for_its_years_and_public_ones_for_the_others(cities: Path):
    (cities / "smalltown/city.yml").write_text(CITY + 'holidays: ["2024-08-01"]\n')
    days = dict(generate.holidays_of(load_city("smalltown", cities), range(2023, 2026)))
    assert [day for day in days if day.startswith("2024")] == ["2024-08-01"]
    assert days["2023-07-04"] == days["2025-07-04"] == "Independence Day"


def test_a_country_without_known_holidays_is_named(cities: Path):
    assert generate.holiday_problem(load_city("smalltown", cities)) is None
    (cities / "smalltown/city.yml").write_text(CITY.replace("US", "TA"))
    city = load_city("smalltown", cities)
    assert generate.holidays_of(city, range(2023, 2026)) == []
    assert "no public holidays of TA are known" in (generate.holiday_problem(city) or "")
    (cities / "smalltown/city.yml").write_text(
        CITY.replace("US", "TA") + 'holidays: ["2024-08-01"]\n'
    )
    assert generate.holiday_problem(load_city("smalltown", cities)) is None


def test_when_offices_are_open_is_a_city_s(cities: Path):
    (cities / "smalltown/city.yml").write_text(CITY + "office_days: [7, 1]\n")
    seed = generate.rendered([load_city("smalltown", cities)], {})
    (row,) = csv.DictReader(seed[Path("generated/seeds/city.csv")].splitlines())
    assert (row["opens_at"], row["closes_at"], row["office_days"]) == ("09:00", "17:00", "1 7")


@pytest.mark.parametrize(
    ("cadence", "days"),
    [
        ("10 */4 * * *", 2),
        ("0 5 * * 1-5", 8),
        ("0 5 1 * *", 33),
        ("0 5 1 7 *", 370),
        ("@daily", 2),
        ("@monthly", 33),
    ],
)
def test_freshness_follows_the_cadence(cities: Path, cadence: str, days: int):
    manifest = cities / "smalltown/sources/works/potholes.yml"
    manifest.write_text(SOURCE.replace("0 5 * * *", cadence))
    city = load_city("smalltown", cities)
    (table,) = yaml.safe_load(generate.rendered([city], {})[RAW])["sources"][0]["tables"]
    assert table["config"]["freshness"] == {"warn_after": {"count": days, "period": "day"}}
    assert "source_id = 'potholes'" in table["config"]["loaded_at_query"]
    seed = generate.rendered([city], {})[Path("generated/seeds/source_catalog.csv")]
    (row,) = csv.DictReader(seed.splitlines())
    assert row["max_staleness_days"] == str(days)
    assert row["feeds"] == "hole"


def test_a_changed_manifest_is_written_once_and_what_is_gone_is_removed(cities, project):
    city = load_city("smalltown", cities)
    written = generate.write(project, [city])
    assert set(written) == set(generate.rendered([city], load_facts(project)))
    assert generate.write(project, [city]) == []
    manifest = cities / "smalltown/sources/works/potholes.yml"
    manifest.write_text(SOURCE.replace("depth: {type: double}", "depth: {type: numeric}"))
    (project / "generated/seeds/old.csv").write_text("x\n")
    changed = load_city("smalltown", cities)
    assert set(generate.write(project, [changed])) == {RAW, generate.DECLARED}
    assert generate.write(project, [changed]) == []
    assert not (project / "generated/seeds/old.csv").exists()


def test_the_macro_says_which_source_feeds_which_fact(cities, project):
    generate.write(project, [load_city("smalltown", cities)])
    text = (project / "generated/macros/facts_by_name.sql").read_text()
    assert '"hole": {' in text
    assert '"event_time": "found_at"' in text
    assert (
        '{"city_id": "smalltown", "source_id": "potholes", "staging": "stg_smalltown__potholes"}'
        in text
    )


def test_a_feed_of_an_unknown_fact_is_named_with_file_and_remedy(cities, project):
    manifest = cities / "smalltown/sources/works/potholes.yml"
    manifest.write_text(SOURCE.replace("feeds: hole", "feeds: holes"))
    assert problems(project, cities) == [
        f"{manifest}: feeds: there is no fact 'holes'; did you mean 'hole'?"
    ]


def test_a_feed_without_a_staging_model_is_reported_with_its_path(cities, project):
    (project / "models/staging/smalltown/stg_smalltown__potholes.sql").unlink()
    manifest = cities / "smalltown/sources/works/potholes.yml"
    assert problems(project, cities) == [
        f"{manifest}: feeds: 'hole' needs a staging model; write "
        "dbt_project/models/staging/smalltown/stg_smalltown__potholes.sql "
        "with the columns of int_hole.yml"
    ]


def test_a_staging_model_that_lacks_a_column_is_named_with_it(cities, project):
    staging = project / "models/staging/smalltown/stg_smalltown__potholes.sql"
    staging.write_text(STAGING.replace("    depth  -- not depths", "    1 as depths  -- depth"))
    (problem,) = problems(project, cities)
    assert problem.startswith(
        "dbt_project/models/staging/smalltown/stg_smalltown__potholes.sql: has no column depth, "
        "which fact 'hole' needs; add it"
    )


def test_a_staging_model_may_lack_an_optional_column(cities, project):
    staging = project / "models/staging/smalltown/stg_smalltown__potholes.sql"
    staging.write_text(STAGING.replace("    depth  -- not depths", "    1 as depths  -- depth"))
    fact = project / "models/intermediate/int_hole.yml"
    optional = "{name: depth, data_type: double precision, config: {meta: {optional: true}}}"
    fact.write_text(FACT.replace("{name: depth, data_type: double precision}", optional))
    sources = load_city("smalltown", cities).sources
    assert feed_problems(sources, load_facts(project), project) == []


def test_a_staging_model_that_reads_another_table_is_told_which_to_read(cities, project):
    staging = project / "models/staging/smalltown/stg_smalltown__potholes.sql"
    staging.write_text(STAGING.replace("smalltown__potholes", "smalltown__pothole"))
    assert problems(project, cities) == [
        "dbt_project/models/staging/smalltown/stg_smalltown__potholes.sql: does not read the "
        "source's table; begin it with {{ newest_version('smalltown__potholes') }}"
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("key: hole_id", "key: id", "key 'id' is not under columns"),
        ("          key: hole_id\n", "", "key is missing"),
        ("event_time:", "event_tme:", "'event_tme' is not a known key"),
        (", data_type: double precision", "", "column 'depth' has no data_type"),
    ],
)
def test_a_fact_that_is_declared_wrongly_is_named(cities, project, old, new, message):
    (project / "models/intermediate/int_hole.yml").write_text(FACT.replace(old, new))
    (problem,) = problems(project, cities)
    assert problem.startswith(str(project / "models/intermediate/int_hole.yml"))
    assert message in problem


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("only text", ": holds a str, not keys; begin it with `models:`"),
        ("- a\n- b", ": holds a list, not keys; begin it with `models:`"),
        ("models: only text", ": models: must be a list"),
        ("models: [only text]", ": models[0]: must be a group of keys"),
        ("models: [{description: x}]", ": models[0].name: is missing"),
        ("models: [{name: int_hole, columns: [hole_id]}]", ": models[0].columns[0]: must be"),
        ("models: [{name: int_hole, config: x}]", ": models[0].config: must be a group"),
        ("models: [{name: int_hole, config: {meta: {fact: x}}}]", "config.meta.fact: must be"),
        ("models: [{name: int_hole, config: {meta: {fact: {key: 1}}}}]", "fact.key: must be a"),
        ("models:\n  - name: [\n", ":3: is not YAML"),
        ("models: [{name: \xff}]", ": is not YAML"),
    ],
)
def test_a_facts_file_that_holds_something_else_is_named(cities, project, text, message):
    path = project / "models/intermediate/int_hole.yml"
    path.write_bytes(text.encode("latin-1"))
    (problem,) = problems(project, cities)
    assert problem.startswith(f"{path}:")
    assert message in problem


TWIN = """
models:
  - name: stg_smalltown__potholes
    description: "Potholes of Smalltown. Grain: one row a pothole, its newest version."
    columns:
      - {name: hole_id, data_tests: [unique, not_null]}
"""
TWIN_PATH = "models/staging/smalltown/stg_smalltown__potholes.yml"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TWIN, None),
        (TWIN.replace("unique,", "{unique: {config: {severity: error}}},"), None),
        (None, "is missing beside stg_smalltown__potholes.sql; write it with the model's des"),
        ("", "does not describe stg_smalltown__potholes; add it under `models:`"),
        (TWIN.replace("potholes\n", "pothole\n"), "does not describe stg_smalltown__potholes"),
        ("only text", "holds a str, not keys; begin it with `models:`"),
        (TWIN.replace("unique, ", ""), "does not test the key of fact 'hole'; add columns: [{"),
        (TWIN.replace("hole_id", "depth"), "does not test the key of fact 'hole'; add columns: ["),
        (TWIN + "      - {name: width}\n", "column 'width' is not in stg_smalltown__potholes.sql"),
    ],
)
def test_what_is_wrong_with_the_yaml_of_a_staging_model_is_named(cities, project, text, message):
    if text is not None:
        (project / TWIN_PATH).write_text(text)
    sources = load_city("smalltown", cities).sources
    found = twin_problems(sources, load_facts(project), project)
    if message is None:
        assert found == []
        return
    (problem,) = found
    assert problem.removeprefix(f"{project.parent}/").startswith(f"{project.name}/{TWIN_PATH}: ")
    assert message in problem


def test_a_key_of_several_columns_is_tested_together(cities, project):
    fact = project / "models/intermediate/int_hole.yml"
    fact.write_text(FACT.replace("key: hole_id", "key: [hole_id, found_at]"))
    twin = TWIN.replace(
        "    columns:\n      - {name: hole_id, data_tests: [unique, not_null]}\n", ""
    )
    sources = load_city("smalltown", cities).sources
    (project / TWIN_PATH).write_text(twin)
    (problem,) = twin_problems(sources, load_facts(project), project)
    assert problem.endswith("add the test unique_combination_of_columns over hole_id, found_at")
    test = "unique_combination_of_columns: {arguments: {columns: [hole_id, found_at]}}"
    (project / TWIN_PATH).write_text(f"{twin}    data_tests:\n      - {test}\n")
    assert twin_problems(sources, load_facts(project), project) == []


def test_a_wrong_manifest_does_not_keep_the_others_from_being_built(cities, project, monkeypatch):
    monkeypatch.setattr(generate, "read_cities", lambda: read_cities(cities))
    lines: list[str] = []
    generate.refresh(project, echo=lines.append)
    before = (project / RAW).read_text()
    manifest = cities / "smalltown/sources/works/potholes.yml"
    manifest.write_text(SOURCE.replace("tier: open", "tier: secret"))
    generate.refresh(project, echo=lines.append)
    assert lines[0].startswith(f"warning: {manifest}:")
    assert "tier" in lines[0]
    assert (project / RAW).read_text() == before


def tables(project: Path) -> list[str]:
    document = yaml.safe_load((project / RAW).read_text())
    return [table["name"] for table in document["sources"][0]["tables"]]


@pytest.fixture
def two_cities(cities, project, monkeypatch):
    """A city that is declared well and was generated, and a second that comes later."""
    monkeypatch.setattr(generate, "read_cities", lambda: read_cities(cities))
    generate.refresh(project, echo=print)
    shutil.copytree(cities / "smalltown", cities / "newtown")
    staging = project / "models/staging/smalltown/stg_smalltown__potholes.sql"
    (project / "models/staging/newtown").mkdir()
    (project / "models/staging/newtown/stg_newtown__potholes.sql").write_text(
        staging.read_text().replace("smalltown", "newtown")
    )
    return cities


@pytest.mark.parametrize("wrong", ["sources/works/potholes.yml", "city.yml"])
def test_a_new_city_is_built_beside_one_that_is_wrong_now(two_cities, project, wrong):
    """What is wrong is as it was declared before, so that its rows stay in the marts."""
    file = two_cities / "smalltown" / wrong
    file.write_text(file.read_text() + "surprise: 1\n")
    lines: list[str] = []
    generate.refresh(project, echo=lines.append)
    assert "surprise: is not a known key" in lines[0]
    assert tables(project) == ["newtown__potholes", "smalltown__potholes"]
    generate.refresh(project, echo=lines.append)
    assert tables(project) == ["newtown__potholes", "smalltown__potholes"]


def test_a_wrong_staging_model_is_named_beside_a_wrong_manifest(two_cities, project):
    """It was left out without a word while any manifest was wrong."""
    manifest = two_cities / "smalltown/sources/works/potholes.yml"
    manifest.write_text(SOURCE.replace("tier: open", "tier: secret"))
    (project / "models/staging/newtown/stg_newtown__potholes.sql").unlink()
    lines: list[str] = []
    generate.refresh(project, echo=lines.append)
    assert any("tier: is 'secret'" in line for line in lines)
    assert any("'hole' needs a staging model" in line for line in lines)
    assert tables(project) == ["smalltown__potholes"]


def test_targets_that_are_wrong_now_are_as_before(two_cities, project):
    targets = two_cities / "smalltown/targets.csv"
    targets.write_text("metric_id,target,from_date\nholes,5,2024-01-01\n")
    generate.refresh(project, echo=print)
    targets.write_text("metric_id,target,from_date\nholes,five,2024-01-01\n")
    lines: list[str] = []
    generate.refresh(project, echo=lines.append)
    assert "target 'five' is not a number" in lines[0]
    assert (project / generate.SEEDS[generate.TARGETS]).read_text().splitlines()[1:] == [
        "smalltown,holes,5.0,2024-01-01"
    ]


def test_weights_that_are_wrong_now_are_as_before(two_cities, project):
    weights = two_cities / "smalltown/weights.csv"
    weights.write_text("metric_id,weight\nholes,2\n")
    generate.refresh(project, echo=print)
    weights.write_text("metric_id,weight\nholes,-1\n")
    lines: list[str] = []
    generate.refresh(project, echo=lines.append)
    assert "weights.csv: line 2: weight '-1' is not a number above 0" in lines[0]
    assert (project / generate.SEEDS[generate.WEIGHTS]).read_text().splitlines()[1:] == [
        "smalltown,holes,2.0"
    ]


def test_a_source_that_was_taken_out_does_not_come_back(two_cities, project):
    (two_cities / "smalltown/sources/works/potholes.yml").unlink()
    manifest = two_cities / "newtown/sources/works/potholes.yml"
    manifest.write_text(SOURCE.replace("tier: open", "tier: secret"))
    generate.refresh(project, echo=print)
    assert tables(project) == []


def test_a_staging_model_that_is_wrong_now_does_not_stop_the_others(two_cities, project):
    (project / "models/staging/smalltown/stg_smalltown__potholes.sql").unlink()
    generate.refresh(project, echo=print)
    assert tables(project) == ["newtown__potholes"]


def test_without_files_from_before_a_wrong_source_is_left_out(cities, project):
    other = SOURCE.replace("potholes", "sinkholes").replace("feeds: hole", "feeds: nothing")
    (cities / "smalltown/sources/works/sinkholes.yml").write_text(other)
    lines: list[str] = []
    generate.refresh(project, [load_city("smalltown", cities)], lines.append)
    assert "sinkholes.yml: feeds: there is no fact 'nothing'" in lines[0]
    (table,) = yaml.safe_load((project / RAW).read_text())["sources"][0]["tables"]
    assert table["name"] == "smalltown__potholes"


def test_jinja_in_a_manifest_is_text_to_dbt(cities, project, tmp_path: Path):
    """By dbt's own parser: it put the password into its manifest.json."""
    payload = "{{ env_var('CITYLOOM_DBT_PASSWORD') }} {{{ 1 }}} {% raw %} {# x #} 100 %} {"
    manifest = cities / "smalltown/sources/works/potholes.yml"
    document = yaml.safe_load(SOURCE)
    document |= {key: payload for key in ("title", "grain", "owner", "licence")}
    document["columns"]["street"]["description"] = payload
    manifest.write_text(yaml.safe_dump(document))
    (cities / "smalltown/city.yml").write_text(CITY.replace("Smalltown", f'"{payload}"'))
    generate.write(project, [load_city("smalltown", cities)])
    (project / "models/intermediate/int_hole.sql").write_text("select 1 as x")
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(generate.DBT_PROJECT / name, project / name)
    shutil.copytree(generate.DBT_PROJECT / "macros", project / "macros")
    target = tmp_path / "target"
    done = subprocess.run(
        [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "parse"],
        cwd=project,
        env={
            "CITYLOOM_DBT_PASSWORD": "hunter2",
            "DBT_PROFILES_DIR": str(project),
            "DBT_TARGET_PATH": str(target),
            "DBT_LOG_PATH": str(target),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    text = (target / "manifest.json").read_text()
    assert "hunter2" not in text
    (source,) = json.loads(text)["sources"].values()
    assert source["description"] == f"{payload}: {payload}. Grain: every version of {payload}."
    assert source["columns"]["street"]["description"] == payload
    meta = source["config"]["meta"]
    assert (meta["owner"], meta["licence"]) == (payload, payload)


def test_targets_come_with_their_city_and_without_empty_ones(cities: Path):
    (cities / "smalltown" / "targets.csv").write_text(
        "metric_id,target,direction,from_date\n"
        "requests_opened,,none,2024-01-01\n"
        "recycling_rate,0.3,higher,2024-01-01\n"
    )
    texts = generate.rendered([load_city("smalltown", cities)], {})
    rows = list(csv.reader(texts[Path("generated/seeds/target.csv")].splitlines()))
    assert rows == [
        ["city_id", "metric_id", "target", "from_date"],
        ["smalltown", "recycling_rate", "0.3", "2024-01-01"],
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metric_id,from_date\nx,2024-01-01\n", "targets.csv: has no column target"),
        ("metric_id,target,from_date\nx,much,2024-01-01\n", "targets.csv: line 2: target 'much'"),
    ],
)
def test_a_bad_targets_file_is_named_with_its_line(cities: Path, text: str, message: str):
    (cities / "smalltown" / "targets.csv").write_text(text)
    with pytest.raises(ManifestError, match=message):
        generate.rendered([load_city("smalltown", cities)], {})


def test_check_names_the_file_and_writes_nothing(monkeypatch, capsys, cities, project):
    manifest = cities / "smalltown/sources/works/potholes.yml"
    manifest.write_text(SOURCE.replace("feeds: hole", "feeds: gap"))
    monkeypatch.setattr(generate, "DBT_PROJECT", project)
    monkeypatch.setattr(generate, "read_cities", lambda: read_cities(cities))
    assert generate.main(["--check"]) == 2
    assert (
        f"{manifest}: feeds: there is no fact 'gap'; known facts: hole" in capsys.readouterr().out
    )
    assert not (project / "generated").exists()
