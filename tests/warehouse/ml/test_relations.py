"""Relations of work and voice, from the warehouse's values into the report."""

from __future__ import annotations

from datetime import date

import numpy as np
import psycopg
import pytest

from extract.load import ensure_raw_tables
from extract.manifests import load_cities
from ml.relations import relate
from warehouse import dbt

MONTHS, DISTRICTS = 24, 9


@pytest.fixture(scope="module")
def related(warehouse, tmp_path_factory):
    """Values of nine districts in which sentiment falls with the days to close a month before."""
    ensure_raw_tables(warehouse.url, load_cities().cities)
    dbt.build(warehouse.url, target_dir=tmp_path_factory.getbasetemp() / "dbt", echo=lambda _: None)
    rng = np.random.default_rng(1)
    days = rng.normal(5, 1, (DISTRICTS, MONTHS))
    voice = rng.normal(0, 0.05, days.shape)
    voice[:, 1:] -= 0.1 * days[:, :-1]
    values = {"median_days_to_close": days, "net_sentiment": voice}
    with psycopg.connect(warehouse.url) as connection:
        versions = dict(
            connection.execute("select metric_id, definition_version from staging.kpi_definition")
        )
        for district in range(DISTRICTS):
            connection.execute(
                "insert into marts.dim_district (city_id, district_id, district_name, "
                "is_residential) values ('demo', %s, %s, true)",
                [f"D{district}", f"District {district}"],
            )
        for metric, panel in values.items():
            for (district, month), value in np.ndenumerate(panel):
                connection.execute(
                    "insert into intermediate.int_kpi_value (city_id, metric_id, district_id, "
                    "department_id, period_grain, period_start, is_complete, value, "
                    "definition_version) values ('demo', %s, %s, '*', 'month', %s, %s, %s, %s)",
                    [
                        *(metric, f"D{district}", date(2023 + month // 12, month % 12 + 1, 1)),
                        *(True, float(value), versions[metric]),
                    ],
                )
    return warehouse.url


def test_a_relation_reaches_the_report_and_another_look_replaces_it(related):
    assert relate(related) == "4 pairs of work and voice looked at, 1 move together"
    assert relate(related) == "4 pairs of work and voice looked at, 1 move together"
    with psycopg.connect(related) as connection:
        rows = connection.execute(
            "select work_name, voice_name, lag_months, finding, n, n_districts, n_months, n_tests, "
            "coefficient between -0.12 and -0.08, low < -0.1 and high > -0.12 and high < 0, "
            "work_unit, voice_unit from reporting.rpt_voice_relation where is_finding"
        ).fetchall()
    n = DISTRICTS * (MONTHS - 1)
    assert rows == [
        (
            *("Median days to close", "Net sentiment", 1, "One rises as the other falls"),
            *(n, DISTRICTS, MONTHS - 1, 4, True, True, "days", "-1 to 1"),
        )
    ]


def test_months_that_are_not_complete_do_not_count(related):
    with psycopg.connect(related) as connection:
        connection.execute(
            "update intermediate.int_kpi_value set is_complete = false "
            "where period_start >= '2023-11-01' and metric_id = 'net_sentiment'"
        )
    assert relate(related) == "0 pairs of work and voice looked at, 0 move together"
    with psycopg.connect(related) as connection:
        found = connection.execute(
            "select distinct finding, is_finding, coefficient, n_tests "
            "from reporting.rpt_voice_relation"
        ).fetchall()
    assert found == [("Too few districts or months", False, None, 0)]


def test_an_open_reader_reads_the_report_and_not_what_it_is_made_of(related, postgres):
    with psycopg.connect(postgres.role_url("reader_open")) as connection:
        assert connection.execute("select count(*) from reporting.rpt_voice_relation").fetchone()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("select count(*) from ml.voice_relation")
