"""Indicators: what is declared, what is refused, and that nothing is written twice."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path

import pytest
import yaml

from catalog import indicators
from catalog.indicators import DBT_PROJECT, load_indicators
from catalog.problems import ManifestError
from extract.manifests import load_cities

GOOD = {
    "id": "holes_filled_pct",
    "name": "Holes filled",
    "meaning": "Of the holes found, how many were filled.",
    "unit": "%",
    "direction": "higher",
    "field": "Streets",
    "source": "Cityloom",
    "version": 1,
    "valid_from": "2026-01-01",
    "fact": "service_request",
    "event_at": "opened_at",
    "aggregate": "ratio",
    "numerator": "is_closed::integer",
    "denominator": "1",
    "min_n": 10,
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("models/intermediate", "models/marts"):
        shutil.copytree(DBT_PROJECT / folder, tmp_path / folder)
    (tmp_path / "indicators").mkdir()
    return tmp_path


def declare(project: Path, *items: dict) -> None:
    (project / "indicators/streets.yml").write_text(yaml.safe_dump(list(items)))


def test_at_least_forty_are_declared_each_with_all_that_a_reader_asks():
    declared = load_indicators()
    assert len(declared) >= 40
    for one in declared:
        assert one.meaning.endswith("."), one.id
        assert one.source and one.formula and one.adds_up, one.id
    targeted = set()
    for city in load_cities().cities:
        path = city.path.parent / "targets.csv"
        if path.is_file():
            lines = path.read_text(encoding="utf-8").splitlines()
            targeted |= {row["metric_id"] for row in csv.DictReader(lines)}
    assert targeted <= {one.id for one in declared}


def test_the_book_is_that_of_the_declarations():
    """If not: `python -m catalog.indicators`."""
    assert indicators.BOOK.read_text(encoding="utf-8") == indicators.book(load_indicators())


def test_reports_name_declared_indicators_and_have_no_formula_of_their_own():
    known = {one.id for one in load_indicators()}
    for name in ("rpt_district_month", "rpt_department_month"):
        (path,) = (DBT_PROJECT / "models/reporting").rglob(f"{name}.sql")
        text = path.read_text(encoding="utf-8")
        listed = re.findall(r"\('\w+', '(\w+)', '", text)
        for names in re.findall(r"set metrics = \[(.*?)\]", text, re.S):
            listed += re.findall(r"'(\w+)'", names)
        assert len(listed) > 5 and set(listed) <= known, name
        assert not re.search(r"percentile_cont|avg\(|sum\(|100\.0 \*", text), name
        facts = set(re.findall(r"ref\('((?:fct|int)_\w+)'\)", text))
        assert facts <= {"fct_kpi", "int_kpi_value"}, name


def test_a_declaration_becomes_a_definition_and_events(project: Path):
    late = {**GOOD, "id": "late", "aggregate": "p90", "sample": "days_to_close"}
    del late["numerator"], late["denominator"]
    middle = {**late, "id": "middle", "aggregate": "median"}
    declare(project, GOOD, late, middle)
    declared = load_indicators(project)
    rows = indicators.definition_rows(declared)
    columns = indicators.DEFINITION_COLUMNS.split()
    assert all(len(row) == len(columns) for row in rows)
    first = dict(zip(columns, rows[0], strict=True))
    assert first["formula"] == "sum(is_closed::integer) / number of fct_service_request"
    text = indicators.macro(declared, "header", project)
    # One reading of the mart for both; two quantiles of the same samples.
    assert text.count('"mart"') == 1
    assert '"ids": {"late": 0.9, "middle": 0.5}' in text
    assert '"areas": {"district_id": true, "department_id": true}' in text


def test_a_stock_is_entered_at_one_time_and_left_at_another(project: Path):
    stock = {**GOOD, "aggregate": "stock", "left_at": "closed_at", "min_n": 0}
    del stock["numerator"], stock["denominator"]
    declare(project, stock)
    text = indicators.macro(load_indicators(project), "header", project)
    for at, sign in (("opened_at", 1), ("closed_at", -1)):
        (line,) = [line for line in text.splitlines() if f'"event_at": "{at}"' in line]
        assert f'"sign": {sign}' in line


def test_what_is_open_at_a_month_s_end_has_a_median_age(project: Path):
    age = {
        **GOOD,
        "aggregate": "median",
        "left_at": "closed_at",
        "sample": "{month_end} - opened_at",
    }
    del age["numerator"], age["denominator"]
    declare(project, age)
    (one,) = load_indicators(project)
    assert one.is_stock and "there is no year of it" in one.adds_up
    text = indicators.macro([one], "header", project)
    assert '"left_at": "closed_at"' in text and text.count('"event_at"') == 1


def test_a_former_version_computes_the_months_before_the_new_one(project: Path):
    changed = {
        **GOOD,
        **{"version": 3, "valid_from": "2026-01-01", "changes": {2: "Two.", 3: "Three."}},
        "former": {
            1: {"valid_from": "2023-01-01", "numerator": "is_open::integer"},
            2: {"valid_from": "2025-01-01"},
        },
    }
    declare(project, changed)
    (one,) = load_indicators(project)
    text = indicators.macro([one], "header", project)
    entries = text.split('{"id": ')[1:]
    assert ["is_open" in entry for entry in entries] == [True, False, False]
    assert "(true) and opened_at < '2025-01-01'" in entries[0]
    assert "((true) and opened_at >= '2025-01-01') and opened_at < '2026-01-01'" in entries[1]
    assert indicators.version_rows([one]) == [
        ("holes_filled_pct", 1, "", "2025-01-01"),
        ("holes_filled_pct", 2, "2025-01-01", "2026-01-01"),
        ("holes_filled_pct", 3, "2026-01-01", ""),
    ]
    assert "Months before 2025-01 are computed by version 1" in indicators.book([one])


def test_without_former_versions_the_newest_restates_the_months_before(project: Path):
    declare(project, {**GOOD, "version": 2, "changes": {2: "Two."}})
    (one,) = load_indicators(project)
    assert indicators.version_rows([one]) == [("holes_filled_pct", 2, "", "")]
    assert "Months before 2026-01 are restated" in indicators.book([one])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"version": 2, "changes": {2: "Two."}, "former": {2: {"valid_from": "2025-01-01"}}},
            "former: versions must be older than 2",
        ),
        (
            {"version": 2, "changes": {2: "Two."}, "former": {1: {"valid_from": "2025-01-09"}}},
            "valid_from: with former versions, each must be the first of a month",
        ),
        ({"fact": "serivce_request"}, "fact: no 'serivce_request'; one of: "),
        ({"model": "fct_hole"}, "model: models/marts has no fct_hole.yml"),
        ({"numerator": None}, "aggregate ratio takes denominator, numerator; there is denominator"),
        ({"min_n": 0}, "min_n is missing: a ratio of one event says nothing"),
        ({"version": 2}, "changes must say what each version from 2 to 2 changed"),
        (
            {"direction": "up"},
            "direction: is 'up', which is not known; use one of: higher, lower, none",
        ),
        ({"colour": "red"}, "colour: is not a known key; use one of: "),
        (
            {"event_at": "openned_at"},
            "event_at: fct_service_request has no column 'openned_at'; did you mean 'opened_at'?",
        ),
        ({"where": "is_closed and"}, "where: 'is_closed and' is not an SQL expression"),
        ({"where": "true; drop table x"}, "where: 'true; drop table x' is not an SQL expression"),
        (
            {
                "version": 2,
                "changes": {2: "x"},
                "former": {1: {"valid_from": "2025-01-01", "where": "closed"}},
            },
            "former.1.where: fct_service_request has no column 'closed'; ",
        ),
    ],
)
def test_a_wrong_declaration_is_named_with_file_indicator_and_remedy(
    project: Path, change: dict, message: str
):
    declare(project, {**GOOD, **change})
    with pytest.raises(ManifestError) as refused:
        load_indicators(project)
    (problem,) = refused.value.problems
    assert "indicators/streets.yml: holes_filled_pct: " in problem
    assert message in problem


def test_an_id_is_declared_once(project: Path):
    declare(project, GOOD, GOOD)
    with pytest.raises(ManifestError, match="holes_filled_pct: id: is declared twice"):
        load_indicators(project)


@pytest.mark.parametrize("text", ["a: [", "a: 1"])
def test_a_file_that_is_no_list_is_named(project: Path, text: str):
    (project / "indicators/streets.yml").write_text(text)
    with pytest.raises(ManifestError, match=r"streets\.yml(:\d+)?: is not "):
        load_indicators(project)
