"""Tables in `raw` and `stage`: made from the manifest, and grown with what departments add."""

from __future__ import annotations

import psycopg
from psycopg import sql

from catalog.models import City, Source
from extract.errors import ExtractError

#: The loader's own columns, last in every table of `raw` and `stage`.
OWN_COLUMNS = {
    "_load_id": "bigint",
    "_row_hash": "text",
    "_source_file": "text",
    "_source_row": "bigint",
}
#: From -> to: what a column's type may become without losing a value.
WIDER = {
    ("bigint", "double precision"),
    ("bigint", "numeric"),
    ("double precision", "numeric"),
    ("date", "timestamp without time zone"),
}


def raw_columns(source: Source) -> dict[str, str]:
    """Return the declared columns of a source's raw table with their PostgreSQL types.

    What is dropped as personal is not among them; what is hashed is text.
    """
    return {
        name: "text" if column.personal == "hash" else column.type.postgres
        for name, column in source.columns.items()
        if column.personal != "drop"
    }


def table_columns(connection: psycopg.Connection, schema: str, table: str) -> dict[str, str]:
    """Return a table's columns with their types, in order; empty when there is no such table."""
    rows = connection.execute(
        """select column_name, data_type from information_schema.columns
           where table_schema = %s and table_name = %s order by ordinal_position""",
        [schema, table],
    )
    return dict(rows.fetchall())


def ensure_raw_table(connection: psycopg.Connection, source: Source) -> None:
    """Create a source's raw table from its manifest, or grow it to what the manifest now says.

    New columns are added and types widened. Raises `ExtractError` naming the column whose type
    would be narrowed.
    """
    declared = raw_columns(source)
    with connection.transaction():
        connection.execute(
            "select pg_advisory_xact_lock(hashtext('cityloom.raw'), hashtext(%s))",
            [source.raw_table],
        )
        found = table_columns(connection, "raw", source.raw_table)
        table = sql.Identifier("raw", source.raw_table)
        if not found:
            connection.execute(
                sql.SQL("create table {} ({})").format(table, _ddl({**declared, **OWN_COLUMNS}))
            )
            return
        added = {name: kind for name, kind in declared.items() if name not in found}
        add_columns(connection, "raw", source.raw_table, added)
        widened = {n: k for n, k in declared.items() if n in found and found[n] != k}
        for name, kind in widened.items():
            if kind != "text" and (found[name], kind) not in WIDER:
                raise ExtractError(
                    f"{source.path}: columns.{name}",
                    f"is {kind} here but {found[name]} in raw.{source.raw_table}; "
                    "narrowing it would lose values",
                    "keep the wider type and narrow it in dbt's staging, or use a new name",
                )
        if widened:
            from extract.widen import widen

            widen(connection, source, widened)


def ensure_raw_tables(warehouse_url: str, cities: tuple[City, ...] | list[City]) -> None:
    """Make sure that every source of these cities has its raw table, so that dbt can build."""
    with psycopg.connect(warehouse_url, autocommit=True) as connection:
        for city in cities:
            for source in city.sources:
                ensure_raw_table(connection, source)


def add_columns(
    connection: psycopg.Connection, schema: str, table: str, columns: dict[str, str]
) -> None:
    """Add columns to a table."""
    for name, kind in columns.items():
        connection.execute(
            sql.SQL("alter table {} add column {}").format(
                sql.Identifier(schema, table), _ddl({name: kind})
            )
        )


def create_stage_sql(source: Source, columns: dict[str, str], load_id: int) -> str:
    """Return the statement that creates a source's stage table with the columns of its raw one.

    What all rows of a load have alike is a default, so that it is not sent with each of them.
    Key and hash stand first: where the table becomes a part of raw, the next load reads just
    these, and PostgreSQL walks along a row from its start.
    """
    table = sql.Identifier("stage", source.raw_table)
    early = {name: columns[name] for name in (*source.primary_key, "_row_hash", "_load_id")}
    kinds = {**early, **columns, "_load_id": f"bigint default {int(load_id)}"}
    return sql.SQL("create table {} ({})").format(table, _ddl(kinds)).as_string()


def stage_file_sql(source: Source, path: str) -> str:
    """Return the statement that makes a file the one that the following rows come from."""
    return (
        sql.SQL("alter table {} alter column _source_file set default {}")
        .format(sql.Identifier("stage", source.raw_table), sql.Literal(path))
        .as_string()
    )


def add_stage_column_sql(source: Source, name: str) -> str:
    """Return the statement that adds a column that the manifest does not know to the stage."""
    table = sql.Identifier("stage", source.raw_table)
    return sql.SQL("alter table {} add column {}").format(table, _ddl({name: "text"})).as_string()


def attach_stage(connection: psycopg.Connection, source: Source, load_id: int) -> None:
    """Make the stage table a part of the raw one: its rows are then raw's, without a copy."""
    part = f"{source.raw_table[:48]}__load_{load_id}"
    connection.execute(
        sql.SQL("alter table {} rename to {}").format(
            sql.Identifier("stage", source.raw_table), sql.Identifier(part)
        )
    )
    for clause in (
        sql.SQL("alter column _load_id drop default, alter column _source_file drop default"),
        sql.SQL("inherit {}").format(sql.Identifier("raw", source.raw_table)),
        sql.SQL("set schema raw"),
    ):
        connection.execute(
            sql.SQL("alter table {} {}").format(sql.Identifier("stage", part), clause)
        )


def drop_stage(connection: psycopg.Connection, source: Source) -> None:
    """Drop a source's stage table if it is there."""
    connection.execute(
        sql.SQL("drop table if exists {}").format(sql.Identifier("stage", source.raw_table))
    )


def _ddl(columns: dict[str, str]) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind))
        for name, kind in columns.items()
    )
