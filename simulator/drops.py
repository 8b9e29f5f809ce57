"""The formats that departments keep their files in, and how each grows without a full rewrite.

A text file is a run of blocks, a day each. What may still change lies within the last days
(the file's `life`), so growing keeps the bytes before these and rewrites the rest.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import sqlite3
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter

from simulator.requests import COLUMNS

Record = dict[str, Any]
_EPOCH = (1980, 1, 1, 0, 0, 0)


def replace(path: Path, content: bytes) -> None:
    """Put a file in place at once, so that no reader and no kill leaves half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


@dataclass(frozen=True)
class DayFile(ABC):
    """A text file that holds a block a day.

    `life` is the number of days after which a block changes no more.
    """

    name: str
    life: int
    columns: tuple[str, ...]

    def head(self) -> bytes:
        """Return the bytes before the first block."""
        return b""

    def tail(self) -> bytes:
        """Return the bytes after the last block."""
        return b""

    @abstractmethod
    def block(self, records: Sequence[Record], *, first: bool) -> bytes:
        """Return the records of one day as they stand in the file."""

    def write(
        self, path: Path, days: Iterable[tuple[date, Sequence[Record]]], kept: int | None
    ) -> dict[date, int]:
        """Write the days' blocks after the first `kept` bytes (None: a new file).

        Returns where each day begins, in bytes.
        """
        content = bytearray(self.head() if kept is None else path.read_bytes()[:kept])
        begins: dict[date, int] = {}
        for day, records in days:
            begins[day] = len(content)
            content += self.block(records, first=len(content) == len(self.head()))
        replace(path, bytes(content) + self.tail())
        return begins


@dataclass(frozen=True)
class Delimited(DayFile):
    """Delimited text; `quoted` False leaves a delimiter inside a value as it was typed."""

    delimiter: str = ","
    encoding: str = "utf-8"
    quoted: bool = True
    line_end: str = "\r\n"

    def head(self) -> bytes:
        """Return the header row, after the byte-order mark where the encoding has one."""
        mark = b"\xff\xfe" if self.encoding == "utf-16-le" else b""
        return mark + (self.delimiter.join(self.columns) + self.line_end).encode(self.encoding)

    def block(self, records: Sequence[Record], *, first: bool) -> bytes:
        """Return one line a record."""
        if not self.quoted:
            lines = (self.delimiter.join(str(value) for value in r.values()) for r in records)
            return "".join(line + self.line_end for line in lines).encode(self.encoding)
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=self.delimiter, lineterminator=self.line_end)
        writer.writerows(record.values() for record in records)
        return text.getvalue().encode(self.encoding)


@dataclass(frozen=True)
class JsonLines(DayFile):
    """One JSON object a line."""

    def block(self, records: Sequence[Record], *, first: bool) -> bytes:
        """Return one line a record."""
        return "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records).encode()


@dataclass(frozen=True)
class JsonDocument(DayFile):
    """One JSON document, as an app store exports it: an object with a list in it."""

    key: str = "records"

    def head(self) -> bytes:
        """Return the document up to the list."""
        return f'{{"{self.key}": [\n'.encode()

    def tail(self) -> bytes:
        """Return the end of list and document."""
        return b"\n]}\n"

    def block(self, records: Sequence[Record], *, first: bool) -> bytes:
        """Return the records, with a comma before each but the document's first."""
        text = ",\n".join(json.dumps(record, ensure_ascii=False) for record in records)
        return (text if first or not records else f",\n{text}").encode()


@dataclass(frozen=True)
class FixedWidth(DayFile):
    """Fixed-width records in ASCII, numbers to the right and texts to the left."""

    widths: tuple[int, ...] = ()

    def block(self, records: Sequence[Record], *, first: bool) -> bytes:
        """Return one line a record."""
        lines = []
        for record in records:
            fields = zip(record.values(), self.widths, strict=True)
            lines.append("".join(_fixed(value, width) for value, width in fields) + "\r\n")
        return "".join(lines).encode("ascii")


def _fixed(value: object, width: int) -> str:
    if isinstance(value, int):
        return f"{value:>{width}d}"
    return f"{str(value)[:width]:<{width}}"


