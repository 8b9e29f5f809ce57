"""What dbt reads of the manifests: sources with freshness, seeds, and who feeds which fact.

`python -m catalog.generate` writes it to `dbt_project/generated/`, which is not kept in git: the
runner (`warehouse.dbt`) writes it before each build, `make generate` for dbt by hand. `--check`
writes nothing and names what is wrong in manifests and staging models (exit code 2).
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml
from holidays import country_holidays, list_supported_countries
from pydantic import TypeAdapter, ValidationError

from catalog.cities import Cities, read_cities
from catalog.city_files import EVENTS, TARGETS, WEIGHTS, CityFile, city_file_problems, read_rows
from catalog.facts import DBT_PROJECT, Fact, feed_problems, load_facts, twin_problems
from catalog.fields import CRON_PRESETS
from catalog.indicators import (
    DEFINITION_COLUMNS,
    VERSION_COLUMNS,
    Indicator,
    definition_rows,
    load_indicators,
    version_rows,
)
from catalog.indicators import macro as indicators_macro
from catalog.models import City, Source
from catalog.peers import PeerGroups, load_peer_groups, region_problems
from catalog.problems import ManifestError, Problem
from catalog.types import LOADER_COLUMNS

GENERATED = Path("generated")
RAW_SOURCES = GENERATED / "models/raw.yml"
#: The seed of each CSV file of cities.
SEEDS = {
    EVENTS: GENERATED / "seeds/event.csv",
    TARGETS: GENERATED / "seeds/target.csv",
    WEIGHTS: GENERATED / "seeds/score_weight.csv",
}
#: What the other files were made of: where a manifest is wrong, its last good declaration.
DECLARED = GENERATED / "declared.json"
HEADER = "Made from cities/ and dbt_project/indicators/ by `make generate`; a change here is lost."
#: Years of dim_date.
YEARS = range(1990, 2036)
_CITIES = TypeAdapter(tuple[City, ...])


def rendered(
    cities: Iterable[City],
    facts: dict[str, Fact],
    indicators: Iterable[Indicator] = (),
    project: Path = DBT_PROJECT,
    rows_of: Callable[[City, CityFile], list[tuple[Any, ...]]] | None = None,
) -> dict[Path, str]:
    """Return the text of each generated file by its path inside the dbt project.

    `rows_of` returns a city's rows of the seed of one of its CSV files; those of the file if not
    given.
    """
    indicators = tuple(indicators)
    metric_ids = {one.id for one in indicators}
    rows_of = rows_of or (lambda city, file: read_rows(city, file, metric_ids))
    cities = tuple(cities)
    sources = [source for city in cities for source in _by_name(city)]
    groups = load_peer_groups()
    return {
        DECLARED: _CITIES.dump_json(cities, indent=1).decode() + "\n",
        RAW_SOURCES: _sources(cities),
        GENERATED / "macros/raw_tables.sql": _raw_tables_macro(sources),
        GENERATED / "macros/facts_by_name.sql": _facts_macro(sources, facts),
        GENERATED / "macros/indicators_by_event.sql": indicators_macro(indicators, HEADER, project),
        GENERATED / "seeds/kpi_definition.csv": _table(
            DEFINITION_COLUMNS, definition_rows(indicators)
        ),
        GENERATED / "seeds/kpi_version.csv": _table(VERSION_COLUMNS, version_rows(indicators)),
        GENERATED / "seeds/city.csv": _table(
            "city_id city_name is_simulated country language time_zone population "
            "population_year region district_noun opens_at closes_at office_days",
            (
                (
                    city.city_id,
                    city.name,
                    str(city.simulated).lower(),
                    city.country,
                    city.language,
                    city.time_zone,
                    city.population,
                    city.population_year,
                    city.region,
                    city.district_noun,
                    *city.office_hours.split("-"),
                    " ".join(map(str, sorted(city.office_days))),
                )
                for city in cities
            ),
        ),
        GENERATED / "seeds/holiday.csv": _table(
            "city_id day holiday_name",
            ((city.city_id, *day) for city in cities for day in holidays_of(city)),
        ),
        GENERATED / "seeds/department.csv": _table(
            "city_id department_id department_name",
            (
                (city.city_id, department_id, name)
                for city in cities
                for department_id, name in sorted(city.departments.items())
            ),
        ),
        GENERATED / "seeds/source_catalog.csv": _table(
            "city_id source_id department_id title grain owner licence tier cadence "
            "max_staleness_days feeds sample snapshot_sample",
            (
                (
                    source.city_id,
                    source.source,
                    source.department,
                    source.title,
                    source.grain,
                    source.owner,
                    source.licence,
                    source.tier,
                    source.cadence,
                    max_staleness_days(source.cadence),
                    source.feeds,
                    source.read.sample,
                    source.snapshot.sample if source.snapshot else None,
                )
                for source in sources
            ),
        ),
        GENERATED / "seeds/peer_band.csv": _table(
            "band_order band_name min_population next_band_population", groups.band_rows()
        ),
        GENERATED / "seeds/peer_region.csv": _table(
            "region_id region_name", groups.regions.items()
        ),
        GENERATED / "macros/peer_rules.sql": _peer_rules_macro(groups),
        **{
            seed: _table(
                " ".join(["city_id", *file.columns]),
                (row for city in cities for row in rows_of(city, file)),
            )
            for file, seed in SEEDS.items()
        },
    }


def write(project: Path = DBT_PROJECT, cities: Iterable[City] | None = None) -> list[Path]:
    """Write the generated files of these cities, or of all; return the files that changed.

    Raises `ManifestError` for wrong manifests, facts or staging models, and writes nothing then.
    """
    return _replace(project, _checked(project, cities)[0])


def refresh(
    project: Path = DBT_PROJECT,
    cities: Iterable[City] | None = None,
    echo: Callable[[str], object] = print,
) -> None:
    """Write the generated files before a build.

    A wrong manifest does not keep the other sources from being built, nor what is new in theirs.
    It is named to `echo`, and its source is built as it was declared before; one that was not, or
    whose staging model is wrong, is left out. Raises `ManifestError` for facts that are declared
    wrongly.
    """
    try:
        write(project, cities)
        return
    except ManifestError as error:
        named = list(error.problems)
    for problem in named:
        echo(f"warning: {problem}")
    echo("warning: what is named above is built as declared before, or left out")

    indicators = load_indicators(project)

    def rows_of(city: City, file: CityFile) -> list[tuple[Any, ...]]:
        try:
            return read_rows(city, file, {one.id for one in indicators})
        except ManifestError as error:
            for problem in error.problems:
                if problem not in named:
                    echo(f"warning: {problem}")
            return _rows_before(project, SEEDS[file], city.city_id)

    usable = _usable(project, cities)
    _replace(project, rendered(usable, load_facts(project), indicators, project, rows_of))


def holidays_of(city: City, years: range = YEARS) -> list[tuple[str, str]]:
    """Return a city's holidays (ISO date, name): its own list, in years that this has any day of.

    The other years have the public holidays of its country, or none; see `holiday_problem`.
    """
    listed = {day.year for day in city.holidays}
    days = {day: "Holiday of the city" for day in city.holidays}
    if has_public_holidays(city.country):
        public = country_holidays(city.country, years=[y for y in years if y not in listed])
        days |= {day: name for day, name in public.items() if day.year not in listed}
    return [(day.isoformat(), days[day]) for day in sorted(days)]


def has_public_holidays(country: str) -> bool:
    """Return whether the library `holidays` knows a country (ISO 3166); most, but not all."""
    return country in list_supported_countries()


def holiday_problem(city: City) -> str | None:
    """Return what is missing where a city's office hours would count holidays as working days."""
    if city.holidays or has_public_holidays(city.country):
        return None
    return (
        f"{city.city_id}: no public holidays of {city.country} are known, so business hours count "
        "them as working days; list them in city.yml under `holidays`"
    )


