"""From a department's batch to typed rows under the manifest's names, redacted and hashed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from difflib import get_close_matches
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.fields import NAME_LENGTH, SYSTEM_COLUMNS
from catalog.models import Column, Source, normalise
from extract.batches import SourceBatch, SourceFile
from extract.errors import ExtractError
from extract.hashing import key_hashes, row_hashes
from extract.redact import (
    WITHHELD,
    has_personal,
    protect,
    quoted,
    safe_line,
    safe_path,
    safe_records,
    safe_texts,
)
from extract.types import cast, has_offset, text_of
from warehouse.reasons import Reason

#: Follows the reason for a time that could be read if the manifest named a zone.
OFFSET_REMEDY = (
    "; it has an offset: set options.time_zone to the zone in whose local time it shall be kept"
)


@dataclass(frozen=True)
class Quarantined:
    """A row for quarantine: the reasons, and the row as read, redacted."""

    row: int
    reasons: list[str]
    record: dict[str, str]

    @property
    def row_hash(self) -> str:
        """Hash of the record: the same row quarantined again is the same entry."""
        return sha256(json.dumps(self.record, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Prepared:
    """Rows fit for `raw`, and those that are not. Arrays run along the rows of `table`."""

    file: SourceFile
    table: pa.RecordBatch
    rows: np.ndarray
    row_hash: np.ndarray
    key: tuple[np.ndarray, np.ndarray]
    quarantined: list[Quarantined] = field(default_factory=list)
    cursor: str | None = None


class Preparer:
    """Prepares the batches of one load.

    `previous` maps a file's name to the columns that it had in the last kept load.
    `undeclared` has the columns that no manifest declares, each with a text for a person: its name,
    and where another header would have had it too, both headers.
    """

    def __init__(
        self,
        source: Source,
        salt: bytes,
        previous: dict[str, list[str]],
        time_zone: str | None = None,
    ) -> None:
        self.source = source
        self.salt = salt
        self.previous = previous
        self.time_zone = time_zone
        self.undeclared: dict[str, str] = {}
        self._names: dict[str, str] = {}
        for name, column in source.columns.items():
            for alias in (name, *column.aliases):
                self._names[normalise(alias)] = name
        self._plans: dict[tuple[str, tuple[str, ...]], list[tuple[int, str]]] = {}

    def prepare(self, batch: SourceBatch) -> Prepared:
        """Return the batch's rows, typed; raise `ExtractError` for a header that does not fit."""
        table = self._rename(batch)
        table = protect(table, self.source, self.salt)
        reasons: dict[int, list[str]] = {}
        unreadable: dict[int, list[str]] = {}
        names, arrays = [], []
        for name, array in zip(table.schema.names, table.columns, strict=True):
            array, failed = self._typed(name, array)
            if failed is not None:
                for position in np.flatnonzero(failed).tolist():
                    value = quoted(table.column(name)[position].as_py(), self.source)
                    kind = self.source.columns[name].type
                    reason = f"{name}: cannot read {value} as {kind}"
                    if not self.time_zone and has_offset(table.column(name)[position].as_py()):
                        reason += OFFSET_REMEDY
                    reasons.setdefault(position, []).append(reason)
                    unreadable.setdefault(position, []).append(name)
            if batch.file.may_hold_nul and pa.types.is_string(array.type):
                for position in _with_nul(array):
                    reasons.setdefault(position, []).append(f"{name}: holds a NUL character")
            names.append(name)
            arrays.append(array)
        typed = pa.RecordBatch.from_arrays(arrays, names=names)
        self._require_keys(typed, reasons)
        reasons_of_rejected = safe_texts([row.reason for row in batch.rejected], self.source)
        quarantined = [
            Quarantined(row.row, [reason], {"text": safe_line(row.text, self.source)})
            for row, reason in zip(batch.rejected, reasons_of_rejected, strict=True)
        ]
        rows = batch.rows
        if reasons:
            bad = np.array(sorted(reasons), np.int64)
            quarantined += [
                Quarantined(int(rows[position]), reasons[position], record)
                for position, record in zip(bad, self._records(table, bad, unreadable), strict=True)
            ]
            good = np.ones(len(rows), bool)
            good[bad] = False
            typed, rows = typed.filter(pa.array(good)), rows[good]
        return Prepared(
            batch.file,
            typed,
            rows,
            row_hashes(zip(typed.schema.names, typed.columns, strict=True), len(rows)),
            key_hashes(self._key(typed, batch.file.path, rows), len(rows)),
            quarantined,
            batch.cursor,
        )

    def check_file(self, file: SourceFile) -> None:
        """Raise `ExtractError` if a sparse file, now read out, never had a declared column."""
        if file.sparse and file.rows:
            self._check_missing(file.path, file.columns)

    def _rename(self, batch: SourceBatch) -> pa.RecordBatch:
        headers = tuple(batch.table.schema.names)
        if batch.file.sparse:
            known = set(batch.file.columns)
            batch.file.columns += [header for header in headers if header not in known]
        plan = self._plans.get((batch.file.path, headers))
        if plan is None:
            plan = self._plan(batch.file, headers)
            self._plans[batch.file.path, headers] = plan
        return pa.RecordBatch.from_arrays(
            [batch.table.column(position) for position, _ in plan], names=[n for _, n in plan]
        )

    def _plan(self, file: SourceFile, headers: tuple[str, ...]) -> list[tuple[int, str]]:
        if not file.sparse:
            self._check_missing(file.path, list(headers))
            self._check_gone(file.path, list(headers))
        plan: list[tuple[int, str]] = []
        taken: dict[str, str] = {}
        for position, header in enumerate(headers):
            name = self._names.get(normalise(header))
            if name is None:
                if self.source.other_columns == "drop":
                    continue
                name = self._undeclared(header, taken)
            elif name in taken:
                raise ExtractError(
                    f"{file.path}, header",
                    f"{taken[name]!r} and {header!r} both mean {name}",
                    f"take one of them out of the aliases of columns.{name}",
                    reason=Reason.SCHEMA_CHANGED,
                )
            taken[name] = header
            plan.append((position, name))
        return plan

    def _undeclared(self, header: str, taken: dict[str, str]) -> str:
        """Return a name in raw for a header that the manifest does not declare."""
        # An address in place of a header is no name either, neither here nor in quarantine.
        wanted = _short(normalise(safe_texts([header], self.source)[0]))
        name = _free(wanted, {*taken, *self.source.columns, *SYSTEM_COLUMNS})
        if name != wanted and wanted in taken:
            headers = safe_texts([header, taken[wanted]], self.source)
            self.undeclared[name] = f"{name} ({headers[0]!r}, as {headers[1]!r} is {wanted})"
        self.undeclared.setdefault(name, name)
        return name

    def _check_missing(self, path: str, headers: list[str]) -> None:
        present = {self._names.get(normalise(header)) for header in headers}
        unknown = {normalise(h): h for h in headers if normalise(h) not in self._names}
        for name, column in self.source.columns.items():
            if name in present or column.optional:
                continue
            if not any(present) and len(headers) == 1 and len(self.source.columns) > 1:
                raise ExtractError(
                    f"{path}, header",
                    f"is one field, where {name!r} and {len(self.source.columns) - 1} more are "
                    "expected: another character separates the columns, or the file is no table",
                    "set read.options.delimiter to the character between them, or fetch the "
                    "file again",
                )
            raise ExtractError(
                f"{path}, header",
                f"the column {name!r} is missing{_closest(name, column, unknown)}",
                f"if it was renamed, add its new name to columns.{name}.aliases; if it may be "
                f"missing, set columns.{name}.optional; else fetch the file again",
                reason=Reason.SCHEMA_CHANGED,
            )

    def _check_gone(self, path: str, headers: list[str]) -> None:
        """Raise `ExtractError` for a column gone since the last load: most likely renamed."""
        before = self.previous.get(safe_path(path, self.source), [])
        headers = safe_texts(headers, self.source)
        now = {self._name(header) for header in headers}
        gone = {self._name(h): h for h in before if self._name(h) not in now}
        had = {self._name(header) for header in before}
        fresh = {
            normalise(h): h
            for h in headers
            if self._name(h) not in had and normalise(h) not in self._names
        }
        for name, header in gone.items():
            column = self.source.columns.get(name)
            if column is None and (not fresh or self.source.other_columns == "drop"):
                continue
            remedy = (
                f"add the new name to columns.{name}.aliases; if it is gone for good, take {name} "
                "out of the manifest (raw keeps what it has)"
                if column
                else "declare the new column under `columns:`, with the old name as its name if "
                "it was renamed"
            )
            raise ExtractError(
                f"{path}, header",
                f"the column {header!r} was there in the last load and is gone"
                f"{_closest(name, column, fresh)}: renamed upstream",
                remedy,
                reason=Reason.SCHEMA_CHANGED,
            )

    def _name(self, header: str) -> str:
        normal = normalise(header)
        return self._names.get(normal, normal)

    def _typed(self, name: str, array: pa.Array) -> tuple[pa.Array, np.ndarray | None]:
        column = self.source.columns.get(name)
        if column is None or column.personal == "hash":
            return text_of(array), None
        return cast(array, column, self.time_zone)

    def _key(
        self, table: pa.RecordBatch, path: str, rows: np.ndarray
    ) -> list[tuple[str, pa.Array]]:
        own = {"_source_file": lambda: pa.array([path] * len(rows), pa.string())}
        own["_source_row"] = lambda: pa.array(rows)
        present = set(table.schema.names)
        return [
            (name, own[name]() if name in own else table.column(name))
            for name in self.source.primary_key
            if name in own or name in present
        ]

    def _records(
        self, table: pa.RecordBatch, positions: np.ndarray, unreadable: dict[int, list[str]]
    ) -> list[dict[str, str]]:
        """Return rows as quarantine may keep them; `unreadable`: columns that did not cast."""
        records = safe_records(_texts(table, positions), self.source)
        if has_personal(self.source):
            for position, record in zip(positions, records, strict=True):
                for name in unreadable.get(int(position), ()):
                    record[name] = WITHHELD
        return records

    def _require_keys(self, table: pa.RecordBatch, reasons: dict[int, list[str]]) -> None:
        """Reject rows without any part of their key: nothing identifies them."""
        names = self.source.primary_key
        if not table.num_rows or any(name.startswith("_") for name in names):
            return
        present = [table.column(name) for name in names if name in table.schema.names]
        empty = np.ones(table.num_rows, bool)
        for array in present:
            if not array.null_count:
                return
            empty &= array.is_null().to_numpy(zero_copy_only=False)
        for position in np.flatnonzero(empty):
            reasons.setdefault(int(position), [f"{', '.join(names)}: the key is empty"])