def gzipped_csv(path: Path, columns: Sequence[str], records: Iterable[Record]) -> None:
    """Write records as gzipped CSV, the same bytes for the same records."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(record.values() for record in records)
    replace(path, gzip.compress(text.getvalue().encode(), 5, mtime=0))


def tonnage_workbook(path: Path, year: int, months: Sequence[Sequence[Record]]) -> None:
    """Write a year's workbook: two title rows, a merged header of two rows, totals between."""
    book = Workbook()
    book.remove(book.worksheets[0])
    sheet = book.create_sheet("Tonnage")
    bold, center = Font(bold=True), Alignment(horizontal="center")
    sheet.append([f"Loomfield (simulated), Sanitation: tons collected in {year}"])
    sheet.append(["Short tons over the scale, by district, month and material"])
    sheet.append(["District", "Month", "Disposed", None, "Recycled", None, None, "Total tons"])
    sheet.append(
        [None, None, "Refuse", "Other", "Paper", "Metal, glass, plastic", "Organics", None]
    )
    for cells in ("A3:A4", "B3:B4", "C3:D3", "E3:G3", "H3:H4"):
        sheet.merge_cells(cells)
    for row in sheet["A1:H4"]:
        for cell in row:
            cell.font = bold
            if cell.row > 2:
                cell.alignment = center
    names = ("refuse", "other", "paper", "mixed", "organics", "total")
    year_total = dict.fromkeys(names, 0.0)
    for records in months:
        if not records:
            continue
        month_total = dict.fromkeys(names, 0.0)
        for record in records:
            sheet.append([record["district"], record["month"], *(record[name] for name in names)])
            sheet.cell(sheet.max_row, 2).number_format = "mmm yyyy"
            for name in names:
                if isinstance(record[name], float):
                    month_total[name] += record[name]
        _total(sheet, f"Total {records[0]['month']:%Y-%m}", month_total, bold)
        for name in names:
            year_total[name] += month_total[name]
    _total(sheet, f"Total {year}", year_total, bold)
    sheet.freeze_panes = "C5"
    for column in range(1, 9):
        sheet.column_dimensions[get_column_letter(column)].width = 22 if column == 6 else 13
    notes = book.create_sheet("Notes")
    notes.append(["Figures are mended up to four weeks after the month; bold rows are sums."])
    book.properties.creator = "Loomfield (simulated)"
    book.properties.created = datetime(year, 1, 1)
    content = io.BytesIO()
    book.save(content)
    replace(path, _without_timestamp(content.getvalue()))


def _total(sheet: Any, label: str, sums: dict[str, float], font: Font) -> None:
    sheet.append([label, None, *(round(value, 1) for value in sums.values())])
    for cell in sheet[sheet.max_row]:
        cell.font = font


def _without_timestamp(workbook: bytes) -> bytes:
    """Return a workbook without its time of saving: the same rows give the same bytes."""
    result = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook)) as old,
        zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            content = old.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"<dcterms:modified.*?</dcterms:modified>", b"", content)
            new.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
    return result.getvalue()


_TABLE = f"""
create table if not exists service_requests (
    {", ".join(f"{c} real" if c in ("latitude", "longitude") else f"{c} text" for c in COLUMNS)},
    primary key (request_id)
) without rowid;
create view if not exists about as
    select 'Loomfield (simulated)' as city, 'no person and no place in it is real' as note;
"""


def service_line(path: Path, rows: Sequence[tuple[object, ...]], *, new: bool) -> None:
    """Write rows into the 311 line's SQLite database: a new one, or over what is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    target = path.with_name(f".{path.name}.part") if new else path
    if new:
        target.unlink(missing_ok=True)
    marks = ", ".join("?" * len(COLUMNS))
    with closing(sqlite3.connect(target, timeout=60)) as database:
        if new:
            # A crash discards the file, so a journal gains nothing.
            database.execute("pragma journal_mode = off")
            database.execute("pragma synchronous = off")
            database.executescript(_TABLE)
        with database:
            database.executemany(f"insert or replace into service_requests values ({marks})", rows)
    if new:
        target.replace(path)
