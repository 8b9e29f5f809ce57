"""Suites as manifests and suite files make them; no server."""

from __future__ import annotations

from datetime import datetime

import pytest

from catalog.models import Column, Source
from extract.manifests import load_cities
from tests.builders import a_source


def source(columns: dict[str, Column], **given) -> Source:
    return a_source(columns={"request_id": Column(), **columns}, **given)


def made(**columns: Column) -> list[tuple[str, dict]]:
    """Return (type, what differs from the default) for the rules of columns other than the key."""
    from expectations import suite as suites

    return [
        (e.expectation_type, e.configuration.kwargs)
        for e in suites.default_suite(source(columns)).expectations
        if e.column != "request_id"
    ]


def test_a_manifest_says_rules_types_and_severities():
    from expectations import suite as suites

    rules = suites.default_suite(
        source(
            {
                "opened": Column(type="timestamp", min="2020-01-01", max="2020-12-31"),
                "day": Column(type="date", required=True, max="2020-12-31", severity="critical"),
                "count": Column(type="integer", values=("1", "2"), min=-1.5, severity="info"),
                "open": Column(type="boolean", values=("true",)),
                "code": Column(pattern="^a$"),
            }
        )
    ).expectations
    found = [(e.expectation_type, e.column, str(e.severity.value)) for e in rules]
    assert found == [
        ("expect_column_values_to_not_be_null", "request_id", "warning"),
        ("expect_column_values_to_be_between", "opened", "warning"),
        ("expect_column_values_to_not_be_null", "day", "critical"),
        ("expect_column_values_to_be_between", "day", "critical"),
        ("expect_column_values_to_be_in_set", "count", "info"),
        ("expect_column_values_to_be_between", "count", "info"),
        ("expect_column_values_to_be_in_set", "open", "warning"),
        ("expect_column_values_to_match_regex", "code", "warning"),
    ]
    opened, day, count = rules[1], rules[3], rules[5]
    assert opened.min_value == datetime(2020, 1, 1)
    assert opened.max_value == datetime(2020, 12, 31, 23, 59, 59, 999999)
    assert day.max_value == datetime(2020, 12, 31)
    assert (count.min_value, rules[4].value_set, rules[6].value_set) == (-1.5, [1, 2], [True])
    assert [e.meta["reason"] for e in rules[:2]] == [
        "request_id: is empty",
        "opened: is below 2020-01-01 or above 2020-12-31",
    ]


def test_personal_columns_are_held_to_what_is_left_of_them():
    assert made(phone=Column(personal="drop", required=True, pattern="^1$")) == []
    ((kind, _),) = made(phone=Column(personal="hash", required=True, pattern="^1$"))
    assert kind == "expect_column_values_to_not_be_null"
    assert len(made(note=Column(personal="redact", pattern="^1$"))) == 1


@pytest.mark.parametrize("pattern", [r"\\b", r"(?:a|b)(?=c)", r"\(?P", r"^\d+$"])
def test_patterns_that_both_read_alike_are_let_through(pattern):
    assert made(x=Column(pattern=pattern))[0][1]["regex"] == pattern


def test_every_source_has_a_suite_whose_columns_it_declares():
    from expectations import suite as suites

    own = 0
    for city in load_cities().cities:
        for one in city.sources:
            for expectation in suites.suite(one).expectations:
                named = {
                    expectation.configuration.kwargs.get(k)
                    for k in ("column", "column_A", "column_B")
                }
                assert named - {None} <= set(one.columns), (one.path, expectation)
                assert expectation.meta["reason"] and expectation.meta["place"]
            own += len(suites.own_expectations(one))
    files = [p for p in suites.SUITES_DIR.glob("*/*.py") if p.stem != "__init__"]
    known = {(s.city_id, s.source) for city in load_cities().cities for s in city.sources}
    assert {(p.parent.name, p.stem) for p in files} <= known, "a suite file of no source"
    assert own >= len(files)


def test_an_own_rule_needs_words_and_rows(monkeypatch):
    from expectations import suite as suites

    gx = suites.gx
    of = source({"a": Column(type="integer")})
    rule = gx.expectations.ExpectColumnMaxToBeBetween(
        column="a", max_value=1, severity="warning", description="a: is too high"
    )
    monkeypatch.setattr(suites, "own_expectations", lambda _: [rule])
    with pytest.raises(suites.SuiteError, match="does not look at single rows"):
        suites.suite(of)
    rule.severity = "critical"
    assert suites.suite(of).expectations[-1].meta["reason"] == "a: is too high"
    rule.description = None
    with pytest.raises(suites.SuiteError, match="has no description"):
        suites.suite(of)
