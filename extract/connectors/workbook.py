"""`excel`: sheets of workbooks (xlsx, xlsm, xls, xlsb, ods), merged and many-rowed headers too."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import Field

from catalog.fields import Regex
from catalog.models import Reader, Source
from extract.batches import SourceBatch, SourceFile
from extract.connectors.declare import Connector, Options
from extract.connectors.files import find, refuse_html_page, relative
from extract.connectors.records import from_rows, text_of_value
from extract.errors import ExtractError

#: How xlsx, xlsm, xlsb and ods begin (a zip), and xls.
BEGINNINGS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x09\x08")


class ExcelOptions(Options):
    """Options of `excel`."""

    sheet: str | None = Field(
        None, min_length=1, description="Name of the sheet; without it, the first one"
    )
    skip_rows: int = Field(0, ge=0, description="Rows before the header")
    header_rows: int = Field(
        1, ge=1, description="Rows of the header; several are joined from top to bottom"
    )
    total_rows: Regex | None = Field(
        None,
        description="Regular expression of sums: a row whose first filled cell it finds is left "
        "out",
    )


def read(
    options: ExcelOptions, reader: Reader, source: Source, base_dir: Path, cursor: str | None
) -> Iterator[SourceBatch]:
    """Yield the rows of one sheet of each workbook; a row's number is its number in the sheet.

    Rows of the header are joined after merged cells are spread over their range, so that
    `Disposed` over `Refuse` is `Disposed Refuse`. Empty rows are left out.
    """
    import numpy as np

    sheet_name, skip = options.sheet, options.skip_rows
    for path in find(reader, base_dir):
        file = SourceFile(relative(path, base_dir))
        cells = _cells(path, file, sheet_name)
        body = skip + options.header_rows
        if len(cells) < body:
            raise ExtractError(
                f"{path}, sheet {sheet_name or 'first'}",
                f"has {len(cells)} rows where the header alone should end in row {body}",
                "correct skip_rows and header_rows, or fetch the file again",
            )
        names = _names(cells[skip:body])
        filled = [position for position, name in enumerate(names) if name]
        total = re.compile(options.total_rows) if options.total_rows else None
        rows, numbers = [], []
        for number, row in enumerate(cells[body:], body + 1):
            first = next((text_of_value(cell) for cell in row if cell not in ("", None)), None)
            if first is None or (total and total.search(first)):
                continue
            rows.append([row[position] for position in filled])
            numbers.append(number)
        file.columns = [names[position] for position in filled]
        yield SourceBatch(file, from_rows(rows, file.columns), np.array(numbers, np.int64))


EXCEL = Connector("Sheets of workbooks: xlsx, xlsm, xls, xlsb, ods", ExcelOptions, read)


def _cells(path: Path, file: SourceFile, sheet_name: str | None) -> list[list[Any]]:
    """Return a sheet's cells, each cell of a merged range with the range's value."""
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError

    data = path.read_bytes()
    file.bytes, file.sha256 = len(data), hashlib.sha256(data).hexdigest()
    if not data:
        raise ExtractError(str(path), "the file is empty", "fetch it from the source again")
    refuse_html_page(path, [data[:16384].decode("latin-1")], "a workbook")
    try:
        with CalamineWorkbook.from_path(path) as workbook:
            names = workbook.sheet_names
            wanted = sheet_name or names[0]
            if wanted not in names:
                close = get_close_matches(wanted, names, 1)
                raise ExtractError(
                    str(path),
                    f"has no sheet {wanted!r}; it has {', '.join(names)}",
                    f"set options.sheet to {close[0]!r}" if close else "correct options.sheet",
                )
            sheet = workbook.get_sheet_by_name(wanted)
            cells = sheet.to_python(skip_empty_area=False)
            for (top, left), (bottom, right) in sheet.merged_cell_ranges or []:
                _spread(cells, top, left, bottom, right)
            return cells
    except PasswordError as error:
        raise ExtractError(
            str(path), "is protected by a password", "ask its owner for an open copy"
        ) from error
    except CalamineError as error:
        if not data.startswith(BEGINNINGS):
            raise ExtractError(
                str(path),
                "is no workbook",
                "the source may have answered with an error, or the file was renamed; look into "
                "it, and fetch it again",
            ) from error
        raise ExtractError(
            str(path), f"is no readable workbook ({error})", "it may be truncated; fetch it again"
        ) from error


def _spread(cells: list[list[Any]], top: int, left: int, bottom: int, right: int) -> None:
    if top >= len(cells) or left >= len(cells[top]):
        return
    value = cells[top][left]
    for row in cells[top : bottom + 1]:
        for position in range(left, min(right + 1, len(row))):
            row[position] = value


def _names(header: list[list[Any]]) -> list[str]:
    """Join header rows from top to bottom, a text that repeats below itself once."""
    names = []
    for parts in zip(*header, strict=True):
        texts = [" ".join((text_of_value(part) or "").split()) for part in parts]
        names.append(" ".join(t for t, before in zip(texts, ["", *texts], strict=False)
                              if t and t != before))  # fmt: skip
    return names
