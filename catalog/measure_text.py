"""An indicator's value as text for people: on a terminal, and on the page that explains it."""

from __future__ import annotations

#: Units of time, the largest first, in seconds.
TIMES = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}


def three_digits(value: float) -> str:
    """Return a number with three digits, or all of those before the point."""
    for least, digits in ((99.95, 0), (9.995, 1), (0.9995, 2), (0.09995, 3)):
        if abs(value) >= least:
            return f"{value:,.{digits}f}"
    return "0" if value == 0 else f"{value:.4f}"


def measure_text(value: float | None, unit: str, aggregate: str) -> str:
    """Return an indicator's value as text, by its unit, as the pages have it; empty for None.

    dbt's macro `measure_text` has the same rules: what is counted is whole, a time is in the unit
    in which it is at least 1.
    """
    if value is None:
        return ""
    if unit in ("%", "share"):
        return f"{value * (100 if unit == 'share' else 1):,.1f} %"
    if unit == "-1 to 1":
        return f"{value:+.2f}"
    if aggregate in ("count", "stock"):
        return f"{value:,.0f}"
    if unit == "business days":
        return f"{three_digits(value)} business days"
    if unit not in TIMES:
        return three_digits(value)
    if value == 0:
        return f"0 {unit}"
    seconds = value * TIMES[unit]
    fitting = [t for t, size in TIMES.items() if TIMES[unit] >= size and seconds >= size]
    shown = fitting[0] if fitting else "seconds"
    return f"{three_digits(seconds / TIMES[shown])} {shown}"


def year_measure_text(value: float | None, unit: str, aggregate: str) -> str:
    """Return a value over several months as text: what adds up is a monthly mean.

    dbt's macro `year_measure_text` has the same rule.
    """
    a_month = " a month" if value is not None and aggregate in ("count", "sum") else ""
    return measure_text(value, unit, aggregate) + a_month


def null_reason_text(reason: str | None, n: int, min_n: int) -> str:
    """Return why an indicator has no value, as the pages have it; empty for None.

    dbt's macro `null_reason_text` has the same words.
    """
    too_few = f"too few ({n:,}, at least {min_n})" if n else "withheld: too few in each month"
    return {
        None: "",
        "too_few": too_few,
        "derivable": "withheld: would give away a small number",
        "no_events": "none in that time",
        "no_denominator": "nothing to divide by",
    }[reason]
