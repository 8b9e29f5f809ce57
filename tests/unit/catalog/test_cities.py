"""A mistake under `cities/` is reported with file, key and remedy; every mistake, not the first."""

from __future__ import annotations

import pytest
import yaml

from catalog.cities import read_cities
from catalog.problems import ManifestError
from extract.manifests import load_city

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
    def write(city=CITY, department="parks", city_id="testville", **sources):
        folder = tmp_path / city_id / "sources" / department
        folder.mkdir(parents=True, exist_ok=True)
        text = city if isinstance(city, str) else yaml.safe_dump(city)
        (tmp_path / city_id / "city.yml").write_text(text)
        for name, source in sources.items():
            text = source if isinstance(source, str) else yaml.safe_dump(source)
            (folder / f"{name}.yml").write_text(text)
        return tmp_path

    return write


def problems(cities_dir) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        load_city("testville", cities_dir)
    return caught.value.problems


def column(**keys):
    return {"columns": {"pool_id": {}, "x": keys}}


def test_a_good_city_is_read_whole(write):
    city = load_city("testville", write(pools={**SOURCE, "feeds": "pool_visit"}))
    (source,) = city.sources
    assert (source.city_id, source.department, source.raw_table, source.staging_model) == (
        "testville",
        "parks",
        "testville__pools",
        "stg_testville__pools",
    )
    assert source.feeds == "pool_visit"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cadense": "@daily"}, ("cadense: is not a known key", "did you mean 'cadence'?")),
        ({"path": "x"}, ("path: is not a known key",)),
        ({"tier": "secret"}, ("tier: is 'secret'", "use one of: internal, open, restricted")),
        ({"tier": "opne"}, ("tier: is 'opne'", "did you mean 'open'?")),
        ({"primary_key": ["pool"]}, ("primary_key: 'pool' is not", "did you mean 'pool_id'?")),
        ({"primary_key": []}, ("primary_key: is empty", "name the columns")),
        ({"primary_key": "pool_id"}, ("primary_key: must be a list", "not 'pool_id'")),
        ({"cursor": "changed"}, ("cursor: 'changed' is not under columns",)),
        ({"source": "ponds"}, ("source: is 'ponds'", "name it 'pools'")),
        ({"city_id": "elsewhere"}, ("city_id: comes from the folder", "remove it")),
        ({"feeds": "Pool Visits"}, ("feeds: must be lower-case",)),
        ({"feeds": "pool__visit"}, ("feeds: must be lower-case", "single _ between them")),
        ({"feeds": "pool_"}, ("feeds: must be lower-case", "single _ between them")),
        ({"title": ""}, ("title: is empty; fill it in",)),
        ({"title": "Pools\x1b[31m"}, ("title: must be one line of printable characters",)),
        ({"owner": 1}, ("owner: is 1", "write it in quotes")),
        ({"owner": None}, ("owner: is empty; fill it in",)),
        ({"gate": {"max_drop": 2}}, ("gate.max_drop:", "less than or equal to 1")),
        ({"gate": {"min_row": 2}}, ("gate.min_row: is not a known key", "'min_rows'")),
        # schedules
        ({"cadence": "61 25 * * *"}, ("cadence: '61 25 * * *' is not", "out of range", "@daily")),
        (
            {"cadence": "every tuesday"},
            (
                "cadence: 'every tuesday' is not a cron expression (it has 2 fields, not 5); write",
                "such as '30 6 * * *' (every day at 06:30) or '0 6 * * 2' (Tuesdays at 06:00)",
            ),
        ),
        ({"cadence": "daily"}, ("cadence: 'daily' is not", "(it has 1 field, not 5)")),
        ({"cadence": "every tuesday at 6 am"}, ("cron expression ('every' is a word); write",)),
        ({"cadence": "on every tuesday at six in spring"}, ("(it has 7 fields, not 5)",)),
        # keys that stand a level too high
        ({"header": False}, ("header: does not belong at the top", "below read.options")),
        ({"delimiter": ";"}, ("delimiter: does not belong at the top", "below read.options")),
        ({"files": ["a.csv"]}, ("files: does not belong at the top of a manifest", "below read")),
        ({"min_rows": 1}, ("min_rows: does not belong at the top of a manifest", "below gate")),
        ({"personal": "drop"}, ("personal: does not belong", "move it below columns.<column>")),
        ({"cadence": "@dayly"}, ("cadence: '@dayly' is not a cron expression", "@daily")),
        ({"cadence": "0 0 30 2 *"}, ("cadence:", "a day that no year has")),
        ({"cadence": "0 0 1 * * *"}, ("cadence:", "it has 6 fields, not 5")),
        ({"cadence": "R 5 * * *"}, ("cadence:", "R stands for a random time")),
        ({"cadence": ""}, ("cadence: '' is not a cron expression",)),
        # columns
        (column(typ="text"), ("columns.x.typ: is not a known key", "did you mean 'type'?")),
        (column(type="string"), ("columns.x.type: is 'string'", "write 'text'")),
        (column(type="xyz"), ("columns.x.type: is 'xyz'", "boolean, date, double")),
        (column(type="datetime"), ("columns.x.type: is 'datetime'", "write 'timestamp'")),
        (column(type="float"), ("columns.x.type: is 'float'", "write 'double'")),
        (column(type="integr"), ("columns.x.type: is 'integr'", "did you mean 'integer'?")),
        (column(required="often"), ("columns.x.required: must be true or false, not 'often'",)),
        (column(pattern="("), ("columns.x.pattern: '(' is not a regular expression",)),
        (column(pattern=r"\bpool"), ("columns.x.pattern: PostgreSQL cannot read",)),
        (column(pattern="(?<!a)x"), ("columns.x.pattern: PostgreSQL cannot read",)),
        (column(pattern="(?P<n>x)"), ("columns.x.pattern: PostgreSQL cannot read",)),
        (column(type="integer", pattern="1"), ("columns.x.pattern: is for text, not integer",)),
        (column(min=1), ("columns.x.min: means nothing for text", "use pattern")),
        (column(type="date", min="soon"), ("columns.x.min: 'soon' is not a date",)),
        (column(type="double", max="x"), ("columns.x.max: 'x' is not a double",)),
        (column(type="double", max=float("nan")), ("columns.x.max: nan is not a double",)),
        (column(type="integer", min=3, max=2), ("columns.x.max: 2", "below min, which is 3")),
        (column(type="integer", values=["one"]), ("columns.x.values: 'one' is not a integer",)),
        (column(type="date", formats=["%d.%m.%q"]), ("columns.x.formats[0]: '%d.%m.%q'", "%d.%m")),
        (column(type="date", formats=["%d.%m"]), ("does not give year, month and day",)),
        (column(type="date", formats=["dd.mm.yyyy"]), ("'dd.mm.yyyy' does not give year",)),
        (column(formats=["%d.%m.%Y"]), ("columns.x.formats: is for dates and timestamps",)),
        (column(values=[False]), ("columns.x.values[0]: is false", "yes, no, on and off")),
        (column(values=[1]), ("columns.x.values[0]: is 1", "write it in quotes")),
        (
            {"columns": {"pool_id": {"personal": "drop"}}},
            ("columns.pool_id.personal: a key", "only be hashed"),
        ),
        ({"columns": {"pool_id": {}, "Name": {}}}, ("columns.Name: column names are lower-case",)),
        ({"columns": {"pool_id": {}, "xmin": {}}}, ("columns.xmin: is a column of PostgreSQL's",)),
        ({"primary_key": ["pool_id", "pool_id"]}, ("primary_key: 'pool_id' is listed twice",)),
        ({"columns": {"pool_id": {}, "x" * 64: {}}}, ("has 64 characters", "holds 63")),
        (
            {"columns": {"pool_id": {}, "name": {"aliases": ["Pool ID"]}}},
            ("columns.name: 'Pool ID' (pool_id) also means 'pool_id'",),
        ),
        (
            {"columns": {"pool_id": {"aliases": ["Größe"]}, "x": {"aliases": ["GRÖßE"]}}},
            ("columns.x: 'GRÖßE' (größe) also means 'pool_id'",),
        ),
        # files
        ({"read": {"connector": "csv", "file": ["a"]}}, ("read.file: is not", "'files'")),
        ({"read": {"connector": "csv", "files": "a"}}, ("read.files: must be a list, such as",)),
        ({"read": {"connector": "csv", "files": ["/a"]}}, ("read.files[0]: '/a' must be a path",)),
        ({"read": {"connector": "csv", "files": ["../a"]}}, ("read.files[0]:", "drop folder")),
    ],
)
def test_a_mistake_is_reported_with_file_key_and_remedy(write, change, words):
    (problem,) = problems(write(pools={**SOURCE, **change}))
    assert "parks/pools.yml:" in problem
    for word in words:
        assert word in problem


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"time_zone": "America/Chicagoo"}, ("time_zone:", "did you mean 'America/Chicago'?")),
        ({"time_zone": "Chicago"}, ("time_zone:", "did you mean 'America/Chicago'?")),
        ({"time_zone": "../UTC"}, ("time_zone: '../UTC' is not an IANA time zone",)),
        ({"language": "english"}, ("language: 'english' is not", "did you mean 'en'?")),
        ({"language": "xx"}, ("language: 'xx' is not a language code", "en, es")),
        ({"country": "USA"}, ("country: 'USA' is not a country code", "US or DE")),
        ({"country": "us"}, ("country: 'us' is not", "did you mean 'US'?")),
        ({"country": "Norway"}, ("country: 'Norway' is not", "did you mean 'NO'?")),
        ({"holidays": ["2026-02-30"]}, ("holidays[0]: '2026-02-30' is not a date",)),
        ({"holidays": ["Christmas"]}, ("holidays[0]: 'Christmas' is not a date", "2026-12-25")),
        ({"office_hours": "9 to 5"}, ("office_hours: '9 to 5' is not two times", "09:00-17:00")),
        ({"office_hours": "17:00-09:00"}, ("office_hours:", "ends before it begins")),
        ({"fiscal_year_start_month": 13}, ("fiscal_year_start_month:", "1 to 12")),
        ({"population": 0}, ("population:", "greater than 0")),
        ({"departments": {"parks": "Parks", "Zoo": "Zoo"}}, ("departments.Zoo: must be lower",)),
        ({"departments": {}}, ("departments: is empty",)),
        ({"timezone": "UTC"}, ("timezone: is not a known key; did you mean 'time_zone'?",)),
        ({"sources": []}, ("sources: is not a known key; remove it",)),
    ],
)
def test_a_mistake_in_city_yml_is_reported_with_file_key_and_remedy(write, change, words):
    (problem,) = problems(write(city={**CITY, **change}, pools=SOURCE))
    assert "testville/city.yml:" in problem
    for word in words:
        assert word in problem


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", None, "is empty; see docs/add-a-source.md"),
        ("# only a comment\n", None, "is empty"),
        ("- a\n- b\n", None, "holds a list, not keys"),
        ("source: pools\ncolumns: {", 2, "is not YAML"),
        (
            "source: pools\ntitle: Pools: all of them\n",
            2,
            "put a text that holds a colon in quotes",
        ),
        ("source: pools\ncadence: @daily\n", 2, "put a text that begins with @, %"),
        ("source: pools\ncadence: * 6 * * *\n", 2, "put a text that begins with @, %"),
        ("source: pools\ncolumns:\n\tpool_id: {}\n", 3, "indented with a tab; use spaces"),
        (
            "source: pools\ntier: open\ntier: internal\n",
            3,
            "tier repeats the key of line 2",
        ),
        (
            "columns:\n  a: {}\n  b: {}\n  a: {type: date}\n",
            4,
            "a repeats the key of line 2",
        ),
        ("source: pools\nsince: 2024-13-01\n", None, "a value that YAML cannot read"),
        ("source: !!python/object:os.system x\n", 1, "is not YAML"),
        ("source: &a [*a]\n", None, "source: must be"),
        ("source: pools\n? [a, b]\n: c\n", 2, "a list or a group cannot be a key"),
        ("columns:\n  no: {}\n", 2, "YAML reads the key no as bool"),
        ("on: x\n", 1, "write a text, in quotes if need be"),
        ("values:\n  - {7: x}\n", 2, "YAML reads the key 7 as int"),
        ("source: pools\n---\nsource: ponds\n", 2, "is not YAML"),
    ],
)
def test_what_is_not_a_manifest_is_reported_with_its_line(write, text, line, words):
    found = problems(write(pools=text))
    place = f"pools.yml:{line}: " if line else "pools.yml"
    assert any(place in problem and words in problem for problem in found), found


