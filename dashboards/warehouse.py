"""What the warehouse has of the relations that the dashboards use."""

from __future__ import annotations

from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from dashboards.code import Code, Dataset

#: PostgreSQL's names of types where Superset has others.
TYPES = {"CHARACTER VARYING": "VARCHAR", "CHARACTER": "CHAR", "BPCHAR": "CHAR"}


class RelationMissing(Exception):
    """The warehouse lacks relations or columns that datasets name; each problem has its remedy."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


@dataclass(frozen=True)
class Warehouse:
    """Columns and types by relation, and what `first` filters start with.

    `first_values` maps dashboard's name, then filter's name, to a value; without data, none.
    """

    database: str
    columns: dict[str, dict[str, str]]
    first_values: dict[str, dict[str, str | int]] = field(default_factory=dict)


def read_warehouse(url: str, code: Code) -> Warehouse:
    """Return what the warehouse at `url` has for the code.

    Raises `RelationMissing` for relations and columns that are not there.
    """
    schemas = sorted({dataset.schema_name for dataset in code.datasets.values()})
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "select n.nspname || '.' || c.relname, a.attname, "
            "upper(format_type(a.atttypid, a.atttypmod)) "
            "from pg_attribute a join pg_class c on c.oid = a.attrelid "
            "join pg_namespace n on n.oid = c.relnamespace "
            "where n.nspname = any(%s) and c.relkind in ('r', 'p', 'v', 'm', 'f') "
            "and a.attnum > 0 and not a.attisdropped and has_table_privilege(c.oid, 'select') "
            "order by 1, a.attnum",
            [schemas],
        ).fetchall()
        columns: dict[str, dict[str, str]] = {}
        for relation, column, kind in rows:
            columns.setdefault(str(relation), {})[str(column)] = TYPES.get(kind, str(kind))
        problems = [p for d in code.datasets.values() for p in _missing(d, columns)]
        if problems:
            raise RelationMissing(problems)
        return Warehouse(connection.info.dbname, columns, _first_values(connection, code))


def _missing(dataset: Dataset, columns: dict[str, dict[str, str]]) -> list[str]:
    found = columns.get(dataset.relation)
    if found is None:
        return [
            f"{dataset.path}: the warehouse has no relation {dataset.relation} that the role "
            "`dashboards` may read; build it first: `cityloom run CITY`, or `dbt build`"
        ]
    named = [*dataset.columns, *([dataset.time_column] if dataset.time_column else [])]
    missing = sorted(set(named) - set(found))
    if not missing:
        return []
    return [
        f"{dataset.path}: {dataset.relation} has no column {', '.join(missing)}; "
        f"it has: {', '.join(sorted(found))}"
    ]


def _first_values(connection: psycopg.Connection, code: Code) -> dict[str, dict[str, str | int]]:
    values: dict[str, dict[str, str | int]] = {}
    for dashboard in code.dashboards:
        for item in dashboard.filters:
            if not (item.first and item.dataset and item.column) or item.default is not None:
                continue
            dataset = dashboard.datasets[item.dataset]
            by = dataset.aggregate(item.sorted_by) if item.sorted_by else "1"
            query = sql.SQL(
                "select {column} from {relation} where {column} is not null "
                "group by {column} order by {by} {order} limit 1"
            ).format(
                column=sql.Identifier(item.column),
                relation=sql.Identifier(dataset.schema_name, dataset.table_name),
                by=sql.SQL(by),
                order=sql.SQL("desc" if item.descending else "asc"),
            )
            row = connection.execute(query).fetchone()
            if row:
                value = row[0] if isinstance(row[0], (str, int)) else str(row[0])
                values.setdefault(dashboard.name, {})[item.name] = value
    return values
