"""`parquet`: columns with the types that the file gives them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from catalog.models import Reader, Source
from extract.batches import SourceBatch, SourceFile, no_rows, numbered, without_empty
from extract.connectors.declare import Connector, Options
from extract.connectors.files import find, relative
from extract.errors import ExtractError

ROWS = 50_000


def read(
    options: Options, reader: Reader, source: Source, base_dir: Path, cursor: str | None
) -> Iterator[SourceBatch]:
    """Yield the rows of Parquet files."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path in find(reader, base_dir):
        with path.open("rb") as opened:
            sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
        file = SourceFile(relative(path, base_dir), sha256, path.stat().st_size)
        try:
            with pq.ParquetFile(path) as parquet:
                file.columns = parquet.schema_arrow.names
                yield SourceBatch(file, no_rows(file.columns), numbered(1, 0))
                first = 1
                for batch in parquet.iter_batches(ROWS):
                    yield SourceBatch(file, without_empty(batch), numbered(first, len(batch)))
                    first += len(batch)
        except (pa.ArrowInvalid, OSError) as error:
            raise ExtractError(
                str(path),
                "is no whole Parquet file",
                "it may be truncated; fetch it again",
                quoted=str(error).splitlines()[0],
            ) from error


PARQUET = Connector("Parquet files, columns with the types that the file gives them", Options, read)
