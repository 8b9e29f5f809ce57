"""What `raw` holds of each key, and which rows of a load are new or changed beside it.

Keys and contents are compared by their hashes. That costs about 24 bytes of memory for each key
in `raw` and 40 for each row of the load: it is the only part of a load that grows with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import adbc_driver_postgresql.dbapi as adbc
import numpy as np
from psycopg import sql

from catalog.models import Column, Source
from catalog.types import ColumnType
from extract.hashing import from_text, key_hashes
from extract.types import cast

UNCHANGED, NEW, CHANGED = np.uint8(0), np.uint8(1), np.uint8(2)


@dataclass(frozen=True)
class RawVersions:
    """The newest version of each key in `raw`, ordered by the first half of the key's hash.

    Three arrays of 64-bit hashes, one entry a key: both halves of the key's, and the content's.
    """

    first: np.ndarray
    second: np.ndarray
    content: np.ndarray

    @classmethod
    def empty(cls) -> RawVersions:
        """Return what a table without rows holds."""
        return cls(*(np.zeros(0, np.uint64) for _ in range(3)))

    def compare(self, key: tuple[np.ndarray, np.ndarray], content: np.ndarray) -> np.ndarray:
        """Return for each row whether it is UNCHANGED, NEW or CHANGED."""
        first, second = key
        if not len(self.first):
            return np.full(len(first), NEW)
        place = np.searchsorted(self.first, first)
        place[place == len(self.first)] = 0
        found = (self.first[place] == first) & (self.second[place] == second)
        same = found & (self.content[place] == content)
        return np.where(same, UNCHANGED, np.where(found, CHANGED, NEW))


def read_raw_versions(warehouse_url: str, source: Source) -> RawVersions:
    """Read the newest version of each key by one scan over key and hash."""
    own = {"_source_file": Column(), "_source_row": Column(type="integer")}
    columns = {name: source.columns.get(name) or own[name] for name in source.primary_key}
    hashed = {n for n, c in columns.items() if c.personal == "hash"}
    query = sql.SQL("select {}, _row_hash, _load_id from {}").format(
        sql.SQL(", ").join(
            sql.SQL("{}::text" if column.type == ColumnType.NUMERIC else "{}").format(
                sql.Identifier(name)
            )
            for name, column in columns.items()
        ),
        sql.Identifier("raw", source.raw_table),
    )
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
    with adbc.connect(warehouse_url) as connection, connection.cursor() as cursor:
        cursor.execute(query.as_string())
        for batch in cursor.fetch_record_batch():
            if not batch.num_rows:
                continue
            key = [
                (name, batch.column(i) if name in hashed else cast(batch.column(i), column)[0])
                for i, (name, column) in enumerate(columns.items())
            ]
            parts.append(
                (
                    *key_hashes(key, batch.num_rows),
                    from_text(batch.column(len(columns))),
                    batch.column(len(columns) + 1).to_numpy().astype(np.int32),
                )
            )
    if not parts:
        return RawVersions.empty()
    first, second, content, load = (np.concatenate(column) for column in zip(*parts, strict=True))
    del parts
    order = np.argsort(first, kind="stable")
    sorted_first = first[order]
    if (sorted_first[1:] == sorted_first[:-1]).any():
        order = np.lexsort((load, second, first))
        first, second, content = first[order], second[order], content[order]
        newest = np.ones(len(first), bool)
        newest[:-1] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
        return RawVersions(first[newest], second[newest], content[newest])
    return RawVersions(sorted_first, second[order], content[order])


@dataclass(frozen=True)
class Resolution:
    """A load's rows by what they are beside `raw`, its duplicates resolved.

    `superseded` and `repeated` are (file, row) of rows that are in the stage and must leave it:
    a later row of the load has their key, with other content or with the same.
    """

    new: int
    changed: int
    unchanged: int
    superseded: list[tuple[str, int]]
    repeated: list[tuple[str, int]]


class LoadRows:
    """The keys of a load's rows, to resolve duplicates: of rows with one key the last counts."""

    def __init__(self) -> None:
        self._parts: list[tuple[np.ndarray, ...]] = []
        self._files: list[str] = []

    def add(
        self,
        file: str,
        rows: np.ndarray,
        key: tuple[np.ndarray, np.ndarray],
        content: np.ndarray,
        status: np.ndarray,
    ) -> None:
        """Keep a batch's rows, in the order of reading; `status` is from `RawVersions.compare`."""
        if not self._files or self._files[-1] != file:
            self._files.append(file)
        number = np.full(len(rows), len(self._files) - 1, np.int32)
        self._parts.append((*key, content, status, number, rows))

    def resolve(self) -> Resolution:
        """Count the rows, and name those that a later row with their key overrides."""
        if not self._parts:
            return Resolution(0, 0, 0, [], [])
        first, second, content, status, file, row = (
            np.concatenate(column) for column in zip(*self._parts, strict=True)
        )
        self._parts.clear()
        ordered = np.sort(first)
        if not (ordered[1:] == ordered[:-1]).any():
            return self._count(status, np.zeros(0, np.int64), status, file, row)
        order = np.argsort(first, kind="stable")
        same = first[order[1:]] == first[order[:-1]]
        suspects = np.zeros(len(first), bool)
        suspects[order[1:][same]] = suspects[order[:-1][same]] = True
        among = np.flatnonzero(suspects)
        by_key = among[np.lexsort((among, second[among], first[among]))]
        last = np.ones(len(by_key), bool)
        last[:-1] = (first[by_key[1:]] != first[by_key[:-1]]) | (
            second[by_key[1:]] != second[by_key[:-1]]
        )
        group = np.cumsum(np.concatenate(([True], last[:-1]))) - 1
        winner = by_key[last][group]
        losers = ~last
        repeats = content[by_key] == content[winner]
        resolved = status.copy()
        resolved[by_key[losers & (repeats | (status[by_key] == UNCHANGED))]] = UNCHANGED
        superseded = by_key[losers & ~repeats & (status[by_key] != UNCHANGED)]
        return self._count(resolved, superseded, status, file, row)

    def _count(
        self,
        resolved: np.ndarray,
        superseded: np.ndarray,
        status: np.ndarray,
        file: np.ndarray,
        row: np.ndarray,
    ) -> Resolution:
        counts = np.ones(len(resolved), bool)
        counts[superseded] = False
        repeated = np.flatnonzero((status != UNCHANGED) & (resolved == UNCHANGED))

        def places(positions: np.ndarray) -> list[tuple[str, int]]:
            return [(self._files[file[p]], int(row[p])) for p in positions]

        return Resolution(
            int((counts & (resolved == NEW)).sum()),
            int((counts & (resolved == CHANGED)).sum()),
            int((counts & (resolved == UNCHANGED)).sum()),
            places(superseded),
            places(repeated),
        )
