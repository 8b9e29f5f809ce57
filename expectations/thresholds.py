"""What a manifest's `gate` says about a load as a whole. Needs no Great Expectations."""

from __future__ import annotations

from fractions import Fraction

from catalog.models import Source
from expectations.outcomes import Outcome
from extract.loader import LoadReport

#: In an increment, up to this many failing rows are never too large a share: one bad row among
#: the three of a quiet night is no reason to keep out the other two.
FEW_ROWS = 10


def volume(source: Source, load: LoadReport, previous: LoadReport | None) -> list[Outcome]:
    """Hold `min_rows` and `max_drop` against the rows read.

    `previous`: the last load of the same mode whose rows are in `raw`. A load that reads only
    what is new since a cursor is held to neither: a quiet day is no sign of a broken source.
    """
    if _is_increment(source, load):
        return []
    outcomes = [
        Outcome(
            "gate.min_rows",
            "",
            "critical",
            load.rows_read >= source.gate.min_rows,
            observed=f"{load.rows_read} rows read, at least {source.gate.min_rows} expected",
            reason=f"read {load.rows_read} rows, fewer than the {source.gate.min_rows} of "
            "gate.min_rows. See whether the department's file is whole; if it is, lower "
            f"gate.min_rows in {source.path}",
        )
    ]
    if previous is not None and previous.rows_read:
        drop = 1 - Fraction(load.rows_read, previous.rows_read)
        outcomes.append(
            Outcome(
                "gate.max_drop",
                "",
                "critical",
                drop <= _exact(source.gate.max_drop),
                observed=f"{load.rows_read} rows read, {previous.rows_read} in load "
                f"{previous.load_id}",
                reason=f"read {load.rows_read} rows, {_percent(drop)} fewer than the "
                f"{previous.rows_read} of load {previous.load_id}; gate.max_drop allows "
                f"{_percent(source.gate.max_drop)}. See whether the department's file is whole; "
                f"if it is, raise gate.max_drop in {source.path} for this load",
            )
        )
    return outcomes


def quarantined(source: Source, load: LoadReport, failing: int, reasons: list[str]) -> Outcome:
    """Hold `max_quarantined` against the rows put aside so far and the `failing` that would be.

    `reasons`: the most frequent ones, for the message.
    """
    rows = load.rows_quarantined + failing
    share = Fraction(rows, load.rows_read or 1)
    why = f" Most often: {'; '.join(reasons)}." if reasons else ""
    return Outcome(
        "gate.max_quarantined",
        "",
        "critical",
        (_is_increment(source, load) and rows <= FEW_ROWS)
        or share <= _exact(source.gate.max_quarantined),
        observed=f"{rows} of {load.rows_read} rows",
        reason=f"{rows} of {load.rows_read} rows read ({_percent(share)}) fail alone; "
        f"gate.max_quarantined allows {_percent(source.gate.max_quarantined)}.{why} Have the "
        "department mend the file and load it again; if such rows are to be expected, raise "
        f"gate.max_quarantined in {source.path}",
    )


def _is_increment(source: Source, load: LoadReport) -> bool:
    reads_all = load.mode == "snapshot" or bool(source.read.files)
    return load.cursor_before is not None and not reads_all


def _exact(share: float) -> Fraction:
    """Return a share as the manifest writes it: 0.3, not the double beside it."""
    return Fraction(str(share))


def _percent(share: float | Fraction) -> str:
    return f"{100 * float(share):.1f} %"
