"""`jsonl`: one JSON object a line. `json`: one document that holds a list of objects."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from catalog.models import Reader, Source
from extract.batches import RejectedRow, SourceBatch, SourceFile, no_rows, numbered
from extract.connectors import option
from extract.connectors.files import TextStream, find, relative
from extract.connectors.records import ROWS, from_objects
from extract.errors import ExtractError

LINE_OPTIONS = ("encoding", "time_zone")
DOCUMENT_OPTIONS = ("encoding", "records", "time_zone")


def read_lines(
    reader: Reader, source: Source, base_dir: Path, cursor: str | None
) -> Iterator[SourceBatch]:
    """Yield the objects of JSON-lines files, plain or gzip; nested values stay JSON text.

    Option: `encoding` (utf-8). A line that is no object is rejected; as the last line of a file
    without a final newline it means that the file is truncated.
    """
    encoding = option(reader, "encoding", "utf-8", str, LINE_OPTIONS)
    for path in find(reader, base_dir):
        file = SourceFile(relative(path, base_dir), sparse=True)
        with TextStream(path, file, encoding) as stream:
            file.may_hold_nul = True
            objects: list[dict[str, Any]] = []
            rows: list[int] = []
            rejected: list[RejectedRow] = []
            number = 0
            for line in io.BufferedReader(stream, 1 << 20):
                if not line.strip():
                    continue
                number += 1
                try:
                    item = json.loads(line)
                    problem = _problem(item)
                except (ValueError, RecursionError) as error:
                    if not line.endswith(b"\n"):
                        raise ExtractError(
                            f"{path}, record {number}",
                            "the last, is cut off: the file is truncated",
                            "fetch it again",
                        ) from error
                    problem = f"is not JSON ({error})"
                if problem:
                    rejected.append(
                        RejectedRow(number, problem, line.decode("utf-8", "replace").strip())
                    )
                else:
                    objects.append(item)
                    rows.append(number)
                if len(objects) + len(rejected) >= ROWS:
                    yield SourceBatch(
                        file, from_objects(objects), np.array(rows, np.int64), tuple(rejected)
                    )
                    objects, rows, rejected = [], [], []
            if number and len(rejected) == number:
                raise ExtractError(
                    str(path), f"none of its {number} lines is a JSON object", "fetch it again"
                )
            yield SourceBatch(
                file, from_objects(objects), np.array(rows, np.int64), tuple(rejected)
            )


def read_document(
    reader: Reader, source: Source, base_dir: Path, cursor: str | None
) -> Iterator[SourceBatch]:
    """Yield the objects of JSON documents, each held in memory as a whole.

    Options: `records`, the path to the list (`response.items`), where it is not the document
    itself; `encoding` (utf-8).
    """
    encoding = option(reader, "encoding", "utf-8", str, DOCUMENT_OPTIONS)
    place = option(reader, "records", None, str, DOCUMENT_OPTIONS)
    for path in find(reader, base_dir):
        file = SourceFile(relative(path, base_dir), sparse=True)
        records = _at(load_document(path, file, encoding), place, path)
        yield SourceBatch(file, no_rows([]), numbered(1, 0))
        for start in range(0, len(records), ROWS):
            yield from_list(file, records[start : start + ROWS], start + 1)


def load_document(path: Path, file: SourceFile, encoding: str = "utf-8") -> Any:
    """Return a file's JSON document; raise `ExtractError` with line and column if it is none."""
    with TextStream(path, file, encoding) as stream:
        text = stream.read().decode("utf-8")
        file.may_hold_nul = True
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) or "Unterminated" in error.msg
        raise ExtractError(
            f"{path}, line {error.lineno}, column {error.colno}",
            "the JSON document ends too early: the file is truncated"
            if cut
            else f"is not JSON ({error.msg})",
            "fetch the file again",
        ) from error
    except RecursionError as error:
        raise ExtractError(
            str(path), "is JSON nested too deep to be records", "fetch the file again"
        ) from error


def from_list(file: SourceFile, records: list[Any], first: int) -> SourceBatch:
    """Return one batch of a list of objects; what is no object is rejected."""
    objects, rows, rejected = [], [], []
    for number, item in enumerate(records, first):
        problem = _problem(item)
        if problem:
            rejected.append(RejectedRow(number, problem, json.dumps(item)[:500]))
        else:
            objects.append(item)
            rows.append(number)
    return SourceBatch(file, from_objects(objects), np.array(rows, np.int64), tuple(rejected))


def _problem(item: Any) -> str | None:
    if not isinstance(item, dict):
        return "is not a JSON object"
    return None if item else "is an empty object"


def _at(document: Any, place: str | None, path: Path) -> list[Any]:
    """Follow `records` into a document."""
    found = document
    for step in place.split(".") if place else ():
        if not isinstance(found, dict) or step not in found:
            keys = ", ".join(found) if isinstance(found, dict) else type(found).__name__
            raise ExtractError(
                f"{path}, options.records {place!r}",
                f"there is no {step!r}; found: {keys}",
                "correct options.records, or fetch the file again if it holds an error",
            )
        found = found[step]
    if not isinstance(found, list):
        keys = f" with the keys {', '.join(found)}" if isinstance(found, dict) else ""
        raise ExtractError(
            str(path),
            f"holds a {type(found).__name__}{keys} where a list of records is expected",
            "say where the list is with options.records",
        )
    return found
