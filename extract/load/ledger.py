"""`quality.loads`: the record of each load, and the lock that keeps two loads of a source apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from time import monotonic, sleep
from typing import Any

import psycopg
from psycopg.rows import class_row

from catalog.models import Source
from extract.errors import SafeError

#: States in which a load's rows are in `raw`, or were there already.
KEPT = ("accepted", "unchanged")


#: Files that a summary names.
NAMED = 3


class LoadError(SafeError):
    """A load that cannot be committed or blocked as asked; says which and why."""


@dataclass(frozen=True)
class LoadReport:
    """One row of `quality.loads`.

    `rows_new` and `rows_changed` are the rows that a staged load would add; they are in `raw`, and
    counted as `rows_accepted`, once it is accepted. Those of a blocked load are part of its
    `rows_quarantined`: the whole load was blocked. A failed load counts nothing.
    `reason_code`: why it failed or was blocked, one of `warehouse.reasons.Reason`.
    """

    load_id: int
    city_id: str
    source_id: str
    run_id: str
    mode: str
    state: str
    started_at: datetime
    finished_at: datetime | None
    rows_read: int
    rows_accepted: int
    rows_new: int
    rows_changed: int
    rows_unchanged: int
    rows_quarantined: int
    cursor_before: str | None
    cursor_after: str | None
    files: list[dict[str, Any]]
    message: str | None
    data_docs: str | None
    reason_code: str | None = None

    @property
    def rows_staged(self) -> int:
        """Rows new or changed: what the load adds to `raw`, or would."""
        return self.rows_new + self.rows_changed

    @property
    def summary(self) -> str:
        """One line on what was read, from where, and how it compares with `raw`."""
        files = [file["path"] for file in self.files]
        shown = ", ".join(files[:NAMED]) + (
            f" and {len(files) - NAMED} more" * (len(files) > NAMED)
        )
        return (
            f"{self.city_id}/{self.source_id}, load {self.load_id}: read {self.rows_read:,} rows "
            f"from {shown or 'no file'} ({self.mode}): {self.rows_new:,} new, "
            f"{self.rows_changed:,} changed, {self.rows_unchanged:,} unchanged, "
            f"{self.rows_quarantined:,} quarantined"
        )

    def check_source(self, source: Source) -> None:
        """Raise `LoadError` when this is a load of another source."""
        if (self.city_id, self.source_id) != (source.city_id, source.source):
            raise LoadError(
                f"load {self.load_id} is of {self.city_id}/{self.source_id}, not of "
                f"{source.city_id}/{source.source}"
            )

    def check_counts(self) -> None:
        """Raise `LoadError` unless every row read is new, changed, unchanged or quarantined."""
        parts = self.rows_staged + self.rows_unchanged + self.rows_quarantined
        if self.rows_read != parts:
            raise LoadError(
                f"load {self.load_id} of {self.city_id}/{self.source_id}: {self.rows_read} rows "
                f"were read, but {self.rows_staged} staged + {self.rows_unchanged} unchanged + "
                f"{self.rows_quarantined} quarantined are {parts}: row counts do not reconcile; "
                "run the source again"
            )


_COLUMNS = ", ".join(field.name for field in fields(LoadReport))


def report(connection: psycopg.Connection, load_id: int) -> LoadReport:
    """Return one load; raise `LoadError` when there is none of that number."""
    with connection.cursor(row_factory=class_row(LoadReport)) as cursor:
        cursor.execute(f"select {_COLUMNS} from quality.loads where load_id = %s", [load_id])
        found = cursor.fetchone()
    if found is None:
        raise LoadError(f"there is no load {load_id}; `cityloom loads` lists them")
    return found


def quarantine_reasons(
    connection: psycopg.Connection, load: LoadReport, limit: int = 3
) -> list[tuple[str, int]]:
    """Return a load's most frequent reasons for quarantine, each with its number of rows."""
    if not load.rows_quarantined:
        return []
    rows = connection.execute(
        """select reason, count(*) from quality.quarantine, unnest(reasons) reason
           where city_id = %s and source_id = %s and last_load_id = %s
           group by 1 order by 2 desc, 1 limit %s""",
        [load.city_id, load.source_id, load.load_id, limit],
    )
    return rows.fetchall()


def last_kept(
    connection: psycopg.Connection, source: Source, mode: str, before: int | None = None
) -> LoadReport | None:
    """Return the source's newest load of that mode whose rows are in `raw`, or None.

    `before`: only loads with a lower number.
    """
    with connection.cursor(row_factory=class_row(LoadReport)) as cursor:
        cursor.execute(
            f"""select {_COLUMNS} from quality.loads
                where city_id = %s and source_id = %s and mode = %s and state = any(%s)
                  and load_id < %s
                order by load_id desc limit 1""",
            [source.city_id, source.source, mode, list(KEPT), before or 2**62],
        )
        return cursor.fetchone()


def last_cursor(connection: psycopg.Connection, source: Source, mode: str) -> str | None:
    """Return the cursor that the source's newest kept load of that mode left, or None.

    A snapshot does not say how far the live source was read.
    """
    row = connection.execute(
        """select cursor_after from quality.loads
           where city_id = %s and source_id = %s and mode = %s and state = any(%s)
             and cursor_after is not null
           order by load_id desc limit 1""",
        [source.city_id, source.source, mode, list(KEPT)],
    ).fetchone()
    return row[0] if row else None


@contextmanager
def source_lock(
    connection: psycopg.Connection, source: Source, wait: float = 60.0
) -> Iterator[None]:
    """Hold the source's lock on this connection; `LoadError` after `wait` seconds in vain."""
    deadline = monotonic() + wait
    taken = "select pg_try_advisory_lock(hashtext('cityloom.load'), hashtext(%s))"
    while connection.execute(taken, [source.raw_table]).fetchall() != [(True,)]:
        if monotonic() > deadline:
            raise LoadError(
                f"{source.city_id}/{source.source} is being loaded by another process for more "
                f"than {wait:.0f} s; wait for it, or end it"
            )
        sleep(0.1)
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute(
                "select pg_advisory_unlock(hashtext('cityloom.load'), hashtext(%s))",
                [source.raw_table],
            )
