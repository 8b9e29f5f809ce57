"""`fixed_width`: exports of mainframes and old systems, read by a record layout."""

from __future__ import annotations

from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from catalog.models import Reader, Source
from catalog.problems import refuse
from extract.batches import RejectedRow, SourceBatch, SourceFile, no_rows, numbered
from extract.connectors.declare import Connector, Encoding, Options
from extract.connectors.files import TextStream, find, relative
from extract.errors import ExtractError

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

ROWS = 50_000


class Place(BaseModel):
    """The place of one value in a record."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(min_length=1, description="Name of the column")
    start: int = Field(ge=1, description="Its first character, counted from 1")
    length: int = Field(ge=1, description="How many characters it has")


class FixedWidthOptions(Options):
    """Options of `fixed_width`."""

    layout: list[Place] = Field(
        min_length=1, description="The record's values, each with name, start and length"
    )
    encoding: Encoding = Field("utf-8", description="Encoding of the files; cp037 for EBCDIC")
    skip_rows: int = Field(0, ge=0, description="Lines before the first record")
    record_length: int | None = Field(
        None, ge=1, description="Characters of a record, for files without line breaks"
    )
    nulls: list[str] = Field([], description="Texts that mean no value, such as 00000000")

    @model_validator(mode="after")
    def _layout_fits(self) -> FixedWidthOptions:
        problems: list[tuple[str, str]] = []
        names: set[str] = set()
        for position, field in enumerate(self.layout):
            key = f"layout[{position}]"
            if field.name in names:
                problems.append((f"{key}.name", f"{field.name!r} is listed twice; rename one"))
            names.add(field.name)
            end = field.start + field.length - 1
            if self.record_length is not None and end > self.record_length:
                message = f"ends at {end}, behind record_length {self.record_length}; correct one"
                problems.append((f"{key}.length", message))
        refuse(problems)
        return self


def read(
    options: FixedWidthOptions, reader: Reader, source: Source, base_dir: Path, cursor: str | None
) -> Iterator[SourceBatch]:
    """Yield records cut by position, blanks around values stripped, blank values null.

    A line that is shorter than the layout is rejected; as the last of a file without a final
    newline it means that the file is truncated.
    """
    import numpy as np
    import polars as pl

    length = options.record_length
    names = [field.name for field in options.layout]
    needed = max(field.start - 1 + field.length for field in options.layout)
    for path in find(reader, base_dir):
        file = SourceFile(relative(path, base_dir), columns=names)
        yield SourceBatch(file, no_rows(names), numbered(1, 0))
        good = bad = last = 0
        last_fits = True
        with TextStream(path, file, options.encoding) as stream:
            lines = _records(stream, length, path) if length else _lines(stream)
            for _ in range(options.skip_rows):
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
                yield SourceBatch(file, _cut(text.filter(fits), options), rows[fits], rejected)
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


FIXED_WIDTH = Connector(
    "Exports of mainframes and old systems, by a record layout", FixedWidthOptions, read
)


def _lines(stream: TextStream) -> Iterator[str]:
    for line in TextIOWrapper(cast(BinaryIO, stream), encoding="utf-8", newline=None):
        text = line.rstrip("\n")
        if text.strip() and text != "\x1a":  # an end-of-file mark of old systems
            yield text


def _records(stream: TextStream, length: int, path: Path) -> Iterator[str]:
    text = TextIOWrapper(cast(BinaryIO, stream), encoding="utf-8", newline="")
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


def _cut(lines: pl.Series, options: FixedWidthOptions) -> pa.RecordBatch:
    import pyarrow as pa

    arrays = []
    for field in options.layout:
        values = lines.str.slice(field.start - 1, field.length).str.strip_chars()
        values = values.set(values.is_in(["", *options.nulls]), None)
        arrays.append(values.to_arrow().cast(pa.string()))
    return pa.RecordBatch.from_arrays(arrays, names=[field.name for field in options.layout])
