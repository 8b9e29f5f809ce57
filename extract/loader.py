"""The one loader that owns `stage` and `raw`.

`stage` reads a source and leaves in `stage.<city>__<source>` what is new or changed; the gate
looks at it there; `commit` appends it to `raw` in one transaction, `block` throws it away. A load
that fails leaves no trace but its record in `quality.loads`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import adbc_driver_postgresql.dbapi as adbc
import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql
from psycopg.types.json import Jsonb

from catalog.models import Source
from extract import ledger, tables
from extract.batches import SourceFile
from extract.connectors import connector
from extract.errors import ExtractError
from extract.hashing import to_text
from extract.history import NOTHING, UNCHANGED, Seen, Verdict, known
from extract.ledger import LoadError, LoadReport, source_lock
from extract.prefetch import prefetch
from extract.prepare import Prepared, Preparer, previous_columns
from extract.tables import OWN_COLUMNS, ensure_raw_table, ensure_raw_tables
from extract.types import cast

__all__ = [
    "ExtractError",
    "LoadError",
    "LoadReport",
    "block",
    "commit",
    "ensure_raw_table",
    "ensure_raw_tables",
    "set_aside",
    "stage",
]

#: From this many rows on a load that is large beside its table is attached to it as a whole.
ATTACH_ROWS = 50_000
#: Rows of the stage that are to leave it; dropped with the transaction.
_FAILING = """create temporary table if not exists failing
  (_source_file text, _source_row bigint, reasons text[]) on commit drop"""
_NOTHING = sql.SQL("")
SUPERSEDED = "a later row of the same load has the same key: the last one counts"


def stage(
    source: Source,
    warehouse_url: str,
    base_dir: Path,
    mode: str = "read",
    run_id: str = "",
    salt: bytes = b"",
    progress: Callable[[int], None] | None = None,
) -> LoadReport:
    """Read a source and stage what `raw` does not hold yet; return the load.

    `mode`: which of the manifest's readers, `read` or `snapshot`. `base_dir`: the folder that
    file patterns and database paths are relative to. `salt`: key of the hashes of personal
    columns. `progress` is called with the number of rows read so far.

    The load's state is then `staged`, or `unchanged` when `raw` holds all of it. Raises
    `ExtractError` when the source is not what its manifest says, and `LoadError` when another
    process is loading it.
    """
    reader = source.read if mode == "read" else source.snapshot
    if reader is None:
        raise ExtractError(
            f"{source.path}: snapshot", "is not in the manifest", "add it, or load without it"
        )
    with (
        psycopg.connect(warehouse_url, autocommit=True) as control,
        source_lock(control, source),
    ):
        _clean_up(control, source)
        ensure_raw_table(control, source)
        previous = ledger.last_kept(control, source, mode)
        cursor = ledger.last_cursor(control, source, mode)
        load_id = control.execute(
            """insert into quality.loads (city_id, source_id, run_id, mode, state, cursor_before)
               values (%s, %s, %s, %s, 'staging', %s) returning load_id""",
            [source.city_id, source.source, run_id, mode, cursor],
        ).fetchone()[0]
        try:
            time_zone = reader.options.get("time_zone")
            preparer = Preparer(
                source, salt, previous_columns(previous.files if previous else []), time_zone
            )
            batches = connector(reader.connector)(reader, source, Path(base_dir), cursor)
            _Staging(source, warehouse_url, load_id, preparer, cursor, progress).run(batches)
        except BaseException as error:
            _fail(control, source, load_id, error)
            raise
        return ledger.report(control, load_id)


def commit(load_id: int, warehouse_url: str, source: Source) -> LoadReport:
    """Append a staged load to `raw`, with its counts and cursor, in one transaction.

    Committing an accepted or unchanged load again changes nothing. Raises `LoadError` for a load
    that is not staged, or whose rows do not add up.
    """
    with (
        psycopg.connect(warehouse_url, autocommit=True) as connection,
        source_lock(connection, source),
    ):
        load = _of_source(connection, load_id, source)
        if load.state in ledger.KEPT:
            return load
        if load.state != "staged":
            raise LoadError(f"load {load_id} is {load.state}, not staged; run the source again")
        load.check_counts()
        staged = load.rows_staged
        with connection.transaction():
            _promote(connection, source, load_id, staged)
            connection.execute(
                """update quality.loads set state = %s, rows_accepted = %s,
                   finished_at = clock_timestamp() where load_id = %s""",
                ["accepted" if staged else "unchanged", staged, load_id],
            )
        _analyze(connection, source)
        return ledger.report(connection, load_id)


def block(load_id: int, warehouse_url: str, message: str) -> None:
    """Keep a load out of `raw`: drop what it staged and record why, with the remedy.

    An unchanged load can be blocked too (its volume may have dropped). Raises `LoadError` for
    one that is accepted or failed.
    """
    with psycopg.connect(warehouse_url, autocommit=True) as connection, connection.transaction():
        load = ledger.report(connection, load_id)
        if load.state not in ("staged", "unchanged", "blocked"):
            raise LoadError(f"load {load_id} is {load.state}: it cannot be blocked any more")
        if load.state == "staged":
            name = f"{load.city_id}__{load.source_id}"
            connection.execute(
                sql.SQL("drop table if exists {}").format(sql.Identifier("stage", name))
            )
        # What it would have added counts as quarantined: read = accepted + unchanged + quarantined.
        connection.execute(
            """update quality.loads set state = 'blocked', message = %s,
                 rows_quarantined = rows_quarantined
                   + case when state = 'staged' then rows_new + rows_changed else 0 end,
                 finished_at = clock_timestamp() where load_id = %s""",
            [message, load_id],
        )


def set_aside(
    connection: psycopg.Connection,
    source: Source,
    load_id: int,
    rows: Iterable[tuple[str, int, list[str]]] | sql.Composable,
) -> int:
    """Move staged rows to quarantine; return how many.

    `rows` are (`_source_file`, `_source_row`, reasons), or a query that gives these three. The
    load's counts follow. For the gate; runs in the caller's transaction.
    """
    stage_table = sql.Identifier("stage", source.raw_table)
    connection.execute(_FAILING)
    connection.execute("truncate failing")
    if isinstance(rows, sql.Composable):
        connection.execute(sql.SQL("insert into failing {}").format(rows))
    else:
        with connection.cursor().copy("copy failing from stdin") as copy:
            for row in rows:
                copy.write_row(row)
    keys = sql.SQL(", ").join(sql.Identifier(name) for name in source.primary_key)
    changed = connection.execute(
        sql.SQL(
            """select count(*) from {stage} s join failing f using (_source_file, _source_row)
               where jsonb_build_array({keys}) in
                 (select jsonb_build_array({raw_keys}) from {raw})"""
        ).format(
            stage=stage_table,
            keys=sql.SQL(", ").join(sql.Identifier("s", name) for name in source.primary_key),
            raw_keys=keys,
            raw=sql.Identifier("raw", source.raw_table),
        )
    ).fetchone()[0]
    moved = _quarantine_staged(connection, source, load_id)
    connection.execute(
        """update quality.loads set rows_changed = rows_changed - %(changed)s,
             rows_new = rows_new - (%(moved)s - %(changed)s),
             rows_quarantined = rows_quarantined + %(moved)s
           where load_id = %(load)s""",
        {"changed": changed, "moved": moved, "load": load_id},
    )
    return moved


@dataclass(frozen=True)
class _Staged:
    """New or changed rows of one file, on their way into the stage."""

    file: str
    columns: dict[str, pa.Array]


class _Staging:
    """One load on its way into the stage."""

    def __init__(
        self,
        source: Source,
        warehouse_url: str,
        load_id: int,
        preparer: Preparer,
        cursor: str | None,
        progress: Callable[[int], None] | None,
    ) -> None:
        self.source = source
        self.url = warehouse_url
        self.load_id = load_id
        self.preparer = preparer
        self.progress = progress
        self.files: dict[int, SourceFile] = {}
        self.seen = Seen()
        self.read = 0
        self.quarantined = 0
        self.written = 0
        self.cursor_before = cursor
        self.cursor = None if cursor is None else self._cursor_value(cursor)
        self.position: str | None = None

    def run(self, batches: Iterable) -> None:
        """Stage everything, then settle counts, quarantine and state in one transaction."""
        with (
            prefetch(batches) as read,  # first: there is something to write once all are connected
            prefetch(map(self.preparer.prepare, read)) as prepared,
            psycopg.connect(self.url) as book,
            adbc.connect(self.url) as lane,
            ThreadPoolExecutor(1) as aside,
        ):
            columns = tables.table_columns(book, "raw", self.source.raw_table)
            raw = sql.Identifier("raw", self.source.raw_table)
            holds = book.execute(sql.SQL("select exists (select from {})").format(raw))
            self.known = known(self.url, self.source) if holds.fetchone()[0] else NOTHING
            book.execute(
                """create temporary table aside (reasons text[], source_file text,
                   source_row bigint, row_hash text, record jsonb)"""
            )
            # Created and filled in one transaction, a table needs no write-ahead log where the
            # server's wal_level is minimal.
            with lane.cursor() as cursor:
                cursor.execute(tables.create_stage_sql(self.source, columns, self.load_id))
                self._ingest(cursor, set(columns), self._fresh(prepared, book))
            for file in self.files.values():
                self.preparer.check_file(file)
            on_disk = aside.submit(lane.commit)
            verdict = self.seen.settle()
            on_disk.result()
            self._settle(book, verdict)

    def _fresh(self, prepared: Iterable[Prepared], book: psycopg.Connection) -> Iterator[_Staged]:
        """Yield what is new or changed; note everything else."""
        for batch in prepared:
            file = self.files.setdefault(id(batch.file), batch.file)
            rows = len(batch.rows)
            file.rows += rows + len(batch.quarantined)
            self.read += rows + len(batch.quarantined)
            if batch.quarantined:
                self._put_aside(book, batch)
            self.position = batch.cursor or self.position
            if rows:
                status = self.known.compare(batch.key, batch.row_hash)
                self.seen.add(file.path, batch.rows, batch.key, batch.row_hash, status)
                self._advance_cursor(batch.table)
                fresh = status != UNCHANGED
                if fresh.all():
                    yield self._with_own(batch, None)
                elif fresh.any():
                    yield self._with_own(batch, np.flatnonzero(fresh))
            if self.progress is not None:
                self.progress(self.read)

    def _with_own(self, batch: Prepared, chosen: np.ndarray | None) -> _Staged:
        """Return rows with their hash and place; load and file are defaults of the stage."""
        table, rows, hashes = batch.table, batch.rows, batch.row_hash
        if chosen is not None:
            table, rows, hashes = table.take(pa.array(chosen)), rows[chosen], hashes[chosen]
        own = {"_row_hash": to_text(hashes), "_source_row": pa.array(rows)}
        columns = dict(zip(table.schema.names, table.columns, strict=True)) | own
        return _Staged(batch.file.path, columns)

    def _ingest(self, cursor: adbc.Cursor, known: set[str], batches: Iterator[_Staged]) -> None:
        """Write batches by ADBC, one COPY for each run of batches of one file and shape.

        Columns that have had no value yet are left out of the COPY: exports are full of them, and
        each would cost as much as one with values.
        """
        failure: list[BaseException] = []
        used: set[str] = set()

        def draw() -> tuple[str, pa.RecordBatch] | None:
            try:
                batch = next(batches, None)
            except BaseException as error:  # ADBC would reduce it to a text
                failure.append(error)
                raise
            if batch is None:
                return None
            for name, array in batch.columns.items():
                if name not in known:
                    added.append(name)
                    known.add(name)
                if name not in used and array.null_count < len(array):
                    used.add(name)
            kept = {name: array for name, array in batch.columns.items() if name in used}
            return batch.file, pa.RecordBatch.from_pydict(kept)

        def alike(file: str, first: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
            yield first
            while (following := draw()) is not None:
                if following[0] != file or following[1].schema != first.schema:
                    waiting.append(following)
                    return
                yield following[1]

        added: list[str] = []
        waiting: list[tuple[str, pa.RecordBatch]] = []
        upcoming = draw()
        while upcoming is not None:
            while added:
                cursor.execute(tables.add_stage_column_sql(self.source, added.pop(0)))
            file, first = upcoming
            cursor.execute(tables.stage_file_sql(self.source, file))
            stream = pa.RecordBatchReader.from_batches(first.schema, alike(file, first))
            try:
                self.written += cursor.adbc_ingest(
                    self.source.raw_table, stream, mode="append", db_schema_name="stage"
                )
            except Exception:
                if failure:
                    raise failure[0] from None
                raise
            upcoming = waiting.pop() if waiting else None

    def _put_aside(self, book: psycopg.Connection, batch: Prepared) -> None:
        with book.cursor().copy("copy aside from stdin") as copy:
            for item in batch.quarantined:
                copy.write_row(
                    (item.reasons, batch.file.path, item.row, item.row_hash, Jsonb(item.record))
                )
        self.quarantined += len(batch.quarantined)

    def _settle(self, book: psycopg.Connection, verdict: Verdict) -> None:
        self._override(book, verdict)
        _upsert_quarantine(
            book,
            self.source,
            self.load_id,
            sql.SQL("select reasons, source_file, source_row, row_hash, record from aside"),
        )
        staged = verdict.new + verdict.changed
        taken_out = len(verdict.superseded) + len(verdict.repeated)
        if self.written - taken_out != staged:
            raise LoadError(
                f"{self.written} rows were written to stage.{self.source.raw_table} and "
                f"{taken_out} taken out, but {staged} should be there; run the source again"
            )
        book.execute(
            """update quality.loads set state = %s, rows_read = %s, rows_new = %s,
                 rows_changed = %s, rows_unchanged = %s, rows_quarantined = %s,
                 cursor_after = %s, files = %s,
                 finished_at = case when %s then null else clock_timestamp() end
               where load_id = %s""",
            [
                "staged" if staged else "unchanged",
                self.read,
                verdict.new,
                verdict.changed,
                verdict.unchanged,
                self.quarantined + len(verdict.superseded),
                self.cursor_text(),
                Jsonb([file.facts() for file in self.files.values()]),
                bool(staged),
                self.load_id,
            ],
        )
        ledger.report(book, self.load_id).check_counts()
        if not staged:
            tables.drop_stage(book, self.source)

    def _override(self, book: psycopg.Connection, verdict: Verdict) -> None:
        """Take rows out of the stage that a later row of this load overrides."""
        if not verdict.superseded and not verdict.repeated:
            return
        book.execute(_FAILING)
        with book.cursor().copy("copy failing from stdin") as copy:
            for file, row in verdict.superseded:
                copy.write_row((file, row, [SUPERSEDED]))
        _quarantine_staged(book, self.source, self.load_id)
        book.execute("truncate failing")
        with book.cursor().copy("copy failing from stdin") as copy:
            for file, row in verdict.repeated:
                copy.write_row((file, row, []))
        book.execute(
            sql.SQL(
                """delete from {} s using failing f where s._source_file = f._source_file
                   and s._source_row = f._source_row"""
            ).format(sql.Identifier("stage", self.source.raw_table))
        )

    def _cursor_value(self, text: str):
        if self.source.cursor is None:
            return None
        column = self.source.columns[self.source.cursor]
        return cast(pa.array([text]), column)[0][0].as_py()

    def _advance_cursor(self, table: pa.RecordBatch) -> None:
        name = self.source.cursor
        if name is None or name not in table.schema.names:
            return
        highest = pc.max(table.column(name)).as_py()
        if highest is not None and (self.cursor is None or highest > self.cursor):
            self.cursor = highest

    def cursor_text(self) -> str | None:
        """Return the cursor as `quality.loads` keeps it: ISO for times."""
        if self.position is not None:
            return self.position
        if self.cursor is None:
            return self.cursor_before
        return self.cursor.isoformat() if hasattr(self.cursor, "isoformat") else str(self.cursor)


def _clean_up(control: psycopg.Connection, source: Source) -> None:
    """Fail what an earlier process left half done; nobody else holds the source's lock."""
    tables.drop_stage(control, source)
    control.execute(
        """update quality.loads set state = 'failed', finished_at = clock_timestamp(),
             rows_read = 0, rows_new = 0, rows_changed = 0, rows_unchanged = 0,
             rows_quarantined = 0,
             message = 'ended before it was committed; a later load of the source took over'
           where city_id = %s and source_id = %s and state in ('staging', 'staged')""",
        [source.city_id, source.source],
    )