def test_a_file_that_is_not_utf_8_is_reported(write):
    folder = write(pools=SOURCE)
    path = folder / "testville" / "sources" / "parks" / "pools.yml"
    path.write_bytes(b"source: pools\ntitle: Caf\xe9\n")
    (problem,) = problems(folder)
    assert "pools.yml:2: byte 0xe9 is not UTF-8; save it as UTF-8" in problem


def test_a_missing_key_is_named_and_explained(write):
    source = {key: value for key, value in SOURCE.items() if key != "licence"}
    (problem,) = problems(write(pools=source))
    assert "pools.yml: licence: is missing; add it. licence: Licence of the data" in problem


def test_a_problem_has_the_line_of_its_key(write):
    text = yaml.safe_dump({**SOURCE, "columns": {"pool_id": {}, "x": {"min": 1}}}, sort_keys=False)
    line = text.splitlines().index("    min: 1") + 1
    (problem,) = problems(write(pools=text))
    assert f"pools.yml:{line}: columns.x.min:" in problem


def test_dates_may_stand_without_quotes(write):
    city = yaml.safe_dump(CITY) + "holidays: [2026-12-25, '2026-12-26']\n"
    text = yaml.safe_dump({**SOURCE, "columns": {"pool_id": {}, "day": {"type": "date"}}})
    text = text.replace("type: date", "type: date\n    min: 2020-01-01")
    found = load_city("testville", write(city=city, pools=text))
    assert [day.isoformat() for day in found.holidays] == ["2026-12-25", "2026-12-26"]
    assert found.sources[0].columns["day"].min == "2020-01-01"


