"""Widening a column of `raw` to what its manifest now says, without a version of every row."""

from __future__ import annotations

import psycopg
import pyarrow as pa
from psycopg import sql

from catalog.models import Source
from extract.hashing import row_hashes, to_text
from extract.tables import OWN_COLUMNS, table_columns
from extract.types import cast, text_of

ROWS = 20_000
#: dbt makes these anew in the build that follows a load.
REBUILT = ("staging", "intermediate", "marts", "reporting")


def widen(connection: psycopg.Connection, source: Source, columns: dict[str, str]) -> None:
    """Change columns' types in a raw table and hash its rows again, in the caller's transaction.

    Views of dbt that read the table are dropped; the next build makes them again. A view of
    somebody else's raises `psycopg.errors.FeatureNotSupported` naming it.
    """
    raw = sql.Identifier("raw", source.raw_table)
    _drop_views(connection, source.raw_table)
    for name, kind in columns.items():
        connection.execute(
            sql.SQL("alter table {} alter column {} type {}").format(
                raw, sql.Identifier(name), sql.SQL(kind)
            )
        )
    _hash_again(connection, source)


def _drop_views(connection: psycopg.Connection, table: str) -> None:
    dependent = connection.execute(
        """select distinct n.nspname, c.relname from pg_depend d
           join pg_rewrite r on r.oid = d.objid
           join pg_class c on c.oid = r.ev_class join pg_namespace n on n.oid = c.relnamespace
           where d.classid = 'pg_rewrite'::regclass
             and d.refobjid = %s::regclass and n.nspname = any(%s)""",
        [f'raw."{table}"', list(REBUILT)],
    ).fetchall()
    for schema, name in dependent:
        connection.execute(
            sql.SQL("drop view if exists {} cascade").format(sql.Identifier(schema, name))
        )


def _hash_again(connection: psycopg.Connection, source: Source) -> None:
    names = [
        name
        for name in table_columns(connection, "raw", source.raw_table)
        if name not in OWN_COLUMNS
    ]
    raw = sql.Identifier("raw", source.raw_table)
    connection.execute(
        "create temporary table rehashed (part oid, place tid, row_hash text) on commit drop"
    )
    listed = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in names)
    with connection.cursor(name="rows_of_raw") as cursor:
        cursor.execute(sql.SQL("select tableoid, ctid::text, {} from {}").format(listed, raw))
        while rows := cursor.fetchmany(ROWS):
            part, place, *values = zip(*rows, strict=True)
            typed = []
            for name, texts in zip(names, values, strict=True):
                column = source.columns.get(name)
                array = pa.array(texts, pa.string())
                hashed = column is None or column.personal == "hash"
                typed.append((name, text_of(array) if hashed else cast(array, column)[0]))
            hashes = to_text(row_hashes(typed, len(rows))).to_pylist()
            with connection.cursor().copy("copy rehashed from stdin") as copy:
                for row in zip(part, place, hashes, strict=True):
                    copy.write_row(row)
    connection.execute(
        sql.SQL(
            """update {} r set _row_hash = h.row_hash from rehashed h
               where r.tableoid = h.part and r.ctid = h.place and r._row_hash <> h.row_hash"""
        ).format(raw)
    )