def _fail(control: psycopg.Connection, source: Source, load_id: int, error: BaseException) -> None:
    if control.closed:
        return
    message = str(error) or type(error).__name__
    tables.drop_stage(control, source)
    control.execute(
        """update quality.loads set state = 'failed', message = %s,
           finished_at = clock_timestamp() where load_id = %s""",
        [message.replace("\0", ""), load_id],
    )


def _of_source(connection: psycopg.Connection, load_id: int, source: Source) -> LoadReport:
    load = ledger.report(connection, load_id)
    if (load.city_id, load.source_id) != (source.city_id, source.source):
        raise LoadError(
            f"load {load_id} is of {load.city_id}/{load.source_id}, not of "
            f"{source.city_id}/{source.source}"
        )
    return load


def _promote(connection: psycopg.Connection, source: Source, load_id: int, staged: int) -> None:
    """Append the stage to raw, and drop it.

    A load that is large beside what raw holds (a first load, above all) is not copied a second
    time: its table becomes a child of raw's, in which PostgreSQL finds its rows as if they were
    raw's own. There are few such children, because each at least adds half to the table.
    """
    raw = sql.Identifier("raw", source.raw_table)
    stage_table = sql.Identifier("stage", source.raw_table)
    columns = tables.table_columns(connection, "stage", source.raw_table)
    present = tables.table_columns(connection, "raw", source.raw_table)
    extra = {name: kind for name, kind in columns.items() if name not in present}
    tables.add_columns(connection, "raw", source.raw_table, extra)
    late = {name: kind for name, kind in present.items() if name not in columns}
    tables.add_columns(connection, "stage", source.raw_table, late)
    held = connection.execute(
        """select coalesce(sum(rows_accepted), 0) from quality.loads
           where city_id = %s and source_id = %s and state = 'accepted'""",
        [source.city_id, source.source],
    ).fetchone()[0]
    if staged >= ATTACH_ROWS and staged >= held / 2:
        tables.attach_stage(connection, source, load_id)
        return
    names = sql.SQL(", ").join(sql.Identifier(name) for name in columns)
    appended = connection.execute(
        sql.SQL("insert into {} ({names}) select {names} from {}").format(
            raw, stage_table, names=names
        )
    ).rowcount
    if appended != staged:
        raise LoadError(
            f"load {load_id} says it staged {staged} rows, but stage.{source.raw_table} has "
            f"{appended}; run the source again"
        )
    tables.drop_stage(connection, source)


