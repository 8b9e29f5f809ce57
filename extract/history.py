"""What `raw` holds of each key already, and which rows of a load say something new.

Keys and contents are compared by their hashes. That costs about 24 bytes of memory for each key
in `raw` and 40 for each row of the load: it is the only part of a load that grows with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import adbc_driver_postgresql.dbapi as adbc
import numpy as np
from psycopg import sql

from catalog.models import Column, Source
from extract.hashing import from_text, key_hashes
from extract.types import cast

UNCHANGED, NEW, CHANGED = np.uint8(0), np.uint8(1), np.uint8(2)


@dataclass(frozen=True)
class Known:
    """The newest version of each key in `raw`, ordered by the first half of the key's hash."""

    first: np.ndarray
    second: np.ndarray
    content: np.ndarray

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


#: What a table without rows holds.
NOTHING = Known(*(np.zeros(0, np.uint64) for _ in range(3)))


def known(warehouse_url: str, source: Source) -> Known:
    """Read the newest version of each key by one scan over key and hash."""
    own = {"_source_file": Column(), "_source_row": Column(type="integer")}
    columns = {name: source.columns.get(name) or own[name] for name in source.primary_key}
    hashed = {n for n, c in columns.items() if c.personal == "hash"}
    query = sql.SQL("select {}, _row_hash, _load_id from {}").format(
        sql.SQL(", ").join(
            sql.SQL("{}::text" if columns[name].type == "numeric" else "{}").format(
                sql.Identifier(name)
            )
            for name in columns
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
        return NOTHING
    first, second, content, load = (np.concatenate(column) for column in zip(*parts, strict=True))
    del parts
    order = np.argsort(first, kind="stable")
    sorted_first = first[order]
    if (sorted_first[1:] == sorted_first[:-1]).any():
        order = np.lexsort((load, second, first))
        first, second, content = first[order], second[order], content[order]
        newest = np.ones(len(first), bool)
        newest[:-1] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
        return Known(first[newest], second[newest], content[newest])
    return Known(sorted_first, second[order], content[order])


class Seen:
    """The rows of a load, to settle which of several with one key counts: the last."""

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
        """Remember a batch's rows in the order of reading."""
        if not self._files or self._files[-1] != file:
            self._files.append(file)
        number = np.full(len(rows), len(self._files) - 1, np.int32)
        self._parts.append((*key, content, status, number, rows))

    def settle(self) -> Verdict:
        """Count what counts, and name the rows that a later row with their key overrides."""
        if not self._parts:
            return Verdict(0, 0, 0, [], [])
        first, second, content, status, file, row = (
            np.concatenate(column) for column in zip(*self._parts, strict=True)
        )
        self._parts.clear()
        ordered = np.sort(first)
        if not (ordered[1:] == ordered[:-1]).any():
            return _count(status, np.zeros(0, np.int64), status, content, file, row, self._files)
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
        settled = status.copy()
        settled[by_key[losers & (repeats | (status[by_key] == UNCHANGED))]] = UNCHANGED
        superseded = by_key[losers & ~repeats & (status[by_key] != UNCHANGED)]
        return _count(settled, superseded, status, content, file, row, self._files)


@dataclass(frozen=True)
class Verdict:
    """What a load comes to. `superseded` and `repeated` are (file, row) pairs now in the stage."""

    new: int
    changed: int
    unchanged: int
    superseded: list[tuple[str, int]]
    repeated: list[tuple[str, int]]


def _count(settled, superseded, status, content, file, row, files) -> Verdict:
    counts = np.ones(len(settled), bool)
    counts[superseded] = False
    repeated = np.flatnonzero((status != UNCHANGED) & (settled == UNCHANGED))

    def places(positions: np.ndarray) -> list[tuple[str, int]]:
        return [(files[file[p]], int(row[p])) for p in positions]

    return Verdict(
        int((counts & (settled == NEW)).sum()),
        int((counts & (settled == CHANGED)).sum()),
        int((counts & (settled == UNCHANGED)).sum()),
        places(superseded),
        places(repeated),
    )
