"""What a gate finds and reports, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field

from extract.load import LoadReport


@dataclass(frozen=True)
class Outcome:
    """One expectation, or one of the manifest's thresholds (`gate.min_rows`, ...), on one load.

    `unexpected_rows` counts rows that failed it; None for a threshold. `reason` is what such a
    row is given, `place` where the rule is written. `values` and `rows` (file, row number) are
    some examples. `query` finds all of the failing rows in the stage, by `_source_file` and
    `_source_row`.
    """

    expectation: str
    column: str
    severity: str
    success: bool
    unexpected_rows: int | None = None
    observed: str | None = None
    reason: str = ""
    place: str = ""
    values: tuple[str, ...] = ()
    rows: tuple[tuple[str, int], ...] = ()
    query: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class GateReport:
    """What the gate decided. `load` is the load's final record in `quality.loads`.

    `outcomes` is empty for a load that an earlier run of the gate had already decided on.
    """

    load: LoadReport
    outcomes: tuple[Outcome, ...] = ()
    #: The most frequent reasons for quarantine, each with its number of rows.
    reasons: tuple[tuple[str, int], ...] = ()

    @property
    def summary(self) -> str:
        """One line on what was decided: rows accepted and quarantined, or why it was blocked."""
        load = self.load
        if load.state == "blocked":
            return f"blocked ({load.reason_code}): {load.message}"
        line = (
            f"{load.city_id}/{load.source_id}, load {load.load_id}: {load.state}; "
            f"{load.rows_accepted:,} rows accepted, {load.rows_unchanged:,} unchanged, "
            f"{load.rows_quarantined:,} quarantined"
        )
        counted = "; ".join(f"{reason} ({count:,})" for reason, count in self.reasons)
        return f"{line}: {counted}" if counted else line

    @property
    def load_id(self) -> int:
        """Number of the load."""
        return self.load.load_id

    @property
    def state(self) -> str:
        """`accepted`, `unchanged` or `blocked`."""
        return self.load.state

    @property
    def message(self) -> str | None:
        """Why the load was blocked, with the remedy."""
        return self.load.message

    @property
    def rows_read(self) -> int:
        """Rows read = accepted + unchanged + quarantined, unless blocked."""
        return self.load.rows_read

    @property
    def rows_accepted(self) -> int:
        """Rows appended to `raw`."""
        return self.load.rows_accepted

    @property
    def rows_unchanged(self) -> int:
        """Rows that `raw` held already."""
        return self.load.rows_unchanged

    @property
    def rows_quarantined(self) -> int:
        """Rows quarantined by the loader and by the gate."""
        return self.load.rows_quarantined

    @property
    def data_docs(self) -> str | None:
        """Path of the load's HTML report."""
        return self.load.data_docs
