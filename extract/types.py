"""Casting what a department writes to the manifest's types, and finding what does not cast.

Whole columns are cast at once. Fast paths take a column whose values are all written alike;
otherwise each value is tried in each known notation.
"""

from __future__ import annotations

import json
import re
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from catalog.models import Column
from catalog.types import ColumnType

ARROW = {kind: pa.type_for_alias(kind.arrow) for kind in ColumnType if kind.arrow}
#: Digits after the point that a stage can hold of a numeric; the first that suffices is taken.
SCALES = (2, 6, 12, 18)
TRUE = ("true", "t", "yes", "y", "1", "on")
FALSE = ("false", "f", "no", "n", "0", "off")
#: Notations read without being declared; day-first ones are ambiguous and must be.
TIMESTAMP_FORMATS = (
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y %I:%M %p",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
)
DATE_FORMATS = ("%Y-%m-%d", "%m/%d/%Y")
#: Arrow casts these to text only; as that they are read, or named as what cannot be.
WITHOUT_CASTS = (pa.types.is_nested, pa.types.is_duration, pa.types.is_fixed_size_binary)


def cast(
    array: pa.Array, column: Column, time_zone: str | None = None
) -> tuple[pa.Array, np.ndarray | None]:
    """Return `array` in the column's type, and a mask of the values that cannot be read as it.

    Times with an offset become local times of `time_zone`; without one they
    cannot be read. The mask is None when every value fits; a value that does not is null.
    """
    kind = column.type
    if kind == "text":
        return text_of(array), None
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), ARROW.get(kind, pa.decimal128(38, SCALES[0]))), None
    if kind != "numeric":
        direct = _direct(array, ARROW[kind])
        if direct is not None:
            return direct, None
    text = text_of(array)
    if kind == "numeric":
        return _numeric(text)
    if kind in ("date", "timestamp"):
        typed = _moments(text, column, kind, time_zone)
    elif kind == "boolean":
        typed = _booleans(text)
    else:
        typed = _numbers(text, kind)
    failed = pc.and_(typed.is_null(), text.is_valid()).to_numpy(zero_copy_only=False)
    return typed, failed if failed.any() else None


def text_of(array: pa.Array) -> pa.Array:
    """Return any array as text: whole floats without a point, times as ISO."""
    kind = array.type
    if pa.types.is_null(kind):
        return pa.nulls(len(array), pa.string())
    if pa.types.is_dictionary(kind):
        array = array.dictionary_decode()
        kind = array.type
    if pa.types.is_floating(kind):
        return _float_text(array.cast(pa.float64()))
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        array = array.cast(pa.string())
    elif pa.types.is_nested(kind):
        texts = (None if v is None else json.dumps(v, default=str) for v in array.to_pylist())
        array = pa.array(texts, pa.string())
    elif not pa.types.is_string(kind):
        array = array.cast(pa.string())
    return array


def _direct(array: pa.Array, wanted: pa.DataType) -> pa.Array | None:
    """Cast in one step where Arrow can without loss; None where it is not that simple."""
    kind = array.type
    if kind == wanted:
        if pa.types.is_floating(kind) and pc.any(pc.is_nan(array)).as_py():
            return pc.if_else(pc.is_nan(array), pa.scalar(None, wanted), array)
        return array
    if pa.types.is_boolean(wanted) or pa.types.is_temporal(wanted) != pa.types.is_temporal(kind):
        return None
    if pa.types.is_temporal(kind) and (pa.types.is_time(kind) or getattr(kind, "tz", None)):
        return None
    if any(is_such(kind) for is_such in WITHOUT_CASTS):
        return None
    try:
        cast_array = array.cast(wanted)
    except pa.ArrowInvalid:
        return None
    if pa.types.is_floating(wanted) and not pc.all(pc.is_finite(cast_array)).as_py():
        finite = pc.all(pc.is_finite(cast_array), skip_nulls=True).as_py()
        return cast_array if finite else None
    return cast_array


def _float_text(array: pa.Array) -> pa.Array:
    array = pc.if_else(pc.is_nan(array), pa.scalar(None, pa.float64()), array)
    values = array.fill_null(0.0).to_numpy(zero_copy_only=False)
    whole = (values == np.floor(values)) & (np.abs(values) < 2**53)
    integers = pa.array(np.where(whole, values, 0).astype(np.int64)).cast(pa.string())
    text = pc.if_else(pa.array(whole), integers, array.cast(pa.string()))
    return pc.if_else(array.is_valid(), text, pa.scalar(None, pa.string()))


