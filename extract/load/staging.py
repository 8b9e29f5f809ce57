"""One load, from the connector to the stage table: read, prepare, compare, write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql
from psycopg.types.json import Jsonb

from catalog.models import Source
from catalog.text import printable
from extract.batches import SourceBatch, SourceFile
from extract.connectors import connector
from extract.errors import ExtractError, of_manifest
from extract.hashing import to_text
from extract.load import ledger, tables
from extract.load.history import (
    UNCHANGED,
    LoadRows,
    RawVersions,
    Resolution,
    read_raw_versions,
)
from extract.load.ingest import StageRows, ingest
from extract.load.ledger import LoadError, LoadReport, source_lock
from extract.load.quarantine import RejectedRows, remove_duplicates
from extract.load.raw_tables import ensure_raw_table
from extract.prefetch import prefetch
from extract.prepare import Prepared, Preparer, previous_columns
from extract.redact import safe_error, safe_path, safe_texts
from extract.types import cast
from warehouse.reasons import Reason


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
            f"{source.path}: snapshot",
            "is not in the manifest",
            "add it, or load without it",
            reason=Reason.WRONG_MANIFEST,
        )
    with (
        psycopg.connect(warehouse_url, autocommit=True) as control,
        source_lock(control, source),
    ):
        _fail_interrupted(control, source)
        ensure_raw_table(control, source)
        previous = ledger.last_kept(control, source, mode)
        cursor = ledger.last_cursor(control, source, mode)
        ((load_id,),) = control.execute(
            """insert into quality.loads (city_id, source_id, run_id, mode, state, cursor_before)
               values (%s, %s, %s, %s, 'staging', %s) returning load_id""",
            [source.city_id, source.source, run_id, mode, cursor],
        ).fetchall()
        try:
            time_zone = reader.options.get("time_zone")
            preparer = Preparer(
                source, salt, previous_columns(previous.files if previous else []), time_zone
            )
            batches = connector(reader.connector)(reader, source, Path(base_dir), cursor)
            run = _StageRun(source, warehouse_url, load_id, preparer, cursor, progress)
            with of_manifest(f"{source.path}, {mode}"):
                run.run(batches)
        except BaseException as error:
            safe = safe_error(error, source)
            _record_failure(control, source, load_id, error, str(safe))
            if safe is error:
                raise
            raise safe from None
        return ledger.report(control, load_id)


class _StageRun:
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
        self.raw = RawVersions.empty()
        self.rows = LoadRows()
        self.read = 0
        self.watermark = _Watermark(source, cursor)

    def run(self, batches: Iterable[SourceBatch]) -> None:
        """Stage everything, then settle counts, quarantine and state in one transaction."""
        with (
            prefetch(batches) as read,  # first: there is something to write once all are connected
            prefetch(map(self.preparer.prepare, read)) as prepared,
            psycopg.connect(self.url) as connection,
            adbc.connect(self.url) as writer,
            ThreadPoolExecutor(1) as committer,
        ):
            columns = tables.table_columns(connection, "raw", self.source.raw_table)
            raw = sql.Identifier("raw", self.source.raw_table)
            any_row = sql.SQL("select from {} limit 1").format(raw)
            if connection.execute(any_row).fetchone() is not None:
                self.raw = read_raw_versions(self.url, self.source)
            rejected = RejectedRows(connection, self.source, self.load_id)
            # Created and filled in one transaction, a table needs no write-ahead log where the
            # server's wal_level is minimal.
            with writer.cursor() as cursor:
                cursor.execute(tables.create_stage_sql(self.source, columns, self.load_id))
                fresh = self._new_or_changed(prepared, rejected)
                written = ingest(cursor, self.source, set(columns), fresh)
            for file in self.files.values():
                self.preparer.check_file(file)
            committed = committer.submit(writer.commit)
            resolution = self.rows.resolve()
            committed.result()
            self._settle(connection, rejected, resolution, written)

    def _new_or_changed(
        self, prepared: Iterable[Prepared], rejected: RejectedRows
    ) -> Iterator[StageRows]:
        """Yield what is new or changed; count everything else."""
        for batch in prepared:
            file = self.files.setdefault(id(batch.file), batch.file)
            rows = len(batch.rows)
            file.rows += rows + len(batch.quarantined)
            self.read += rows + len(batch.quarantined)
            rejected.add(batch)
            self.watermark.position = batch.cursor or self.watermark.position
            if rows:
                status = self.raw.compare(batch.key, batch.row_hash)
                self.rows.add(file.path, batch.rows, batch.key, batch.row_hash, status)
                self.watermark.advance(batch.table)
                fresh = status != UNCHANGED
                if fresh.all():
                    yield _stage_rows(batch, None)
                elif fresh.any():
                    yield _stage_rows(batch, np.flatnonzero(fresh))
            if self.progress is not None:
                self.progress(self.read)

    def _settle(
        self,
        connection: psycopg.Connection,
        rejected: RejectedRows,
        resolution: Resolution,
        written: int,
    ) -> None:
        remove_duplicates(connection, self.source, self.load_id, resolution)
        rejected.store()
        staged = resolution.new + resolution.changed
        removed = len(resolution.superseded) + len(resolution.repeated)
        if written - removed != staged:
            raise LoadError(
                f"{written} rows were written to stage.{self.source.raw_table} and {removed} "
                f"taken out, but {staged} should be there; run the source again"
            )
        connection.execute(
            """update quality.loads set state = %s, rows_read = %s, rows_new = %s,
                 rows_changed = %s, rows_unchanged = %s, rows_quarantined = %s,
                 cursor_after = %s, files = %s,
                 finished_at = case when %s then null else clock_timestamp() end
               where load_id = %s""",
            [
                "staged" if staged else "unchanged",
                self.read,
                resolution.new,
                resolution.changed,
                resolution.unchanged,
                rejected.count + len(resolution.superseded),
                self.watermark.text(),
                Jsonb([self._facts(file) for file in self.files.values()]),
                bool(staged),
                self.load_id,
            ],
        )
        ledger.report(connection, self.load_id).check_counts()
        if not staged:
            tables.drop_stage(connection, self.source)

    def _facts(self, file: SourceFile) -> dict[str, Any]:
        """Return what `quality.loads.files` keeps of a file."""
        facts = file.facts()
        return {
            **facts,
            "path": safe_path(facts["path"], self.source),
            "columns": safe_texts(facts["columns"], self.source),
        }


def _stage_rows(batch: Prepared, chosen: np.ndarray | None) -> StageRows:
    """Return rows with their hash and number; load and file are defaults of the stage."""
    table, rows, hashes = batch.table, batch.rows, batch.row_hash
    if chosen is not None:
        table, rows, hashes = table.take(pa.array(chosen)), rows[chosen], hashes[chosen]
    own = {"_row_hash": to_text(hashes), "_source_row": pa.array(rows)}
    columns = dict(zip(table.schema.names, table.columns, strict=True)) | own
    return StageRows(batch.file.path, columns)


class _Watermark:
    """How far a source has been read: the highest value of its cursor column.

    `position`: set by a connector that keeps a place of its own in place of a column.
    """

    def __init__(self, source: Source, before: str | None) -> None:
        self.position: str | None = None
        self._column = source.cursor
        self._before = before
        self._highest: Any = None
        if before is not None and source.cursor is not None:
            column = source.columns[source.cursor]
            self._highest = cast(pa.array([before]), column)[0][0].as_py()

    def advance(self, table: pa.RecordBatch) -> None:
        """Include a batch's rows."""
        if self._column is None or self._column not in table.schema.names:
            return
        highest = pc.max(table.column(self._column)).as_py()
        if highest is not None and (self._highest is None or highest > self._highest):
            self._highest = highest

    def text(self) -> str | None:
        """Return it as `quality.loads.cursor_after` holds it: ISO for times."""
        if self.position is not None:
            return self.position
        if self._highest is None:
            return self._before
        is_time = hasattr(self._highest, "isoformat")
        return self._highest.isoformat() if is_time else str(self._highest)


