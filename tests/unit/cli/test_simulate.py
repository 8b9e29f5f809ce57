"""`cityloom simulate`: what a person types to let a day pass."""

from datetime import date

from typer.testing import CliRunner

import simulator
from cli.main import build


def test_days_pass_in_a_folder_that_is_there(tmp_path):
    simulator.ensure(tmp_path, date(2023, 1, 5))
    answer = CliRunner().invoke(
        build(), ["simulate", "demo", "--days", "2", "--into", str(tmp_path)]
    )
    assert answer.exit_code == 0, answer.output
    assert simulator.last_day(tmp_path) == date(2023, 1, 7)
    assert "until 2023-01-07 (before: until 2023-01-05)" in answer.output


def test_a_real_city_is_refused_by_name():
    answer = CliRunner().invoke(build(), ["simulate", "nyc"])
    assert answer.exit_code == 2
    assert "'nyc' is not simulated" in answer.output
