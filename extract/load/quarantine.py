"""Moving rows to `quality.quarantine`, with the reasons and the row as read."""

from __future__ import annotations

import json
from collections.abc import Iterable

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from catalog.models import Source
from extract.load.history import Resolution
from extract.load.tables import OWN_COLUMNS
from extract.prepare import Prepared
from extract.redact import has_personal, safe_path, safe_records, safe_texts

SUPERSEDED = "a later row of the same load has the same key: the last one counts"
_NOTHING = sql.SQL("")
#: Places of the stage rows that are to leave the stage.
_CREATE_FAILING = """create temporary table if not exists failing_rows
  (_source_file text, _source_row bigint, reasons text[]) on commit drop"""
_COLUMNS = "(reasons text[], source_file text, source_row bigint, row_hash text, record jsonb)"
#: Rows that are read from the server at a time, to be redacted.
_ROWS = 5_000


def quarantine_rows(
    connection: psycopg.Connection,
    source: Source,
    load_id: int,
    rows: Iterable[tuple[str, int, list[str]]] | sql.Composable,
) -> int:
    """Move staged rows to quarantine; return how many.

    `rows` are (`_source_file`, `_source_row`, reasons), or a query that gives these three. The
    load's counts follow. For the gate; runs in the caller's transaction.
    """
    _mark_failing(connection, rows)
    ((changed,),) = connection.execute(
        sql.SQL(
            """select count(*) from {stage} s join failing_rows f
                 using (_source_file, _source_row)
               where jsonb_build_array({keys}) in
                 (select jsonb_build_array({raw_keys}) from {raw})"""
        ).format(
            stage=sql.Identifier("stage", source.raw_table),
            keys=sql.SQL(", ").join(sql.Identifier("s", name) for name in source.primary_key),
            raw_keys=sql.SQL(", ").join(sql.Identifier(name) for name in source.primary_key),
            raw=sql.Identifier("raw", source.raw_table),
        )
    ).fetchall()
    moved = _move_failing(connection, source, load_id)
    connection.execute(
        """update quality.loads set rows_changed = rows_changed - %(changed)s,
             rows_new = rows_new - (%(moved)s - %(changed)s),
             rows_quarantined = rows_quarantined + %(moved)s
           where load_id = %(load)s""",
        {"changed": changed, "moved": moved, "load": load_id},
    )
    return moved


class RejectedRows:
    """Rows that a load cannot stage, kept beside it until it is settled.

    `connection` is the load's: the rows are in a temporary table of it, and `store` runs in its
    transaction.
    """

    def __init__(self, connection: psycopg.Connection, source: Source, load_id: int) -> None:
        self.count = 0
        self._connection = connection
        self._source = source
        self._load_id = load_id
        connection.execute(f"create temporary table rejected_rows {_COLUMNS}")

    def add(self, batch: Prepared) -> None:
        """Keep a batch's rejected rows."""
        if not batch.quarantined:
            return
        path = safe_path(batch.file.path, self._source)
        with self._connection.cursor().copy("copy rejected_rows from stdin") as copy:
            for item in batch.quarantined:
                copy.write_row((item.reasons, path, item.row, item.row_hash, Jsonb(item.record)))
        self.count += len(batch.quarantined)

    def store(self) -> None:
        """Write the rows to `quality.quarantine`."""
        _upsert(
            self._connection,
            self._source,
            self._load_id,
            sql.SQL("select reasons, source_file, source_row, row_hash, record from rejected_rows"),
        )


def remove_duplicates(
    connection: psycopg.Connection, source: Source, load_id: int, resolution: Resolution
) -> None:
    """Take from the stage the rows that a later row of the load overrides.

    Those whose content differs go to quarantine; exact repetitions are dropped.
    """
    if not resolution.superseded and not resolution.repeated:
        return
    _mark_failing(connection, ((file, row, [SUPERSEDED]) for file, row in resolution.superseded))
    _move_failing(connection, source, load_id)
    _mark_failing(connection, ((file, row, []) for file, row in resolution.repeated))
    connection.execute(
        sql.SQL(
            """delete from {} s using failing_rows f where s._source_file = f._source_file
               and s._source_row = f._source_row"""
        ).format(sql.Identifier("stage", source.raw_table))
    )