def previous_columns(files: list[dict]) -> dict[str, list[str]]:
    """Return file name -> columns from `quality.loads.files`."""
    return {file["path"]: file["columns"] for file in files}


def _texts(table: pa.RecordBatch, positions: np.ndarray) -> list[dict[str, str]]:
    """Return rows as text, without empty values and characters that JSON in PostgreSQL refuses."""
    taken = table.take(pa.array(positions))
    texts = [text_of(column).to_pylist() for column in taken.columns]
    return [
        {
            name: value.replace("\0", "\ufffd")
            for name, value in zip(table.schema.names, values, strict=True)
            if value is not None
        }
        for values in zip(*texts, strict=True)
    ]


def _with_nul(array: pa.Array) -> list[int]:
    found = pc.match_substring(array, "\0").fill_null(False)
    return np.flatnonzero(found.to_numpy(zero_copy_only=False)).tolist()


def _closest(name: str, column: Column | None, candidates: dict[str, str]) -> str:
    wanted = [name, *(normalise(alias) for alias in column.aliases)] if column else [name]
    for want in wanted:
        close = get_close_matches(want, list(candidates), 1, cutoff=0.5)
        if close:
            return f" (the closest is {candidates[close[0]]!r})"
    return ""


def _short(name: str) -> str:
    if len(name.encode()) <= NAME_LENGTH:
        return name
    return f"{_cut(name, NAME_LENGTH - 9)}_{sha256(name.encode()).hexdigest()[:8]}"


def _free(name: str, taken: set[str]) -> str:
    free, number = name, 2
    while free in taken:
        suffix = f"_{number}"
        free = _cut(name, NAME_LENGTH - len(suffix)) + suffix
        number += 1
    return free


def _cut(name: str, size: int) -> str:
    """Return what of a name fits into `size` bytes, without half a character."""
    return name.encode()[:size].decode(errors="ignore")