def test_every_mistake_is_reported_at_once(write):
    found = problems(
        write(
            pools={**SOURCE, "tier": "x", "cadence": "x"},
            ponds={**SOURCE, "source": "ponds", "owner": 1, "primary_key": ["a"]},
        )
    )
    assert len(found) == 3  # rules between keys wait until each key is right


def test_a_department_that_the_city_has_not_is_named(write):
    write(pools=SOURCE)
    (problem,) = problems(write(department="zoo", animals={**SOURCE, "source": "animals"}))
    assert "zoo/animals.yml" in problem and "'zoo'" in problem and "city.yml" in problem


def test_one_source_name_in_two_departments_is_reported(write):
    write(pools=SOURCE)
    city = {**CITY, "departments": {"parks": "Parks", "water": "Water"}}
    (problem,) = problems(write(city=city, department="water", pools=SOURCE))
    assert "water/pools.yml:" in problem and "parks/pools.yml" in problem and "unique" in problem


def test_a_manifest_that_would_not_be_read_is_reported(write):
    folder = write(pools=SOURCE)
    sources = folder / "testville" / "sources"
    (sources / "ponds.yml").write_text("x")
    (sources / "parks" / "lakes.yaml").write_text("x")
    lakes, ponds = problems(folder)
    assert "lakes.yaml" in lakes and "rename it to .yml" in lakes
    assert "ponds.yml" in ponds and "move it into sources/" in ponds


