"""`jsonl`: one JSON object a line. `json`: one document that holds a list of objects."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import Field

from catalog.models import Reader, Source
from extract.batches import RejectedRow, SourceBatch, SourceFile, no_rows, numbered
from extract.connectors.declare import Connector, Encoding, Options
from extract.connectors.files import TextStream, find, relative
from extract.connectors.records import ROWS, from_objects
from extract.errors import ExtractError


class JsonlOptions(Options):
    """Options of `jsonl`."""

    encoding: Encoding = Field("utf-8", description="Encoding of the files")


class JsonOptions(JsonlOptions):
    """Options of `json`."""

    records: str | None = Field(
        None,
        min_length=1,
        description="Path to the list of records, such as response.items, where the document "
        "is not the list itself",
    )


def read_lines(
    options: JsonlOptions, reader: Reader, source: Source, base_dir: Path, cursor: str | None
) -> Iterator[SourceBatch]:
    """Yield the objects of JSON-lines files, plain or gzip; nested values stay JSON text.

    A line that is no object is rejected; as the last line of a file
    without a final newline it means that the file is truncated.
    """
    import numpy as np

    for path in find(reader, base_dir):
        file = SourceFile(relative(path, base_dir), sparse=True)
        with TextStream(path, file, options.encoding) as stream:
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
    options: JsonOptions, reader: Reader, source: Source, base_dir: Path, cursor: str | None
) -> Iterator[SourceBatch]:
    """Yield the objects of JSON documents, each held in memory as a whole."""
    for path in find(reader, base_dir):
        file = SourceFile(relative(path, base_dir), sparse=True)
        records = _at(load_document(path, file, options.encoding), options.records, path)
        yield SourceBatch(file, no_rows([]), numbered(1, 0))
        for start in range(0, len(records), ROWS):
            yield from_list(file, records[start : start + ROWS], start + 1)


JSONL = Connector("One JSON object a line, plain or gzip", JsonlOptions, read_lines)
JSON = Connector("JSON documents that hold a list of objects", JsonOptions, read_document)


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
    import numpy as np

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
            "set options.records to the path of the list",
        )
    return found