def max_staleness_days(cadence: str) -> int:
    """Return after how many days without a load a source of this cadence (cron) is overdue.

    A day, a week, a month or a year, and some more, because a load may be late without anything
    being wrong.

    >>> [max_staleness_days(c) for c in ("0 5 * * *", "0 5 * * 1", "0 5 1 * *", "@yearly")]
    [2, 8, 33, 370]
    """
    _, _, day, month, weekday = CRON_PRESETS.get(cadence, cadence).split()
    if month != "*":
        return 370
    if day != "*":
        return 33
    return 2 if weekday == "*" else 8


def _checked(
    project: Path, cities: Iterable[City] | None
) -> tuple[dict[Path, str], Cities, dict[str, Fact]]:
    """Return the texts of the generated files, and the cities and facts that they are made of."""
    found = read_cities() if cities is None else Cities(tuple(cities))
    facts = load_facts(project)
    problems: list[Problem | str] = list(found.problems)
    problems += region_problems(found.cities)
    problems += feed_problems(found.sources, facts, project)
    indicators = load_indicators(project)
    for city in found.cities:
        problems += city_file_problems(city, {one.id for one in indicators})
    if problems:
        raise ManifestError(problems)
    texts = rendered(found.cities, facts, indicators, project)
    return texts, found, facts