def test_names_that_the_database_would_cut_off_are_reported(write):
    name = "p" * 40
    folder = write(city_id="t" * 30, **{name: {**SOURCE, "source": name}})
    (problem,) = read_cities(folder).problems
    assert "has 76 characters; PostgreSQL holds 63: shorten it" in problem.message


def test_ids_with_the_separator_of_tables_are_refused(write):
    folder = write(city_id="test__ville", pools={**SOURCE, "source": "pools"})
    write(pools__1={**SOURCE, "source": "pools__1"})
    of_city, of_source = read_cities(folder).problems[0], read_cities(folder).problems[-1]
    assert "'test__ville' must be lower-case" in str(of_city)
    assert "rename the folder" in str(of_city)
    assert "pools__1.yml:" in str(of_source) and "single _ between them" in str(of_source)


def test_two_sources_of_one_dag_are_refused_with_both_files(write):
    write(city_id="lake", town_pools={**SOURCE, "source": "town_pools"})
    folder = write(city_id="lake_town", pools=SOURCE, ponds={**SOURCE, "source": "ponds"})
    found = read_cities(folder)
    assert [source.dag_id for source in found.sources] == [
        "extract_lake_town_pools",
        "extract_lake_town_ponds",
    ]
    (broken,) = found.broken
    assert broken.dag_id == "extract_lake_town_pools" and broken.city_id == "lake_town"
    (problem,) = map(str, found.problems)
    assert "lake_town/sources/parks/pools.yml:" in problem
    assert "makes the DAG extract_lake_town_pools, as " in problem
    assert "lake/sources/parks/town_pools.yml does; rename one of the two sources" in problem
    assert read_cities(folder, "lake_town").problems == found.problems


