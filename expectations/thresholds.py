"""The thresholds of a manifest's `gate` on a load as a whole. Needs no Great Expectations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from catalog.models import Source
from expectations.outcomes import Outcome
from extract.load import LoadReport

#: In an increment, up to this many failing rows are never too large a share: one bad row among
#: the three of a quiet night is no reason to block the other two.
FEW_ROWS = 10
#: How many files a message names.
NAMED = 3


@dataclass(frozen=True)
class RawKeys:
    """How many different keys `raw` holds of a source, in all and by the file they came from."""

    total: int
    by_file: dict[str, int]


def volume(
    source: Source, load: LoadReport, previous: LoadReport | None, raw_keys: RawKeys | None = None
) -> list[Outcome]:
    """Check `min_rows` and `max_drop` by the rows read.

    `previous`: the last load of the same mode whose rows are in `raw`. `max_drop` holds for all
    rows together, for each file that was read then, and for the number of files: of ten files, a
    short or missing one hardly shows in the sum. `raw_keys`: what a load should have at most; where
    the last one had rows twice, having them once is no drop. Only a drop needs it.

    A load that reads only what is new since a cursor is checked for neither: a quiet day is no
    sign of a broken source.
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
        outcomes.append(_drop(source, load, previous, raw_keys))
    return outcomes


def dropped(outcomes: list[Outcome]) -> bool:
    """Whether a load was found too small beside the last one."""
    return any(o.expectation == "gate.max_drop" and not o.success for o in outcomes)


def _drop(
    source: Source, load: LoadReport, previous: LoadReport, raw_keys: RawKeys | None
) -> Outcome:
    allowed = _exact(source.gate.max_drop)
    before, origin = previous.rows_read, f"of load {previous.load_id}"
    if raw_keys is not None and raw_keys.total < before:
        before, origin = raw_keys.total, "that raw holds"
    drop = 1 - Fraction(load.rows_read, before) if before else Fraction(0)
    short = _shorter_files(load, previous, raw_keys, allowed)
    named = "; ".join(short[:NAMED]) + (f"; and {len(short) - NAMED} more" * (len(short) > NAMED))
    than = f"{_percent(abs(drop))} {'fewer' if drop >= 0 else 'more'} than"
    return Outcome(
        "gate.max_drop",
        "",
        "critical",
        drop <= allowed and not short,
        observed=f"{load.rows_read} rows read, {before} {origin}{f'; {named}' if short else ''}",
        reason=f"read {load.rows_read} rows, {than} the {before} {origin}"
        f"{f' ({named})' if short else ''}; gate.max_drop allows "
        f"{_percent(source.gate.max_drop)} fewer rows, in each file too, and fewer files. See "
        "whether the department's files are all there and whole; if they are, raise gate.max_drop "
        f"in {source.path} for this load",
    )


def _shorter_files(
    load: LoadReport, previous: LoadReport, raw_keys: RawKeys | None, allowed: Fraction
) -> list[str]:
    """Name the files that lost more rows than allowed; also those that are gone, where more files
    are missing than allowed and no others took their place.
    """
    now, before = _rows_by_file(load), _rows_by_file(previous)
    if raw_keys is not None:
        in_raw = raw_keys.by_file  # a file that raw has nothing of, such as a copy, is no loss
        before = {path: min(n, in_raw[path]) for path, n in before.items() if path in in_raw}
    short = [
        f"{path} has {now[path]} rows after {rows}"
        for path, rows in before.items()
        if path in now and rows - now[path] >= FEW_ROWS and 1 - Fraction(now[path], rows) > allowed
    ]
    if before and 1 - Fraction(len(now), len(before)) > allowed:
        short += [f"{path} is gone" for path in before if path not in now]
    return short


def _rows_by_file(load: LoadReport) -> dict[str, int]:
    rows: Counter[str] = Counter()
    for file in load.files:  # redacted names may be the same
        rows[file["path"]] += file["rows"]
    return dict(rows)


def quarantined(source: Source, load: LoadReport, failing: int, reasons: list[str]) -> Outcome:
    """Check `max_quarantined` by the rows quarantined so far and the `failing` that would be.

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
