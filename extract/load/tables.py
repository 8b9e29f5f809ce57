"""The SQL of raw and stage tables, whose columns are the manifest's and what departments add."""

from __future__ import annotations

import psycopg
from psycopg import sql

from catalog.models import Source
from catalog.types import LOADER_COLUMNS, ColumnType

OWN_COLUMNS = {name: kind for name, kind, _ in LOADER_COLUMNS}


def raw_columns(source: Source) -> dict[str, str]:
    """Return the declared columns of a source's raw table with their PostgreSQL types.

    What is dropped as personal is not among them; what is hashed is text.
    """
    return {
        name: ColumnType.TEXT.postgres if column.personal == "hash" else column.type.postgres
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


def create_raw_sql(source: Source, columns: dict[str, str]) -> sql.Composed:
    """Return the statement that creates a raw table with these columns and the loader's own."""
    return sql.SQL("create table {} ({})").format(
        sql.Identifier("raw", source.raw_table), _ddl({**columns, **OWN_COLUMNS})
    )


def create_stage_sql(source: Source, columns: dict[str, str], load_id: int) -> str:
    """Return the statement that creates a source's stage table with the columns of its raw one.

    What all rows of a load share is a default, so that it is not sent with each of them. Key and
    hash come first: where the table becomes a child of raw's, the next load reads just these, and
    PostgreSQL reads a row from its start.
    """
    table = sql.Identifier("stage", source.raw_table)
    early = {name: columns[name] for name in (*source.primary_key, "_row_hash", "_load_id")}
    kinds = {**early, **columns, "_load_id": f"bigint default {int(load_id)}"}
    return sql.SQL("create table {} ({})").format(table, _ddl(kinds)).as_string()


def stage_file_sql(source: Source, path: str) -> str:
    """Return the statement that sets the file that the following rows come from."""
    return (
        sql.SQL("alter table {} alter column _source_file set default {}")
        .format(sql.Identifier("stage", source.raw_table), sql.Literal(path))
        .as_string()
    )


def add_stage_column_sql(source: Source, name: str) -> str:
    """Return the statement that adds to the stage a column that the manifest does not declare."""
    table = sql.Identifier("stage", source.raw_table)
    return sql.SQL("alter table {} add column {}").format(table, _ddl({name: "text"})).as_string()


def attach_stage(connection: psycopg.Connection, source: Source, load_id: int) -> None:
    """Make the stage table a child of the raw one: its rows are then raw's, without a copy."""
    child = f"{source.raw_table[:48]}__load_{load_id}"
    connection.execute(
        sql.SQL("alter table {} rename to {}").format(
            sql.Identifier("stage", source.raw_table), sql.Identifier(child)
        )
    )
    for clause in (
        sql.SQL("alter column _load_id drop default, alter column _source_file drop default"),
        sql.SQL("inherit {}").format(sql.Identifier("raw", source.raw_table)),
        sql.SQL("set schema raw"),
    ):
        connection.execute(
            sql.SQL("alter table {} {}").format(sql.Identifier("stage", child), clause)
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
