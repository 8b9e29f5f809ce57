"""`csv`: delimited text, of any delimiter, encoding and newline, plain or gzip, many files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from catalog.models import Reader, Source
from extract.batches import RejectedRow, SourceBatch, SourceFile, gathered, no_rows, numbered
from extract.connectors.declare import Connector, Encoding, Options
from extract.connectors.files import TextStream, find, relative
from extract.errors import ExtractError

#: Bytes that are parsed at a time (the longest record that can be read), and that make a batch.
BLOCK = 2 << 20
BATCH = 8 << 20
#: A header with titles in front is looked for in this much of the file.
HEAD = 1 << 20


def _one_character(value: str) -> str:
    if len(value) > 1 or not value.isascii():
        raise ValueError(f"{value!r} is not one ASCII character; write one, such as ';' or \"\\t\"")
    return value


def _not_empty(value: str) -> str:
    if not value:
        raise ValueError("is empty; write one character, such as ';' or \"\\t\"")
    return value


Character = Annotated[str, AfterValidator(_one_character)]


class CsvOptions(Options):
    """Options of `csv`."""

    delimiter: Annotated[Character, AfterValidator(_not_empty)] = Field(
        ",", description="Character between the fields"
    )
    encoding: Encoding = Field(
        "utf-8", description="Encoding of the files; a byte-order mark overrides it"
    )
    quote: Character = Field('"', description="Character around fields; '' for none")
    skip_rows: int = Field(0, ge=0, description="Lines before the header")
    header: list[str] | None = Field(
        None, min_length=1, description="Names of the columns, for files without a header"
    )
    nulls: list[str] = Field([], description="Texts that mean no value, such as N/A")


def read(
    options: CsvOptions, reader: Reader, source: Source, base_dir: Path, cursor: str | None
) -> Iterator[SourceBatch]:
    """Yield the rows of delimited files as text columns; empty fields are null.

    A record with too many or too few fields is rejected; as the last record of a file without a
    final newline it means that the file is truncated.
    """
    for path in find(reader, base_dir):
        yield from _read_file(path, options, base_dir)


CSV = Connector("Delimited text, plain or gzip, many files", CsvOptions, read)


def _read_file(path: Path, options: CsvOptions, base_dir: Path) -> Iterator[SourceBatch]:
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    delimiter, quote = options.delimiter, options.quote
    file = SourceFile(relative(path, base_dir))
    with TextStream(path, file, options.encoding) as stream:
        file.columns = _header(stream, path, options)
        width = len(file.columns)
        # A batch without rows announces the file, so that its header is checked before it is read.
        yield SourceBatch(file, no_rows(file.columns), numbered(1, 0))
        ragged: list[RejectedRow] = []
        short: set[int] = set()

        def reject(row: Any) -> str:
            fields = "field" if row.actual_columns == 1 else "fields"
            ragged.append(
                RejectedRow(
                    row.number or 0,
                    f"has {row.actual_columns} {fields} where the header has {width}",
                    row.text,
                )
            )
            if row.actual_columns < width:
                short.add(row.number or 0)
            return "skip"

        last = _Last()
        # Read serially: only then does Arrow number the rows that it rejects.
        names = [str(position) for position in range(width)]
        try:
            batches = arrow_csv.open_csv(
                pa.PythonFile(stream, mode="r"),
                arrow_csv.ReadOptions(block_size=BLOCK, use_threads=False, column_names=names),
                arrow_csv.ParseOptions(
                    delimiter=delimiter,
                    quote_char=quote or False,
                    newlines_in_values=bool(quote),
                    invalid_row_handler=reject,
                ),
                arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    check_utf8=False,  # the stream has done it
                    strings_can_be_null=True,
                    null_values=["", *options.nulls],
                ),
            )
            yield from gathered(_numbered(batches, file, ragged, last), BATCH)
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):  # a header and nothing else
                return
            if "straddling" in str(error):
                what = f"opens a quote that nothing closes in {BLOCK:,} bytes"
                raise _truncated(path, last.row + 1, what) from error
            raise ExtractError(
                f"{path}, after record {last.row}",
                "cannot be read as delimited text",
                "check delimiter, quote and encoding under `options:`",
                quoted=str(error),
            ) from error
        _check_end(stream, path, last, delimiter, quote, short)


@dataclass
class _Last:
    """The last record read so far, by which a truncated file is recognised."""

    row: int = 0
    value: str = ""
    ragged: RejectedRow | None = None
    good: int = 0
    rejected: int = 0


def _header(stream: TextStream, path: Path, options: CsvOptions) -> list[str]:
    """Return the column names, and leave the stream at the first record."""
    quote = options.quote
    head = stream.peek(HEAD).decode("utf-8", errors="ignore")
    head = head.replace("\r\n", "\n").replace("\r", "\n") if "\n" not in head else head
    lines = io.StringIO(head, newline="")
    for _ in range(options.skip_rows):
        lines.readline()
    if options.header:
        names = options.header
    else:
        records = csv.reader(
            lines,
            delimiter=options.delimiter,
            quotechar=quote or None,
            quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
        )
        names = next((record for record in records if any(record)), [])
        if not names:
            raise ExtractError(str(path), "has no header", "fetch it again, or set skip_rows")
        if len(names) == 1 and head.lstrip()[:1] in "{[":
            raise ExtractError(
                str(path),
                "is JSON in place of delimited text",
                "the source may have answered with an error; fetch the file again",
            )
    stream.read(len(head[: lines.tell()].encode("utf-8")))
    return names


def _numbered(
    batches: Any, file: SourceFile, ragged: list[RejectedRow], last: _Last
) -> Iterator[SourceBatch]:
    """Give each row its number; Arrow reads ahead, so some rejected rows are still to come."""
    import numpy as np

    upcoming = 1
    while True:
        try:
            table = batches.read_next_batch()
        except StopIteration:
            table = None
        if table is not None and not len(table):
            continue
        if table is not None:
            skipped = {row.row for row in ragged}
            span = np.arange(upcoming, upcoming + len(table) + len(skipped), dtype=np.int64)
            rows = span[~np.isin(span, list(skipped))] if skipped else span
            rows = rows[: len(table)]
            upcoming = int(rows[-1]) + 1
            fresh = tuple(row for row in ragged if row.row < upcoming)
            ragged[:] = ragged[len(fresh) :]
            last.value = table.column(table.num_columns - 1)[-1].as_py() or ""
        else:
            if not ragged:
                return
            table, rows, fresh = no_rows(file.columns), numbered(upcoming, 0), tuple(ragged)
            ragged.clear()
        last.row = max(upcoming - 1, *(row.row for row in fresh), 0)
        last.ragged = fresh[-1] if fresh and fresh[-1].row == last.row else None
        last.good += len(table)
        last.rejected += len(fresh)
        yield SourceBatch(file, table.rename_columns(file.columns), rows, fresh)


def _check_end(
    stream: TextStream, path: Path, last: _Last, delimiter: str, quote: str, short: set[int]
) -> None:
    """Raise if the file is cut: within its last record, or within a quoted value."""
    if last.ragged is not None:
        cut = not stream.ends_in_newline and last.ragged.row in short
        if cut or (quote and last.ragged.text.count(quote) % 2):
            raise _truncated(path, last.row, "the last, is cut off")
    elif quote and last.row:
        tail = stream.tail.decode("utf-8", errors="replace").replace(quote * 2, quote)
        value = last.value[-len(tail) + 2 :]
        if tail.endswith(value) and not tail.endswith(quote + quote):
            before = tail[len(tail) - len(value) - 2 : len(tail) - len(value)]
            if before in (delimiter + quote, "\n" + quote) or len(last.value) > len(tail):
                raise _truncated(path, last.row, "the last, opens a quote that nothing closes")
    if last.rejected and not last.good:
        raise ExtractError(
            str(path),
            f"none of its {last.rejected} records has as many fields as its header",
            "check delimiter and skip_rows under `options:`, or fetch the file again",
        )


def _truncated(path: Path, row: int, what: str) -> ExtractError:
    return ExtractError(
        f"{path}, record {row}", f"{what}: the file is truncated or damaged", "fetch it again"
    )
