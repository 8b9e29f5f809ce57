"""`fixed_width`: exports of mainframes and old systems, read by a record layout."""

from __future__ import annotations

from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from catalog.models import Reader, Source
from extract.batches import RejectedRow, SourceBatch, SourceFile, no_rows, numbered
from extract.connectors import option
from extract.connectors.files import TextStream, find, relative
from extract.errors import ExtractError

OPTIONS = ("layout", "encoding", "skip_rows", "record_length", "nulls", "time_zone")
ROWS = 50_000


def read(
    reader: Reader, source: Source, base_dir: Path, cursor: str | None
) -> Iterator[SourceBatch]:
    """Yield records cut by position, blanks around values stripped, blank values null.

    Options: `layout`, a list of {name, start, length} where `start` counts characters from 1;
    `encoding` (utf-8; cp037 for EBCDIC); `skip_rows`, lines before the first record;
    `record_length` for files without newlines; `nulls`, texts that mean nothing (00000000). A
    line that is shorter than the layout is rejected; as the last of a file without a final
    newline it means that the file is truncated.
    """
    layout = _layout(reader, source)
    encoding = option(reader, "encoding", "utf-8", str, OPTIONS)
    skip = option(reader, "skip_rows", 0, int, OPTIONS)
    length = option(reader, "record_length", None, int, OPTIONS)
    nulls = [str(text) for text in option(reader, "nulls", [], list, OPTIONS)]
    names = [name for name, _, _ in layout]
    needed = max(start + size for _, start, size in layout)
    for path in find(reader, base_dir):
        file = SourceFile(relative(path, base_dir), columns=names)
        yield SourceBatch(file, no_rows(names), numbered(1, 0))
        good = bad = last = 0
        last_fits = True
        with TextStream(path, file, encoding) as stream:
            lines = _records(stream, length, path) if length else _lines(stream)
            for _ in range(skip):
                next(lines, None)
            for first, block in _blocks(lines):
                text = pl.Series("line", block, dtype=pl.String)
                fits = (text.str.len_chars() >= needed).to_numpy()
                rows = np.arange(first, first + len(block), dtype=np.int64)
                rejected = tuple(
                    RejectedRow(
                        int(rows[p]),
                        f"has {len(block[p])} characters where the layout needs {needed}",
                        block[p],
                    )
                    for p in np.flatnonzero(~fits)
                )
                yield SourceBatch(
                    file, _cut(text.filter(fits), layout, nulls), rows[fits], rejected
                )
                good, bad = good + int(fits.sum()), bad + len(rejected)
                last, last_fits = int(rows[-1]), bool(fits[-1])
            if not last_fits and not stream.ends_in_newline:
                raise ExtractError(
                    f"{path}, record {last}",
                    "the last, is cut off: the file is truncated",
                    "fetch it again",
                )
        if bad and not good:
            raise ExtractError(
                str(path),
                f"all of its {bad} records are shorter than the layout ({needed} characters)",
                "correct options.layout in the manifest, or fetch the file again",
            )


def _layout(reader: Reader, source: Source) -> list[tuple[str, int, int]]:
    fields = option(reader, "layout", [], list, OPTIONS)
    layout = []
    for position, field in enumerate(fields):
        if not isinstance(field, dict) or not {"name", "start", "length"} <= set(field):
            raise ExtractError(
                f"{source.path}: read.options.layout[{position}]",
                f"is {field!r}",
                "give each field a name, a start (from 1) and a length",
            )
        start, length = int(field["start"]), int(field["length"])
        if start < 1 or length < 1:
            raise ExtractError(
                f"{source.path}: read.options.layout[{position}]",
                f"start {start}, length {length} are no place in a record",
                "count from 1",
            )
        layout.append((str(field["name"]), start - 1, length))
    if not layout:
        raise ExtractError(
            f"{source.path}: read.options.layout", "is missing", "list name, start, length"
        )
    return layout


def _lines(stream: TextStream) -> Iterator[str]:
    for line in TextIOWrapper(stream, encoding="utf-8", newline=None):
        text = line.rstrip("\n")
        if text.strip() and text != "\x1a":  # an end-of-file mark of old systems
            yield text


def _records(stream: TextStream, length: int, path: Path) -> Iterator[str]:
    text = TextIOWrapper(stream, encoding="utf-8", newline="")
    number = 0
    while record := text.read(length):
        number += 1
        if len(record) < length:
            raise ExtractError(
                f"{path}, record {number}",
                f"has {len(record)} of {length} characters: the file is truncated",
                "fetch it again, or correct options.record_length",
            )
        yield record


def _blocks(lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    first, block = 1, []
    for line in lines:
        block.append(line)
        if len(block) == ROWS:
            yield first, block
            first, block = first + ROWS, []
    if block:
        yield first, block


def _cut(lines: pl.Series, layout: list[tuple[str, int, int]], nulls: list[str]) -> pa.RecordBatch:
    arrays = []
    for _, start, length in layout:
        values = lines.str.slice(start, length).str.strip_chars()
        values = values.set(values.is_in(["", *nulls]), None)
        arrays.append(values.to_arrow().cast(pa.string()))
    return pa.RecordBatch.from_arrays(arrays, names=[name for name, _, _ in layout])