def _analyze(connection: psycopg.Connection, source: Source) -> None:
    """Tell the planner of what dbt will sort and join by; autovacuum comes too late for that."""
    keys = dict.fromkeys([*source.primary_key, "_load_id", "_source_row"])
    # A tenth of the usual sample tells a key from a category well enough.
    connection.execute("set default_statistics_target = 10")
    connection.execute(
        sql.SQL("analyze {} ({})").format(
            sql.Identifier("raw", source.raw_table),
            sql.SQL(", ").join(sql.Identifier(name) for name in keys),
        )
    )


def _quarantine_staged(connection: psycopg.Connection, source: Source, load_id: int) -> int:
    """Move the staged rows that the temporary table `failing` names; return how many."""
    own = sql.SQL("'{{{}}}'::text[]").format(sql.SQL(", ".join(OWN_COLUMNS)))
    return _upsert_quarantine(
        connection,
        source,
        load_id,
        sql.SQL(
            """select f.reasons, s._source_file as source_file, s._source_row as source_row,
                 s._row_hash as row_hash, jsonb_strip_nulls(to_jsonb(s) - {own}) as record
               from removed s join failing f using (_source_file, _source_row)"""
        ).format(own=own),
        sql.SQL(
            """removed as (delete from {} s using failing f
                 where s._source_file = f._source_file and s._source_row = f._source_row
                 returning s.*), """
        ).format(sql.Identifier("stage", source.raw_table)),
    )


def _upsert_quarantine(
    connection: psycopg.Connection,
    source: Source,
    load_id: int,
    rows: sql.Composable,
    before: sql.Composable = _NOTHING,
) -> int:
    """Put rows into quarantine; a row that is there already only moves its last load."""
    return connection.execute(
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
    ).fetchone()[0]