def _replace(project: Path, texts: dict[Path, str]) -> list[Path]:
    """Bring the generated files of a project to these texts; return those that changed."""
    changed = []
    for path, text in texts.items():
        file = project / path
        if file.is_file() and file.read_text(encoding="utf-8") == text:
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        # Replaced whole, because another dbt may be reading the file.
        part = file.with_name(f"{file.name}.{os.getpid()}.part")
        part.write_text(text, encoding="utf-8")
        part.replace(file)
        changed.append(path)
    for file in (project / GENERATED).rglob("*"):
        if file.is_file() and file.suffix != ".part" and file.relative_to(project) not in texts:
            file.unlink()
    return changed


def _usable(project: Path, cities: Iterable[City] | None) -> list[City]:
    """Return the cities with their good sources, and wrong ones as they were declared before."""
    facts = load_facts(project)
    now = {city.city_id: city for city in (read_cities().cities if cities is None else cities)}
    before = {city.city_id: city for city in declared(project) if city.path.is_file()}
    usable = []
    for city_id in sorted({*now, *before}):
        city = now.get(city_id, before.get(city_id))
        assert city is not None
        known = {source.source for source in city.sources}
        kept = before[city_id].sources if city_id in before else ()
        sources = [
            source
            for source in (*city.sources, *(old for old in kept if old.source not in known))
            if source.path.is_file() and not feed_problems([source], facts, project)
        ]
        departments = {s.department: s.department for s in sources} | city.departments
        changes = {"sources": tuple(sources), "departments": departments}
        usable.append(city.model_copy(update=changes))
    return usable


def declared(project: Path = DBT_PROJECT) -> tuple[City, ...]:
    """Return the cities as the files in `generated/` were made of; none where that is unknown."""
    try:
        return _CITIES.validate_json((project / DECLARED).read_bytes())
    except (FileNotFoundError, ValidationError):  # the first build, or another version's file
        return ()


def _by_name(city: City) -> list[Source]:
    return sorted(city.sources, key=lambda source: source.source)


def _sources(cities: tuple[City, ...]) -> str:
    tables = [_source_table(city, source) for city in cities for source in _by_name(city)]
    document = {
        "sources": [
            {
                "name": "raw",
                "schema": "raw",
                "description": "Every version of every accepted row, one table a source.",
                "tables": tables,
            }
        ],
    }
    text = yaml.safe_dump(_literal(document), sort_keys=False, width=100, allow_unicode=True)
    return f"# {HEADER}\n{text}"


