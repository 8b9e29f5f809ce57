"""Content hashes: one number for a row's content, two for its key.

A hash is a sum over columns, so it depends neither on their order nor on columns that a row has
no value in: a new column leaves the hash of every row that lacks it as it was. Each value gives
64 bits: text by XXH3 (a frozen specification; `polars-hash` computes it, and a test holds it and
this module to known values, because these numbers are stored for good), numbers, dates and times
by their own bits, mixed. Each is multiplied or mixed with its column's name before it is added.

Integers, doubles and numerics of one value hash alike, so that widening a column between them
changes no row.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import polars_hash  # noqa: F401  (registers the namespace `nchash`)
import pyarrow as pa
import pyarrow.compute as pc

U64 = np.uint64
#: Odd constants of splitmix64 and of murmur3's finaliser: two independent mixing functions.
MIXERS = (
    (U64(0x9E3779B97F4A7C15), U64(0xBF58476D1CE4E5B9), U64(0x94D049BB133111EB)),
    (U64(0xC2B2AE3D27D4EB4F), U64(0xFF51AFD7ED558CCD), U64(0xC4CEB9FE1A85EC53)),
)
#: Every integer up to here is exact as a double.
EXACT = 2**53
_HEX = np.frombuffer(b"".join(b"%02x" % i for i in range(256)), np.uint8).reshape(256, 2)
_UNHEX = np.zeros(256, np.uint8)
_UNHEX[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)


def row_hashes(columns: Iterable[tuple[str, pa.Array]], rows: int) -> np.ndarray:
    """Return a 64-bit hash for each row over named, typed columns."""
    return _sum(columns, rows, 0)


def key_hashes(columns: list[tuple[str, pa.Array]], rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two independent 64-bit hashes for each row's key.

    A key of one integer column cannot collide at all: each mixing function is a bijection of it.
    """
    return _sum(columns, rows, 0), _sum(columns, rows, 1)


def to_text(hashes: np.ndarray) -> pa.Array:
    """Return hashes as `raw._row_hash` holds them: 16 hexadecimal digits."""
    octets = hashes.astype(">u8").view(np.uint8)
    digits = _HEX[octets].tobytes()
    offsets = np.arange(0, 16 * len(hashes) + 1, 16, dtype=np.int32)
    return pa.StringArray.from_buffers(len(hashes), pa.py_buffer(offsets), pa.py_buffer(digits))


def from_text(texts: pa.Array) -> np.ndarray:
    """Return the hashes that `to_text` wrote."""
    if not len(texts):
        return np.zeros(0, U64)
    texts = texts.cast(pa.string())
    start = texts.offset
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[start : start + len(texts) + 1]
    digits = np.frombuffer(texts.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    nibbles = _UNHEX[digits].reshape(-1, 2)
    return ((nibbles[:, 0] << 4) | nibbles[:, 1]).copy().view(">u8").astype(U64)


def _sum(columns: Iterable[tuple[str, pa.Array]], rows: int, mixer: int) -> np.ndarray:
    filled = {name: array for name, array in columns if array.null_count < rows}
    texts = {name: array for name, array in filled.items() if _is_text(array)}
    hashed = _text_hashes(texts, mixer)
    golden, first, second = MIXERS[mixer]
    total = np.zeros(rows, U64)
    with np.errstate(over="ignore"):
        for name, array in filled.items():
            if name in texts:  # mixed already, and 0 where there is no value
                total += hashed[name] * (_name_seed(name, mixer) | U64(1))
                continue
            mixed = _bits(array, mixer) + (_name_seed(name, mixer) | U64(1)) * golden
            mixed ^= mixed >> U64(30)
            mixed *= first
            mixed ^= mixed >> U64(27)
            mixed *= second
            mixed ^= mixed >> U64(31)
            if array.null_count:
                mixed *= array.is_valid().cast(pa.uint64()).to_numpy()
            total += mixed
    return total


def _is_text(array: pa.Array) -> bool:
    return pa.types.is_string(array.type) or pa.types.is_large_string(array.type)


def _text_hashes(texts: dict[str, pa.Array], mixer: int) -> dict[str, np.ndarray]:
    """Hash all text columns at once; polars takes them side by side."""
    frame = pl.DataFrame({name: pl.from_arrow(array) for name, array in texts.items()})
    if not texts:
        return {}
    all_columns: Any = pl.all()  # polars_hash adds the namespace `nchash`
    hashed = frame.select(all_columns.nchash.xxh3_64(seed=mixer).fill_null(0))
    return {name: hashed[name].to_numpy() for name in texts}


@cache
def _name_seed(name: str, mixer: int) -> np.uint64:
    literal: Any = pl.lit(name)
    return U64(pl.select(literal.nchash.xxh3_64(seed=mixer)).item())


def _bits(array: pa.Array, mixer: int) -> np.ndarray:
    """Return 64 bits for each value; those of a null have no meaning."""
    kind = array.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return _filled(array.cast(pa.int64())).view(U64)
    if pa.types.is_floating(kind):
        return _double_bits(_filled(array.cast(pa.float64())))
    if pa.types.is_decimal(kind):
        return _decimal_bits(array, mixer)
    if pa.types.is_date(kind):
        return _filled(array.cast(pa.date32()).cast(pa.int32()).cast(pa.int64())).view(U64)
    if pa.types.is_timestamp(kind):
        return _filled(array.cast(pa.timestamp("us")).cast(pa.int64())).view(U64)
    raise TypeError(f"no hash for a column of type {kind}")


def _filled(array: pa.Array) -> np.ndarray:
    return (array.fill_null(0) if array.null_count else array).to_numpy(zero_copy_only=False)


def _double_bits(values: np.ndarray) -> np.ndarray:
    values = values + 0.0  # -0.0 is 0.0
    whole = (np.abs(values) < EXACT) & (values == np.floor(values))
    bits = values.view(U64)
    bits[whole] = values[whole].astype(np.int64).view(U64)
    return bits


def _decimal_bits(array: pa.Array, mixer: int) -> np.ndarray:
    """Hash a numeric as the double it equals, else by its shortest decimal text."""
    text = array.cast(pa.string())
    text = pc.if_else(
        pc.match_substring(text, "."), pc.utf8_rtrim(pc.utf8_rtrim(text, "0"), "."), text
    )
    # By way of text: Arrow's own cast to double is off by a bit for some scales.
    bits = _double_bits(_filled(text.cast(pa.float64())).copy())
    digits = pc.utf8_length(pc.utf8_trim(pc.replace_substring(text, ".", ""), "-0"))
    long = pc.greater(digits, 15).fill_null(False).to_numpy(zero_copy_only=False)
    if long.any():
        bits[long] = _text_hashes({"": text}, mixer)[""][long]
    return bits