def _plain_number(text: pl.Expr) -> pl.Expr:
    """Strip what is written around numbers: spaces, `$`, commas between thousands, `(1)` = -1."""
    text = text.str.strip_chars().str.replace(r"^\((.*)\)$", "-$1").str.replace(r"^(-?)\$\s*", "$1")
    grouped = text.str.contains(r"^[+-]?\d{1,3}(,\d{3})+(\.\d*)?$")
    return pl.when(grouped).then(text.str.replace_all(",", "")).otherwise(text)


def _numbers(text: pa.Array, kind: ColumnType) -> pa.Array:
    plain = _plain_number(pl.lit(pl.from_arrow(text)))
    if kind == "double":
        value = plain.cast(pl.Float64, strict=False)
        value = pl.when(value.is_finite()).then(value).otherwise(None)
    else:
        # 12.0 is how spreadsheets and pandas write an integer beside empty cells.
        value = plain.str.replace(r"\.0*$", "").cast(pl.Int64, strict=False)
    typed = pl.select(value.alias("v")).to_series().to_arrow()
    return typed.cast(ARROW[kind])


def _numeric(text: pa.Array) -> tuple[pa.Array, np.ndarray | None]:
    plain = pl.select(_plain_number(pl.lit(pl.from_arrow(text))).alias("v")).to_series()
    good = plain.str.contains(r"^[+-]?(\d{1,20}(\.\d{0,18})?|\.\d{1,18})$")
    failed = (plain.is_not_null() & ~good.fill_null(False)).to_numpy()
    plain = plain.set(pl.Series(failed), None).str.strip_prefix("+")
    longest = plain.str.extract(r"\.(\d*?)0*$", 1).str.len_chars().max()
    decimals = longest if isinstance(longest, int) else 0
    scale = next(s for s in SCALES if s >= decimals)
    plain = plain.str.replace(r"(\.\d*?)0+$", "$1").str.strip_suffix(".")
    typed = plain.to_arrow().cast(pa.string()).cast(pa.decimal128(38, scale))
    return typed, failed if failed.any() else None


def _booleans(text: pa.Array) -> pa.Array:
    lower = pc.utf8_lower(pc.utf8_trim_whitespace(text))
    true = pc.is_in(lower, pa.array(TRUE))
    known = pc.or_(true, pc.is_in(lower, pa.array(FALSE)))
    return pc.if_else(pc.and_(known, text.is_valid()), true, pa.scalar(None, pa.bool_()))


def _moments(text: pa.Array, column: Column, kind: ColumnType, time_zone: str | None) -> pa.Array:
    if not column.formats:
        quick = _uniform_moments(text)
        if quick is not None:
            return _to_date(quick) if kind == "date" else quick
    value = pl.lit(pl.from_arrow(text)).str.strip_chars()
    tries: list[pl.Expr] = []
    formats = (*column.formats, *TIMESTAMP_FORMATS, *DATE_FORMATS)
    for format_ in formats:
        if any(mark in format_ for mark in ("%H", "%I", "%M", "%S", "%T", "%R", "%s")):
            moment = value.str.to_datetime(_rust(format_), time_unit="us", strict=False)
        else:
            if format_ in ("%Y%m%d",):
                guarded = pl.when(value.str.contains(r"^\d{8}$")).then(value).otherwise(None)
            else:
                guarded = value
            moment = guarded.str.to_date(_rust(format_), strict=False).cast(pl.Datetime("us"))
        tries.append(moment)
    if time_zone:
        tries.append(_zoned(value, time_zone))
    typed = (
        pl.select(pl.coalesce(tries).alias("v"))
        .to_series()
        .to_arrow()
        .cast(ARROW[ColumnType.TIMESTAMP])
    )
    return _to_date(typed) if kind == "date" else typed


def _rust(format_: str) -> str:
    """Python's `%f` is digits only; polars wants `%.f` for a point and digits."""
    return format_.replace(".%f", "%.f")


def _zoned(value: pl.Expr, time_zone: str) -> pl.Expr:
    ZoneInfo(time_zone)
    iso = value.str.replace(r"[Zz]$", "+00:00").str.replace(" ", "T", literal=True)
    moment = iso.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", strict=False)
    return moment.dt.convert_time_zone(time_zone).dt.replace_time_zone(None)