def _source_table(city: City, source: Source) -> dict[str, Any]:
    columns = [
        {
            "name": name,
            "data_type": column.type.postgres,
            **({"description": column.description} if column.description else {}),
        }
        for name, column in source.columns.items()
        if column.personal != "drop"
    ] + [
        {"name": name, "data_type": data_type, "description": description}
        for name, data_type, description in LOADER_COLUMNS
    ]
    return {
        "name": source.raw_table,
        "description": f"{city.name}: {source.title}. Grain: every version of {source.grain}.",
        "config": {
            "tags": [city.city_id],
            # A source without a load warns, too; it is no error, for another city may be in use.
            "freshness": {
                "warn_after": {"count": max_staleness_days(source.cadence), "period": "day"}
            },
            "loaded_at_query": (
                "select max(finished_at) from quality.loads "
                f"where city_id = '{source.city_id}' and source_id = '{source.source}' "
                "and state in ('accepted', 'unchanged')"
            ),
            "meta": {
                "city_id": city.city_id,
                "department": source.department,
                "primary_key": list(source.primary_key),
                "owner": source.owner,
                "licence": source.licence,
                "tier": source.tier,
                "cadence": source.cadence,
            },
        },
        "columns": columns,
    }


def _raw_tables_macro(sources: list[Source]) -> str:
    """Return a macro that returns the tables of `raw` that manifests declare."""
    lines = [f"{{# {HEADER} #}}", "{% macro raw_tables() -%}", "    {{ return(["]
    lines += [f"        {json.dumps(source.raw_table)}," for source in sources]
    return "\n".join([*lines, "    ]) }}", "{%- endmacro %}", ""])


def _facts_macro(sources: list[Source], facts: dict[str, Fact]) -> str:
    """Return a macro that returns each fact's key, event time and the sources that feed it."""
    lines = [f"{{# {HEADER} #}}", "{% macro facts_by_name() -%}", "    {{ return({"]
    for name, fact in sorted(facts.items()):
        lines += [
            f"        {json.dumps(name)}: {{",
            f'            "key": {json.dumps(fact.key[0] if len(fact.key) == 1 else fact.key)},',
            f'            "event_time": {json.dumps(fact.event_time or "")},',
            f'            "has_district": {json.dumps(fact.has_district)},',
            f'            "has_point": {json.dumps(fact.has_point)},',
            '            "feeds": [',
        ]
        for source in sources:
            if source.feeds == name:
                feed = {
                    "city_id": source.city_id,
                    "source_id": source.source,
                    "staging": source.staging_model,
                }
                lines.append(f"                {json.dumps(feed)},")
        lines += ["            ],", "        },"]
    return "\n".join([*lines, "    }) }}", "{%- endmacro %}", ""])


def _peer_rules_macro(groups: PeerGroups) -> str:
    """Return a macro that returns the fewest cities among which a percentile is given."""
    return "\n".join(
        [
            f"{{# {HEADER} #}}",
            "{% macro min_peer_cities() -%}",
            f"    {{{{ return({groups.min_cities}) }}}}",
            "{%- endmacro %}",
            "",
        ]
    )


def _literal(value: Any) -> Any:
    """Return a document in which dbt, which renders YAML by Jinja, finds text only."""
    if isinstance(value, dict):
        return {key: _literal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_literal(item) for item in value]
    if isinstance(value, str):
        return re.sub(r"\{(?=[{%#])", "{{ '{' }}", value)
    return value


def _rows_before(project: Path, seed: Path, city_id: str) -> list[tuple[str, ...]]:
    """A city's rows of a generated seed; none where there is no such file yet."""
    path = project / seed
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
        return [tuple(row) for row in rows if row[0] == city_id]


def _table(header: str, rows: Iterable[tuple[Any, ...]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header.split())
    writer.writerows(rows)
    return buffer.getvalue()


def main(arguments: list[str] | None = None) -> int:
    """Write or check; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        epilog="Example: .venv/bin/python -m catalog.generate --check",
    )
    parser.add_argument("--check", action="store_true", help="write nothing, only name problems")
    options = parser.parse_args(arguments)
    try:
        texts, found, facts = _checked(DBT_PROJECT, None)
        untested = twin_problems(found.sources, facts, DBT_PROJECT)
        if untested:
            raise ManifestError(untested)
        changed = [] if options.check else _replace(DBT_PROJECT, texts)
    except ManifestError as error:
        print(error)
        return 2
    for path in changed:
        print(f"{DBT_PROJECT.name}/{path} written")
    if not changed:
        print(f"cities/ and the facts of {DBT_PROJECT.name}/ agree")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
