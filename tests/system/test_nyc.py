"""New York from its own files: counts to meet, a corrected value, and files that are broken."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from dashboards.browser import choose, look, open_dashboard
from dashboards.chromium import ensure
from dashboards.code import load_dashboards

pytestmark = [pytest.mark.real_data, pytest.mark.timeout(3600)]

COUNTS = {
    "fct_service_request": 11_691,
    "fct_waste_tonnage": 20_871,
    "fct_collision": 7_659 + 1_875,
    "fct_inspection": 10_402,
    "fct_capital_project": 12_587,
    "fct_trip": 240_000,
}
CORRECTED = "Corrected by a test"


@pytest.fixture
def data(nyc, nyc_data):
    return nyc_data


def test_every_source_is_accepted_whole(nyc):
    assert nyc["succeeded"] and nyc["failures"] == []
    for source, load in nyc["loads"].items():
        assert load["state"] == "accepted", source
        assert load["rows_accepted"] == load["rows_read"], source
        assert load["rows_quarantined"] == 0, source


@pytest.mark.parametrize("mart", sorted(COUNTS))
def test_counts_are_met(stack, nyc, mart):
    found = stack.command(
        *("sql", f"select count(*) as n from marts.{mart} where city_id = 'nyc'"),
        *("--format", "csv"),
    )
    assert found.stdout.split() == ["n", str(COUNTS[mart])]


def test_requests_have_as_many_keys_as_rows(stack, nyc):
    query = "select count(distinct service_request_id) from marts.fct_service_request"
    assert stack.value(f"{query} where city_id = 'nyc'") == COUNTS["fct_service_request"]


def test_the_clock_of_a_city_that_was_read_from_a_snapshot_stands_still(stack, nyc):
    from cli.airflow import Airflow

    with Airflow(stack.deployment) as airflow:
        paused = {d: p for d, p in airflow.dags().items() if d.startswith("extract_nyc_")}
    assert paused and all(paused.values())


def test_a_second_run_loads_nothing(stack, nyc, data):
    again = stack.run("nyc", "--snapshot", str(data))
    assert sum(load["rows_accepted"] for load in again["loads"].values()) == 0
    assert {load["state"] for load in again["loads"].values()} == {"unchanged"}
    assert "build_warehouse.marts" not in again["tasks"]


def test_a_corrected_value_changes_one_row_and_keeps_the_old_version(stack, data, tmp_path):
    snapshot = shutil.copytree(data, tmp_path / "nyc")
    file = snapshot / "311" / "nyc311_anthony.csv"
    with file.open(newline="", encoding="utf-8-sig") as text:
        rows = list(csv.DictReader(text))
    key, before = rows[0]["unique_key"], rows[0]["descriptor"]
    rows[0]["descriptor"] = CORRECTED
    with file.open("w", newline="", encoding="utf-8") as text:
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    table = "select t::text from marts.fct_service_request t where city_id = 'nyc'"
    old = set(stack.sql(table))

    outcome = stack.run("nyc", "--snapshot", str(snapshot), "--source", "service_requests")

    assert outcome["loads"]["service_requests"]["rows_accepted"] == 1
    new = set(stack.sql(table))
    assert len(old - new) == len(new - old) == 1
    ((row,),) = new - old
    assert CORRECTED in row and key in row
    kept = stack.sql(
        "select descriptor from raw.nyc__service_requests "
        f"where unique_key = '{key}' order by _load_id"
    )
    assert kept == [(before,), (CORRECTED,)]


@pytest.fixture(scope="module")
def broken(stack, nyc, nyc_data, tmp_path_factory):
    """A run of a snapshot in which four sources are broken, each in its own way."""
    snapshot = shutil.copytree(nyc_data, tmp_path_factory.mktemp("broken") / "nyc")

    collisions = snapshot / "crashes" / "nyc_mv_collisions_202201.csv"
    content = collisions.read_bytes()
    # In the middle of a record, as a broken transfer leaves it.
    cut = content.index(b"\n", len(content) // 2) + 20
    collisions.write_bytes(content[:cut])

    tonnage = snapshot / "dsny" / "dsny_monthly_tonnage_2020.csv"
    content = tonnage.read_bytes()
    tonnage.write_bytes(content.replace(b"REFUSETONSCOLLECTED", b"REFUSE_TONNAGE", 1))

    inspections = snapshot / "health" / "dohmh_rodent_inspections_2020.csv"
    page = b"<!DOCTYPE html>\n<html><head><title>503</title></head><body>Sorry.</body></html>\n"
    inspections.write_bytes(page)

    projects = snapshot / "capital_projects.csv"
    with projects.open(newline="", encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    for row in rows[::20]:
        row["totalplannedcommit"] = "see note"
    with projects.open("w", newline="", encoding="utf-8") as text:
        writer = csv.DictWriter(text, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)

    before = stack.fingerprint()
    names = ("collisions", "waste_tonnage", "rodent_inspections", "capital_projects")
    chosen = [part for name in names for part in ("--source", name)]
    outcome = stack.run("nyc", "--snapshot", str(snapshot), *chosen, succeeds=False)
    reasons = {
        failure["dag_id"].removeprefix("extract_nyc_"): failure["reason"]
        for failure in outcome["failures"]
    }
    return before, outcome, reasons


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("collisions", ["crashes/nyc_mv_collisions_202201.csv"]),
        ("waste_tonnage", ["dsny_monthly_tonnage_2020.csv", "refusetonscollected"]),
        ("rodent_inspections", ["dohmh_rodent_inspections_2020.csv", "HTML"]),
        ("capital_projects", ["totalplannedcommit", "see note", "5"]),
    ],
)
def test_each_is_reported_with_its_place(broken, source, words):
    _, outcome, reasons = broken
    assert set(reasons) == {"collisions", "waste_tonnage", "rodent_inspections", "capital_projects"}
    for word in words:
        assert word.lower() in reasons[source].lower(), reasons[source]
    # On the terminal too, with the log's place.
    failure = next(f for f in outcome["failures"] if f["dag_id"] == f"extract_nyc_{source}")
    assert Path(failure["log"]).is_file()


def test_marts_stay_as_they_were(stack, broken):
    before, outcome, _ = broken
    assert stack.fingerprint() == before
    assert "build_warehouse.marts" not in outcome["tasks"]


def test_counts_of_every_load_add_up(stack, broken):
    off = stack.sql(
        """
        select city_id, source_id, load_id, state from quality.loads
        where rows_read <> rows_accepted + rows_unchanged + rows_quarantined
        """
    )
    assert off == []
    states = dict(
        stack.sql(
            "select source_id, state from quality.loads where city_id = 'nyc' order by load_id"
        )
    )
    assert states["capital_projects"] == "blocked"
    assert {states[s] for s in ("collisions", "waste_tonnage", "rodent_inspections")} <= {
        "failed",
        "blocked",
    }


def test_the_city_is_loaded_again_once_it_is_mended(stack, broken, nyc_data):
    outcome = stack.run("nyc", "--snapshot", str(nyc_data), "--source", "collisions")
    assert outcome["loads"]["collisions"]["state"] == "unchanged"


#: Charts of residents' comments, and of closings, of which its newest full month has too few.
WITHOUT = (
    *("net_sentiment", "comments_read", "sentiment_shares", "worst_topics"),
    *("sentiment_by_channel", "closed_on_time", "days_to_close"),
)


def test_the_dashboard_says_in_words_what_new_york_does_not_have(stack, nyc):
    overview = next(d for d in load_dashboards() if d.slug == "city-overview")
    settings = stack.settings
    opened = open_dashboard(
        settings.url("superset"),
        settings.admin_user,
        settings.admin_password,
        overview.slug,
        executable=ensure(),
        filters=choose(overview, City="New York City"),
    )
    with opened as page:
        empty = {chart.title: chart.empty for chart in look(page) if chart.problem}
        lines = page.evaluate(
            "() => [...document.querySelectorAll('.ant-empty-description')]"
            ".map(line => getComputedStyle(line, '::after').content)"
        )
    words = {overview.charts[name].title: overview.charts[name].empty for name in WITHOUT}
    assert set(empty) == set(words), empty
    assert {line.strip('"') for line in lines} == set(words.values())
