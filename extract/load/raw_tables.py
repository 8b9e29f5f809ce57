"""Raw tables as their manifests say: created, extended with new columns, widened to new types.

Widening a column keeps each row's version: rows are hashed again in place, not loaded again.
"""

from __future__ import annotations

import psycopg
import pyarrow as pa
from psycopg import sql

from catalog.models import City, Source
from catalog.types import ColumnType
from extract.errors import ExtractError
from extract.hashing import row_hashes, to_text
from extract.load import tables
from extract.types import cast, text_of
from warehouse.reasons import Reason
from warehouse.tiers import declare_sources, protect

#: From -> to: what a column's type may become without losing a value. Any may become text.
WIDER = {
    (narrow.postgres, wide.postgres)
    for narrow, wide in (
        (ColumnType.INTEGER, ColumnType.DOUBLE),
        (ColumnType.INTEGER, ColumnType.NUMERIC),
        (ColumnType.DOUBLE, ColumnType.NUMERIC),
        (ColumnType.DATE, ColumnType.TIMESTAMP),
    )
}
#: Rows that are hashed at a time.
ROWS = 20_000
#: Schemas whose views dbt makes anew in the build that follows a load.
REBUILT = ("staging", "intermediate", "marts", "reporting")


def ensure_raw_table(connection: psycopg.Connection, source: Source) -> None:
    """Create a source's raw table from its manifest, or grow it to what the manifest now says.

    New columns are added and types widened. Raises `ExtractError` naming the column whose type
    would be narrowed.
    """
    declared = tables.raw_columns(source)
    with connection.transaction():
        connection.execute(
            "select pg_advisory_xact_lock(hashtext('cityloom.raw'), hashtext(%s))",
            [source.raw_table],
        )
        declare_sources(connection, [source])
        found = tables.table_columns(connection, "raw", source.raw_table)
        if not found:
            connection.execute(tables.create_raw_sql(source, declared))
            protect(connection, f"raw.{source.raw_table}", "source")
            return
        added = {name: kind for name, kind in declared.items() if name not in found}
        tables.add_columns(connection, "raw", source.raw_table, added)
        widened = {n: k for n, k in declared.items() if n in found and found[n] != k}
        for name, kind in widened.items():
            if kind != ColumnType.TEXT.postgres and (found[name], kind) not in WIDER:
                raise ExtractError(
                    f"{source.path}: columns.{name}",
                    f"is {kind} here but {found[name]} in raw.{source.raw_table}; "
                    "narrowing it would lose values",
                    "keep the wider type and narrow it in dbt's staging, or use a new name",
                    reason=Reason.WRONG_MANIFEST,
                )
        if widened:
            _widen(connection, source, widened)


def ensure_raw_tables(
    warehouse_url: str, cities: tuple[City, ...] | list[City]
) -> list[ExtractError | psycopg.Error]:
    """Bring the raw table of every source of these cities to its manifest, so that dbt can build.

    A column that a staging model reads may be declared since the source's last load. Returns what
    could not be done; it costs its own source alone, whose next load fails with it.
    """
    failed: list[ExtractError | psycopg.Error] = []
    with psycopg.connect(warehouse_url, autocommit=True) as connection:
        for city in cities:
            for source in city.sources:
                try:
                    ensure_raw_table(connection, source)
                except (ExtractError, psycopg.errors.FeatureNotSupported) as error:
                    failed.append(error)
    return failed


def _widen(connection: psycopg.Connection, source: Source, columns: dict[str, str]) -> None:
    """Change columns' types in a raw table and hash its rows again, in the caller's transaction.

    Views of dbt that read the table are dropped; the next build makes them again. Any other view
    raises `psycopg.errors.FeatureNotSupported` naming it.
    """
    raw = sql.Identifier("raw", source.raw_table)
    _drop_views(connection, source.raw_table)
    for name, kind in columns.items():
        connection.execute(
            sql.SQL("alter table {} alter column {} type {}").format(
                raw, sql.Identifier(name), sql.SQL(kind)
            )
        )
    _rehash(connection, source)


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


def _rehash(connection: psycopg.Connection, source: Source) -> None:
    names = [
        name
        for name in tables.table_columns(connection, "raw", source.raw_table)
        if name not in tables.OWN_COLUMNS
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
                if column is None or column.personal == "hash":
                    typed.append((name, text_of(array)))
                else:
                    typed.append((name, cast(array, column)[0]))
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
