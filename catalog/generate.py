"""What dbt reads of the manifests: its sources file and its seeds of what a city is.

`python -m catalog.generate` writes them, `--check` names those that are not what the manifests
say (exit code 1). They are kept in git, so that `dbt build` needs nothing but dbt.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from catalog.cities import CITIES_DIR, ManifestError, load_cities
from catalog.models import City, Source

DBT_PROJECT = Path(__file__).resolve().parents[1] / "dbt_project"
LOADER_COLUMNS = (
    ("_load_id", "bigint", "Load that brought this version of the row; see quality.loads"),
    ("_row_hash", "text", "Hash of the row's content"),
    ("_source_file", "text", "File or request that the row came from"),
    ("_source_row", "bigint", "Its place there"),
)
HEADER = "# Made from cities/ by `make generate`; a change here is lost.\n"


def rendered(cities: Iterable[City] | None = None) -> dict[Path, str]:
    """Return the text of each generated file by its path inside the dbt project."""
    cities = tuple(load_cities() if cities is None else cities)
    return {
        Path("models/staging/_sources.yml"): _sources(cities),
        Path("seeds/city.csv"): _table(
            "city_id city_name is_simulated country language time_zone population "
            "population_year district_noun",
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
                    city.district_noun,
                )
                for city in cities
            ),
        ),
        Path("seeds/department.csv"): _table(
            "city_id department_id department_name",
            (
                (city.city_id, department_id, name)
                for city in cities
                for department_id, name in sorted(city.departments.items())
            ),
        ),
        Path("seeds/source_catalog.csv"): _table(
            "city_id source_id department_id title grain owner licence tier cadence",
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
                )
                for city in cities
                for source in _by_name(city)
            ),
        ),
        Path("seeds/target.csv"): _table(
            "city_id metric_id target from_date",
            (row for city in cities for row in _targets(city)),
        ),
    }


def write(project: Path = DBT_PROJECT, cities: Iterable[City] | None = None) -> list[Path]:
    """Write the generated files; return those that changed."""
    changed = stale(project, cities)
    texts = rendered(cities)
    for path in changed:
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(texts[path], encoding="utf-8")
    return changed


def stale(project: Path = DBT_PROJECT, cities: Iterable[City] | None = None) -> list[Path]:
    """Return the generated files that are missing or not what the manifests say."""
    return [
        path
        for path, text in rendered(cities).items()
        if not (project / path).is_file() or (project / path).read_text(encoding="utf-8") != text
    ]


def _by_name(city: City) -> list[Source]:
    return sorted(city.sources, key=lambda source: source.source)


def _sources(cities: tuple[City, ...]) -> str:
    tables = [_source_table(city, source) for city in cities for source in _by_name(city)]
    document = {
        "version": 2,
        "sources": [
            {
                "name": "raw",
                "schema": "raw",
                "description": "Every version of every accepted row, one table a source.",
                "tables": tables,
            }
        ],
    }
    return HEADER + yaml.safe_dump(document, sort_keys=False, width=100, allow_unicode=True)


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
            "meta": {
                "city_id": city.city_id,
                "department": source.department,
                "primary_key": list(source.primary_key),
                "owner": source.owner,
                "licence": source.licence,
                "tier": source.tier,
                "cadence": source.cadence,
            }
        },
        "columns": columns,
    }


def _targets(city: City) -> list[tuple[str, str, float, str]]:
    """Rows of `cities/<city>/targets.csv` (metric_id, target, from_date) that set a target."""
    path = city.path.parent / "targets.csv"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(line for line in file if not line.startswith("#"))
        missing = {"metric_id", "target", "from_date"} - set(reader.fieldnames or ())
        if missing:
            raise ManifestError([f"{path}: line 1: has no column {', '.join(sorted(missing))}"])
        rows = []
        for row in reader:
            if not row["target"]:
                continue
            try:
                target = float(row["target"])
            except ValueError as error:
                raise ManifestError(
                    [f"{path}: line {reader.line_num}: target {row['target']!r} is not a number"]
                ) from error
            rows.append((city.city_id, row["metric_id"], target, row["from_date"]))
    return sorted(rows)


def _table(header: str, rows: Iterable[tuple[Any, ...]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header.split())
    writer.writerows(rows)
    return buffer.getvalue()


def main(arguments: list[str] | None = None) -> int:
    """Write or check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="only name what is out of date")
    options = parser.parse_args(arguments)
    try:
        paths = stale() if options.check else write()
    except ManifestError as error:
        print(error)
        return 2
    for path in paths:
        verb = "is not what cities/ says; run `make generate`" if options.check else "written"
        print(f"dbt_project/{path} {verb}")
    if not paths:
        print(f"dbt's sources and seeds are what {CITIES_DIR.name}/ says")
    return 1 if options.check and paths else 0


if __name__ == "__main__":
    raise SystemExit(main())
