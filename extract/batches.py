"""What a connector yields: rows as the department has them, with their file and number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


@dataclass
class SourceFile:
    """One file (or table, or endpoint) that was read; its facts are complete when it is read out.

    `path` is relative to the source's folder. `columns` are the department's own names.
    `sparse`: rows name only what they have (JSON), so that a column is missing only when no row
    of the file has it. `may_hold_nul`: a NUL character was found or cannot be ruled out.
    """

    path: str
    sha256: str = ""
    bytes: int = 0
    rows: int = 0
    columns: list[str] = field(default_factory=list)
    sparse: bool = False
    may_hold_nul: bool = True

    def facts(self) -> dict[str, Any]:
        """Return what `quality.loads.files` keeps: path, sha256, bytes, rows, columns."""
        return {
            "path": self.path,
            "sha256": self.sha256,
            "bytes": self.bytes,
            "rows": self.rows,
            "columns": self.columns,
        }


@dataclass(frozen=True)
class RejectedRow:
    """A row that a connector cannot split into columns, with its text and the reason."""

    row: int
    reason: str
    text: str


@dataclass(frozen=True)
class SourceBatch:
    """Rows of one file, under the department's names, text or typed. Empty text comes as null.

    `rows` holds for each row its number in the file: 1 for the first record after the header.
    `rejected` are rows of the same stretch that could not be read. `cursor`: how far the source has
    been read, where the connector keeps a position that is no column.
    """

    file: SourceFile
    table: pa.RecordBatch
    rows: np.ndarray
    rejected: tuple[RejectedRow, ...] = ()
    cursor: str | None = None


def gathered(batches: Iterable[SourceBatch], size: int) -> Iterator[SourceBatch]:
    """Yield one file's batches joined to `size` bytes of text or more; the last may be smaller.

    Small blocks are parsed quicker, because they fit a core's cache; what comes after costs some
    milliseconds a batch, whatever its rows.
    """
    pending: list[SourceBatch] = []
    pending_bytes = 0
    for batch in batches:
        pending.append(batch)
        pending_bytes += batch.table.nbytes
        if pending_bytes >= size:
            yield _joined(pending)
            pending, pending_bytes = [], 0
    if pending:
        yield _joined(pending)


def _joined(batches: list[SourceBatch]) -> SourceBatch:
    if len(batches) == 1:
        return batches[0]
    import numpy as np
    import pyarrow as pa

    return SourceBatch(
        batches[0].file,
        pa.concat_batches([batch.table for batch in batches]),
        np.concatenate([batch.rows for batch in batches]),
        tuple(row for batch in batches for row in batch.rejected),
        batches[-1].cursor,
    )


def numbered(first: int, count: int) -> np.ndarray:
    """Return row numbers `first`, `first + 1`, ... as a batch carries them."""
    import numpy as np

    return np.arange(first, first + count, dtype=np.int64)


def no_rows(columns: list[str]) -> pa.RecordBatch:
    """Return a batch of those text columns without rows."""
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([pa.nulls(0, pa.string()) for _ in columns], names=columns)


def without_empty(table: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch with null in place of empty text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = []
    for array in table.columns:
        if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
            empty = pc.equal(pc.binary_length(array), 0)
            array = pc.if_else(empty, pa.scalar(None, array.type), array)
        columns.append(array)
    return pa.RecordBatch.from_arrays(columns, names=table.schema.names)
