"""Casting, hashing and redaction, value by value."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.models import Column
from extract import hashing, redact
from extract.load.history import CHANGED, NEW, UNCHANGED, LoadRows, RawVersions
from extract.types import cast

LEAP = dt.date(2024, 2, 29)


def read(kind: str, *texts, time_zone=None, **column):
    typed, failed = cast(pa.array(texts, pa.string()), Column(type=kind, **column), time_zone)
    bad = [] if failed is None else np.flatnonzero(failed).tolist()
    return typed.to_pylist(), bad


@pytest.mark.parametrize(
    ("kind", "texts", "values", "bad"),
    [
        ("integer", ["7", " 7 ", "+7", "7.0", "1,234", None], [7, 7, 7, 7, 1234, None], []),
        ("integer", ["7", "7.5", "x", "1,23", "9" * 20], [7] + [None] * 4, [1, 2, 3, 4]),
        ("double", ["1.5", "-1e3", "$1,234.50", "(2)", ".5"], [1.5, -1000, 1234.5, -2, 0.5], []),
        ("double", ["1.5", "nan", "inf", "1.2.3", ""], [1.5, None, None, None, None], [1, 2, 3, 4]),
        ("numeric", ["1.50", "-0.1", "12345678901234567890", "$3", None],
         [Decimal("1.5"), Decimal("-0.1"), Decimal("12345678901234567890"), Decimal(3), None], []),
        ("numeric", ["1", "1e5", "one"], [Decimal(1), None, None], [1, 2]),
        ("boolean", ["true", "Y", "0", "No", "maybe"], [True, True, False, False, None], [4]),
        ("date", ["2024-02-29", "02/29/2024", "2024-02-29T00:00:00.000"], [LEAP] * 3, []),
        ("date", ["2023-02-29", "2024-01-01 10:00:00", "13/01/2024"], [None] * 3, [0, 1, 2]),
        ("timestamp", ["2024-01-02T03:04:05.678", "2024-01-02"],
         [dt.datetime(2024, 1, 2, 3, 4, 5, 678000), dt.datetime(2024, 1, 2)], []),
        ("timestamp", ["01/02/2024 12:00:00 AM", "01/02/2024 12:30:00 PM"],
         [dt.datetime(2024, 1, 2), dt.datetime(2024, 1, 2, 12, 30)], []),
        ("timestamp", ["01/02/2024 11:59:59 pm"], [dt.datetime(2024, 1, 2, 23, 59, 59)], []),
        ("timestamp", ["01/02/2024 13:00:00 PM", "01/02/2024 1:00:00 PM", "1/2/2024 13:05"],
         [None, dt.datetime(2024, 1, 2, 13), dt.datetime(2024, 1, 2, 13, 5)], [0]),
        ("timestamp", ["2024-01-02T03:04:05Z", "0000-00-00 00:00:00"], [None, None], [0, 1]),
    ],
)  # fmt: skip
def test_notations(kind, texts, values, bad):
    assert read(kind, *texts) == (values, bad)


def test_declared_formats_come_first():
    day = dt.datetime(2024, 2, 1)
    assert read("date", "01/02/2024", formats=("%d/%m/%Y",))[0] == [day.date()]
    assert read("timestamp", "01/02/2024 10:05", formats=("%d/%m/%Y %H:%M",))[0] == [
        day.replace(hour=10, minute=5)
    ]
    assert read("date", "1993 / 11", "20240201", formats=("%Y%m%d",))[1] == [0]


def test_times_with_an_offset_become_local():
    local = dt.datetime(2024, 7, 1, 8, 0)
    values, bad = read(
        "timestamp", "2024-07-01T12:00:00Z", "2024-07-01 14:00:00+02:00", "2024-07-01T08:00:00",
        time_zone="America/New_York",
    )  # fmt: skip
    assert values == [local] * 3 and bad == []


@given(st.lists(st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2100, 1, 1)), min_size=1))
@settings(max_examples=50, deadline=None)
def test_the_quick_way_reads_what_the_slow_way_reads(moments):
    moments = [moment.replace(microsecond=0) for moment in moments]
    american = [moment.strftime("%m/%d/%Y %I:%M:%S %p") for moment in moments]
    assert read("timestamp", *american) == (moments, [])
    assert read("timestamp", *american, "not one")[0][:-1] == moments


def test_typed_values_of_other_types_are_read():
    assert cast(pa.array([1.0, None]), Column(type="integer"))[0].to_pylist() == [1, None]
    assert cast(pa.array([1.5, float("nan")]), Column())[0].to_pylist() == ["1.5", None]
    assert cast(pa.array([12.0]), Column())[0].to_pylist() == ["12"]
    typed, failed = cast(pa.array([1.5]), Column(type="integer"))
    assert typed.to_pylist() == [None] and failed.tolist() == [True]
    assert cast(pa.array([5]), Column(type="timestamp"))[1].tolist() == [True]


def row_hash(**values) -> int:
    arrays = [(name, value if isinstance(value, pa.Array) else pa.array([value]))
              for name, value in values.items()]  # fmt: skip
    return int(hashing.row_hashes(arrays, 1)[0])


@pytest.mark.parametrize(
    ("array", "values"),
    [
        (pa.array([[1], [2]]), [None, None]),
        (pa.array([{"a": 1}, {"a": 2}]), [None, None]),
        (pa.array([b"1", b"x"], pa.binary(1)), [1, None]),
        (pa.array([1, 2], pa.duration("s")), [1, 2]),
    ],
)
@pytest.mark.parametrize("kind", ["integer", "double"])
def test_what_arrow_cannot_cast_is_read_as_text_or_named(array, values, kind):
    typed, failed = cast(array, Column(type=kind))
    assert typed.to_pylist() == values
    unread = [False] * len(array) if failed is None else failed.tolist()
    assert unread == [value is None for value in values]


def test_hashes_are_the_ones_that_raw_holds_for_good():
    # Were one of these to change, every row of every installation would be a new version.
    assert {
        "text": row_hash(a="Élm Street"),
        "integer": row_hash(a=-7),
        "double": row_hash(a=0.1),
        "boolean": row_hash(a=True),
        "date": row_hash(a=dt.date(2024, 2, 29)),
        "timestamp": row_hash(a=dt.datetime(2024, 2, 29, 1, 2, 3, 4)),
        "numeric": row_hash(a=Decimal("12345678901234567890.5")),
        "row": row_hash(a=1, b="x", c=None),
    } == HASHES


HASHES = {
    "text": 0x339826A3271C343A,
    "integer": 0x4565AA19A6EFEE95,
    "double": 0x285C5798F60125A7,
    "boolean": 0x666B5BEDC6550F5A,
    "date": 0xC14E932D2A9506FC,
    "timestamp": 0xAC1D0033BAD73FF0,
    "numeric": 0xBD7996F10AA247C2,
    "row": 0xF7CE19372E6A4A89,
}


#: Length in bytes of a text of "é" and "a" -> its XXH3 with seeds 0 and 1, by the reference
#: implementation, xxHash 0.8: one of each of the algorithm's branches, and their borders.
XXH3 = {
    0: (0x2D06800538D394C2, 0x4DC5B0CC826F6703),
    1: (0xE6C632B61E964E1F, 0xD2F6D0996F37A720),
    3: (0x5600FA9CB6447ABF, 0xE4FF45FCF3FCA0C6),
    4: (0x42E2158A340E3BB5, 0x69D23B0C8F92916F),
    8: (0xC1AA872E8E3AADC1, 0xEB09C97B28D13263),
    9: (0x30CD63D422D8B241, 0x5B8F4AE64FB45CF9),
    16: (0x0BF8149553113C4D, 0x4A4DA17EAB785782),
    17: (0x66454296C5A8C329, 0x9846D2DF514D6AFE),
    128: (0xCEF1BB8D03073563, 0x8BF25EDB7E372616),
    129: (0x14FBB22A1AD18C1F, 0x0C52DEB6F918086A),
    240: (0x603C48F34036BBB0, 0x23E26B5CDE8AA6E5),
    241: (0xB40DAA0C6A6A62D0, 0xF9AD6E7200622C7A),
    1000: (0x59420A3B1722BF53, 0xCC5928E2C317976D),
}


@pytest.mark.parametrize("seed", [0, 1])
def test_hashes_of_text_are_xxh3(seed):
    import polars as pl

    texts = pl.DataFrame({"a": ["é" * (n // 2) + "a" * (n % 2) for n in XXH3]})
    hashed = texts.select(pl.col("a").nchash.xxh3_64(seed=seed))["a"].to_list()
    assert hashed == [pair[seed] for pair in XXH3.values()]


def test_hashes_of_a_batch_and_of_keys_are_as_ever():
    columns = [
        ("id", pa.array([1, 2**40, None])),
        ("street", pa.array(["Élm", "", None])),
    ]
    first, second = hashing.key_hashes(columns, 3)
    assert first.tolist() == [0x84AB8CED0F1E9BB0, 0xD9BF098636AA4660, 0]
    assert second.tolist() == [0xBBF460746865DA51, 0xC26A94BCB2DE58E0, 0]
    texts = hashing.to_text(hashing.row_hashes(columns, 3)).to_pylist()
    assert texts == ["84ab8ced0f1e9bb0", "d9bf098636aa4660", "0000000000000000"]
    (first,), (second,) = hashing.key_hashes([("id", pa.array(["SR-1"]))], 1)
    assert (first, second) == (0x496858EABF646554, 0x7876FDCD1810600D)


def test_hash_ignores_order_and_missing_values_but_not_names():
    assert row_hash(a=1, b="x") == row_hash(b="x", a=1)
    assert row_hash(a=1) == row_hash(a=1, b=pa.nulls(1, pa.string()))
    assert row_hash(a="x", b="y") != row_hash(a="y", b="x")
    assert row_hash(a="x") != row_hash(b="x")
    assert row_hash(a="ab", b="c") != row_hash(a="a", b="bc")
    assert row_hash(a=0) != row_hash(a=pa.nulls(1, pa.int64()))


def test_numbers_of_one_value_hash_alike_whatever_their_type():
    for value in (0, 1, -3, 2**40):
        assert row_hash(a=value) == row_hash(a=float(value)) == row_hash(a=Decimal(value))
    assert row_hash(a=0.1) == row_hash(a=Decimal("0.1")) == row_hash(a=Decimal("0.100000"))
    assert row_hash(a=-0.0) == row_hash(a=0)


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_hashes_survive_their_text(values):
    hashes = np.array(values, np.uint64)
    text = hashing.to_text(hashes)
    assert hashing.from_text(text).tolist() == values
    assert text.to_pylist() == [f"{value:016x}" for value in values]
    assert hashing.from_text(text.slice(1)).tolist() == values[1:]


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2))),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2))),
    st.integers(1, 4),
)
def test_what_a_load_comes_to_is_what_a_dictionary_says(before, rows, size):
    held = dict(before)
    keys = np.array(sorted(held), np.uint64)
    raw = RawVersions(keys, keys + np.uint64(1), np.array([held[int(k)] for k in keys], np.uint64))
    load = LoadRows()
    for start in range(0, len(rows), size):
        part = np.array(rows[start : start + size], np.uint64)
        key = (part[:, 0], part[:, 0] + np.uint64(1))
        status = raw.compare(key, part[:, 1])
        numbers = np.arange(start, start + len(part))
        load.add("f", numbers, key, part[:, 1], status)
    resolution = load.resolve()
    winners = dict(rows)
    assert resolution.new == sum(key not in held for key in winners)
    assert resolution.changed == sum(k in held and held[k] != v for k, v in winners.items())
    lost = {
        number for number, (key, content) in enumerate(rows)
        if content != winners[key] and held.get(key) != content
    }  # fmt: skip
    assert {row for _, row in resolution.superseded} == lost
    assert resolution.new + resolution.changed + resolution.unchanged + len(lost) == len(rows)
    staged = {n for n, (key, content) in enumerate(rows) if held.get(key) != content}
    staged -= lost | {row for _, row in resolution.repeated}
    assert sorted(rows[n] for n in staged) == sorted(
        (k, v) for k, v in winners.items() if held.get(k) != v
    )
    assert {int(UNCHANGED), int(NEW), int(CHANGED)} == {0, 1, 2}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("write to ann.lee+x@mail.example.org.", "write to [email]."),
        ("call (555) 123-4567 or 555-123-4567, 1-555-123-4567", "call [phone] or [phone], [phone]"),
        ("+44 20 7946 0958", "[phone]"),
        ("ssn 123-45-6789", "ssn [ssn]"),
        ("card 4111 1111 1111 1111 and 4111111111111111", "card [card] and [card]"),
        ("4111111111111111.", "[card]."),
        ("(40.775819819021656, -73.94896114574799)", None),
        ("see https://ann:secret@host.org/x?y now", "see [url] now"),
        ("thanks @mayor_of_city, and @x.", "thanks [handle], and [handle]."),
        ("on 2024-05-27 at 10:30, 25 to 30 people at 1200 Main Street", None),
        ("request 61276295, $1,250,000, zip 10033-1234", None),
        ("no at sign here", None),
    ],
)
def test_redaction(text, kept):
    assert redact.redact_text(text) == (text if kept is None else kept)


def test_pseudonyms_are_keyed_and_the_same_for_the_same_person():
    values = pa.array(["Ann@x.org", " ann@X.org", None, "bob@x.org"])
    one = redact.pseudonyms(values, b"salt").to_pylist()
    assert one[0] == one[1] != one[3] and one[2] is None and len(one[0]) == 64
    assert redact.pseudonyms(values, b"other").to_pylist()[0] != one[0]
