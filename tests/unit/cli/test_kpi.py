"""`cityloom kpi list`, which needs no stack."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from cli import main as cli


def typed(*words: str) -> str:
    done = CliRunner().invoke(cli.build(), ["kpi", *words], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_list_has_forty_indicators_with_their_definitions():
    found = json.loads(typed("list", "--json"))
    assert len(found) >= 40
    one = next(each for each in found if each["id"] == "closed_on_time_pct")
    assert one["version"] == 2 and one["min_n"] == 30 and one["valid_from"] == "2026-11-26"
    assert one["formula"].startswith("sum(is_closed_on_time::integer) / number x 100 of fct_")
    assert "open count as missed" in one["meaning"]


def test_list_takes_a_field_of_work():
    shown = typed("list", "waste")
    assert "recycling_rate" in shown and "closed_on_time_pct" not in shown


def test_a_field_that_is_none_is_told_with_those_that_are():
    done = CliRunner().invoke(cli.build(), ["kpi", "list", "Permisos"])
    assert done.exit_code == 2 and "no indicator is of the field 'Permisos'" in done.stderr
    assert "Permits" in done.stderr