def _fail_interrupted(control: psycopg.Connection, source: Source) -> None:
    """Fail what an earlier process left unfinished; this one holds the source's lock."""
    tables.drop_stage(control, source)
    control.execute(
        """update quality.loads set state = 'failed', finished_at = clock_timestamp(),
             rows_read = 0, rows_new = 0, rows_changed = 0, rows_unchanged = 0,
             rows_quarantined = 0, reason_code = %s,
             message = 'interrupted before it was committed; a later load of the source took over'
           where city_id = %s and source_id = %s and state in ('staging', 'staged')""",
        [Reason.INTERRUPTED.value, source.city_id, source.source],
    )


def _record_failure(
    control: psycopg.Connection,
    source: Source,
    load_id: int,
    error: BaseException,
    message: str,
) -> None:
    if control.closed:
        return
    if isinstance(error, ExtractError):
        reason = error.reason
    else:
        unexpected = isinstance(error, Exception)
        reason = Reason.INTERNAL_ERROR if unexpected else Reason.INTERRUPTED
    tables.drop_stage(control, source)
    control.execute(
        """update quality.loads set state = 'failed', message = %s, reason_code = %s,
           finished_at = clock_timestamp() where load_id = %s""",
        [printable(message) or type(error).__name__, reason.value, load_id],
    )