def _to_date(moments: pa.Array) -> pa.Array:
    """Return dates; a time of day that is not midnight is more than a date, and is refused."""
    dates = moments.cast(pa.date32(), safe=False)
    midnight = pc.equal(dates.cast(pa.timestamp("us")), moments)
    return pc.if_else(midnight, dates, pa.scalar(None, pa.date32()))


def _uniform_moments(text: pa.Array) -> pa.Array | None:
    """Read a column in which all values are ISO, or all are `MM/DD/YYYY[ hh:mm:ss AM]`.

    None where one value is not; the American notation is read as one block of bytes.
    """
    whole = text.drop_null() if text.null_count else text
    if not len(whole):
        return pa.nulls(len(text), pa.timestamp("us"))
    extent = pc.min_max(pc.binary_length(whole)).as_py()
    width = extent["min"]
    if width != extent["max"] or width not in (10, 19, 22, 23, 26):
        return None
    start = int(np.frombuffer(whole.buffers()[1], np.int32)[whole.offset])
    octets = np.frombuffer(whole.buffers()[2], np.uint8, len(whole) * width, start)
    octets = octets.reshape(-1, width)
    if octets[0, 2] != ord("/"):
        try:
            return text.cast(pa.timestamp("us"))
        except pa.ArrowInvalid:
            return None
    moments = _american(octets) if width in (10, 22) else None
    if moments is None or not text.null_count:
        return None if moments is None else pa.array(moments.view("datetime64[us]"))
    missing = text.is_null().to_numpy(zero_copy_only=False)
    spread = np.zeros(len(text), np.int64)
    spread[~missing] = moments
    return pa.array(spread.view("datetime64[us]"), mask=missing)


#: Days from 1970 to the first of each month from January 1600 to December 2399.
_MONTHS = np.arange("1600-01", "2400-02", dtype="datetime64[M]").astype("datetime64[D]")
_MONTHS = _MONTHS.astype(np.int64)


def _american(octets: np.ndarray) -> np.ndarray | None:
    """Return `MM/DD/YYYY` or `MM/DD/YYYY hh:mm:ss AM` in microseconds; None if one is not that."""

    def number(*places: int) -> np.ndarray:
        value = np.zeros(len(octets), np.int64)
        for place in places:
            digit = octets[:, place] - np.uint8(48)  # what is no digit wraps to more than 9
            wrong.append((digit > 9).any())
            value = value * 10 + digit
        return value

    wrong = [(octets[:, 2] != ord("/")).any(), (octets[:, 5] != ord("/")).any()]
    month, day, year = number(0, 1), number(3, 4), number(6, 7, 8, 9)
    seconds = 0
    if octets.shape[1] == 22:
        hour, minute, second = number(11, 12), number(14, 15), number(17, 18)
        half = octets[:, 20] & 0xDF
        afternoon = half == ord("P")
        wrong += [
            (octets[:, place] != ord(mark)).any()
            for place, mark in ((10, " "), (13, ":"), (16, ":"), (19, " "))
        ]
        wrong += [
            not (afternoon | (half == ord("A"))).all(),
            ((octets[:, 21] & 0xDF) != ord("M")).any(),
            ((hour < 1) | (hour > 12) | (minute > 59) | (second > 59)).any(),
        ]
        seconds = (hour % 12 + 12 * afternoon) * 3600 + minute * 60 + second
    wrong.append(((year < 1600) | (year > 2399) | (month < 1) | (month > 12)).any())
    if any(wrong):
        return None
    index = (year - 1600) * 12 + month - 1
    first = _MONTHS[index]
    if ((day < 1) | (day > _MONTHS[index + 1] - first)).any():
        return None
    return ((first + day - 1) * 86_400 + seconds) * 1_000_000


def has_offset(value: object) -> bool:
    """Whether a value is a time that states its distance to UTC, as `12:00:00Z` or `+02:00`."""
    if getattr(value, "tzinfo", None) is not None:
        return True
    return (
        re.search(r"\d:\d\d(:\d\d([.,]\d+)?)?\s*(Z|z|[+-]\d\d(:?\d\d)?)\s*$", str(value))
        is not None
    )


def shown(value: object) -> str:
    """Return a value as a reason quotes it: short, dates as ISO."""
    text = value.isoformat() if isinstance(value, date) else str(value)
    return repr(text if len(text) <= 60 else text[:57] + "...")