def test_a_city_that_is_not_there_is_answered_with_those_that_are(write):
    with pytest.raises(ManifestError, match="Cities here: testville"):
        load_city("atlantis", write(pools=SOURCE))


def test_a_wrong_manifest_costs_its_own_source_alone(write):
    write(pools=SOURCE, ponds={**SOURCE, "source": "ponds", "cadence": "61 25 * * *"})
    found = read_cities(write(city_id="elsewhere", pools=SOURCE))
    assert [(s.city_id, s.source) for s in found.sources] == [
        ("elsewhere", "pools"),
        ("testville", "pools"),
    ]
    (broken,) = found.broken
    assert (broken.city_id, broken.department, broken.source_id) == ("testville", "parks", "ponds")
    assert broken.problems == found.problems and len(found.problems) == 1
    with pytest.raises(ManifestError, match="61 25"):
        load_city("testville", write())
    assert load_city("elsewhere", write()).sources


def test_a_wrong_city_yml_costs_its_own_city_alone(write):
    write(city={**CITY, "time_zone": "Mars"}, pools=SOURCE, ponds={**SOURCE, "source": "ponds"})
    found = read_cities(write(city_id="elsewhere", pools=SOURCE))
    assert [city.city_id for city in found.cities] == ["elsewhere"]
    assert [broken.source_id for broken in found.broken] == ["ponds", "pools"]
    (problem,) = found.problems
    assert all(broken.problems == (problem,) for broken in found.broken)
    assert "city.yml" in str(problem) and "time_zone: 'Mars'" in str(problem)


def test_a_city_folder_without_city_yml_is_reported(write):
    folder = write(pools=SOURCE)
    (folder / "testville" / "city.yml").unlink()
    (problem,) = problems(folder)
    assert "city.yml: is missing; write it" in problem


def test_a_city_folder_that_cannot_name_tables_is_reported(write):
    found = read_cities(write(city_id="New York", pools=SOURCE))
    assert any("'New York'" in str(p) and "rename the folder" in str(p) for p in found.problems)
