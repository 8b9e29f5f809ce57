"""Writing Arrow batches to a stage table by ADBC's binary COPY."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa

from catalog.models import Source
from extract.load import tables


@dataclass(frozen=True)
class StageRows:
    """New or changed rows of one file: the columns of a stage table, as Arrow arrays."""

    file: str
    columns: dict[str, pa.Array]


def ingest(
    cursor: adbc.Cursor, source: Source, known: set[str], batches: Iterator[StageRows]
) -> int:
    """Write batches to a source's stage table; return the number of rows.

    One COPY serves each run of batches of one file and shape. Columns that have had no value yet
    are left out of it: exports are full of them, and each would cost as much as one with values.
    `known`: the stage's columns; others are added to it as text. Raises what `batches` raises.
    """
    queue = _Batches(batches, known)
    written = 0
    upcoming = queue.next()
    while upcoming is not None:
        for name in queue.take_added():
            cursor.execute(tables.add_stage_column_sql(source, name))
        file, first = upcoming
        cursor.execute(tables.stage_file_sql(source, file))
        stream = pa.RecordBatchReader.from_batches(first.schema, queue.alike(file, first))
        try:
            written += cursor.adbc_ingest(
                source.raw_table, stream, mode="append", db_schema_name="stage"
            )
        except Exception:
            if queue.failure is not None:
                raise queue.failure from None
            raise
        upcoming = queue.take_waiting()
    return written


class _Batches:
    """Batches in runs that one COPY can take."""

    def __init__(self, batches: Iterator[StageRows], known: set[str]) -> None:
        #: What drawing the last batch raised; ADBC would reduce it to a text.
        self.failure: BaseException | None = None
        self._batches = batches
        self._known = known
        self._used: set[str] = set()
        self._added: list[str] = []
        self._waiting: tuple[str, pa.RecordBatch] | None = None

    def next(self) -> tuple[str, pa.RecordBatch] | None:
        """Return the next batch and its file, without columns that have had no value yet."""
        try:
            batch = next(self._batches, None)
        except BaseException as error:
            self.failure = error
            raise
        if batch is None:
            return None
        for name, array in batch.columns.items():
            if name not in self._known:
                self._added.append(name)
                self._known.add(name)
            if name not in self._used and array.null_count < len(array):
                self._used.add(name)
        kept = {name: array for name, array in batch.columns.items() if name in self._used}
        return batch.file, pa.RecordBatch.from_pydict(kept)

    def alike(self, file: str, first: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Yield `first` and what follows of its file and shape; keep the first that differs."""
        yield first
        while (following := self.next()) is not None:
            if following[0] != file or following[1].schema != first.schema:
                self._waiting = following
                return
            yield following[1]

    def take_added(self) -> list[str]:
        """Return the columns that came up since the last call and that the stage lacks."""
        added, self._added = self._added, []
        return added

    def take_waiting(self) -> tuple[str, pa.RecordBatch] | None:
        """Return the batch that ended the last run."""
        waiting, self._waiting = self._waiting, None
        return waiting