def _mark_failing(
    connection: psycopg.Connection, rows: Iterable[tuple[str, int, list[str]]] | sql.Composable
) -> None:
    """Fill the temporary table `failing_rows`."""
    connection.execute(_CREATE_FAILING)
    connection.execute("truncate failing_rows")
    if isinstance(rows, sql.Composable):
        connection.execute(sql.SQL("insert into failing_rows {}").format(rows))
        return
    with connection.cursor().copy("copy failing_rows from stdin") as copy:
        for row in rows:
            copy.write_row(row)


def _move_failing(connection: psycopg.Connection, source: Source, load_id: int) -> int:
    """Move the staged rows that `failing_rows` names to quarantine; return how many.

    The rows do not leave the server, unless the source has personal columns: then they are
    redacted here on their way.
    """
    own = sql.SQL("'{{{}}}'::text[]").format(sql.SQL(", ".join(OWN_COLUMNS)))
    removed = sql.SQL(
        """removed as (delete from {} s using failing_rows f
             where s._source_file = f._source_file and s._source_row = f._source_row
             returning s.*)"""
    ).format(sql.Identifier("stage", source.raw_table))
    rows = sql.SQL(
        """select f.reasons, s._source_file as source_file, s._source_row as source_row,
             s._row_hash as row_hash, jsonb_strip_nulls(to_jsonb(s) - {own}) as record
           from removed s join failing_rows f using (_source_file, _source_row)"""
    ).format(own=own)
    if not has_personal(source):
        return _upsert(connection, source, load_id, rows, removed + sql.SQL(", "))
    for name in ("moved_rows", "safe_rows"):
        connection.execute(f"create temporary table if not exists {name} {_COLUMNS} on commit drop")
        connection.execute(f"truncate {name}")
    connection.execute(sql.SQL("with {} insert into moved_rows {}").format(removed, rows))
    _copy_redacted(connection, source)
    return _upsert(connection, source, load_id, sql.SQL("select * from safe_rows"))


def _copy_redacted(connection: psycopg.Connection, source: Source) -> None:
    """Copy `moved_rows` to `safe_rows` as quarantine may keep them."""
    with connection.cursor(name="moved_rows") as cursor:
        cursor.execute(
            "select reasons, source_file, source_row, row_hash, record::text from moved_rows"
        )
        while rows := cursor.fetchmany(_ROWS):
            records = safe_records([json.loads(row[4]) for row in rows], source)
            with connection.cursor().copy("copy safe_rows from stdin") as copy:
                for (reasons, file, number, row_hash, _), record in zip(rows, records, strict=True):
                    path = safe_path(file, source)
                    copy.write_row(
                        (safe_texts(reasons, source), path, number, row_hash, Jsonb(record))
                    )


def _upsert(
    connection: psycopg.Connection,
    source: Source,
    load_id: int,
    rows: sql.Composable,
    before: sql.Composable = _NOTHING,
) -> int:
    """Put rows into quarantine; a row that is there already only moves its last load."""
    ((count,),) = connection.execute(
        sql.SQL(
            """with {before} kept as (
                 insert into quality.quarantine as q (city_id, source_id, load_id, last_load_id,
                   reasons, source_file, source_row, row_hash, record)
                 select %(city)s, %(source)s, %(load)s, %(load)s, reasons, source_file, source_row,
                   row_hash, record from ({rows}) r
                 on conflict (city_id, source_id, row_hash, source_file, source_row) do update
                   set last_load_id = excluded.last_load_id, reasons = excluded.reasons
                 returning 1)
               select count(*) from kept"""
        ).format(before=before, rows=rows),
        {"city": source.city_id, "source": source.source, "load": load_id},
    ).fetchall()
    return count
