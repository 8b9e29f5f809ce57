"""The demo city from its departments' files to the dashboards, again, a day later, and killed."""

from __future__ import annotations

import os
import re
import signal
import time
from datetime import UTC, datetime
from json import loads

import pytest

from cli.airflow import Airflow
from extract.manifests import load_city

pytestmark = pytest.mark.timeout(3600)

MARTS = (
    *("dim_city", "dim_district", "dim_department", "dim_service", "dim_date"),
    *("fct_service_request", "fct_waste_tonnage", "fct_collision", "fct_permit"),
    *("fct_park_work_order", "fct_call", "fct_feedback", "fct_feedback_sentiment", "fct_kpi"),
)


def adds_up(load):
    """read = accepted + unchanged + quarantined"""
    parts = ("rows_accepted", "rows_unchanged", "rows_quarantined")
    return load["rows_read"] == sum(load[part] for part in parts)


def test_the_whole_path_is_walked_once(stack, demo):
    assert demo["succeeded"] and demo["failures"] == []
    assert set(demo["loads"]) == {source.source for source in load_city("demo").sources}
    for source, load in demo["loads"].items():
        assert load["state"] == "accepted", source
        assert load["rows_accepted"] > 0, source
        assert adds_up(load), source
    assert sum(load["rows_quarantined"] for load in demo["loads"].values()) > 0, (
        "faults are planted"
    )


def test_one_executed_run_for_each_family_of_dag(stack, demo):
    ran = {name for name, seconds in demo["tasks"].items() if seconds > 0}
    assert {
        "extract_demo_service_requests.stage",
        "extract_demo_service_requests.gate",
        "build_warehouse.wait_for_loads",
        "build_warehouse.marts",
        "train_sentiment.train",
        "score_feedback.score",
        "publish.reports",
        "publish.dashboards",
    } <= ran


@pytest.mark.parametrize("mart", MARTS)
def test_marts_hold_the_demo_city(stack, demo, mart):
    where = "" if mart == "dim_date" else "where city_id = 'demo'"
    assert stack.value(f"select count(*) from marts.{mart} {where}") > 0


def test_marts_have_what_raw_accepted(stack, demo):
    newest = stack.value("select count(distinct request_id) from raw.demo__service_requests")
    assert (
        stack.value("select count(*) from marts.fct_service_request where city_id = 'demo'")
        == newest
    )


def test_the_champion_has_scored_every_comment(stack, demo):
    champion = demo["champion"]
    assert champion["model"] == "sentiment" and champion["version"] >= 1
    # Better than always answering with one of three.
    assert champion["agreement"] > 0.5
    comments = stack.value("select count(*) from marts.fct_feedback where text <> ''")
    assert champion["n"] == comments
    assert stack.value("select count(*) from marts.fct_feedback_sentiment") == comments


def test_dbt_outcomes_are_kept(stack, demo):
    states = dict(stack.sql("select status, count(*) from quality.dbt_results group by 1"))
    assert states.get("success", 0) > 20 and states.get("pass", 0) > 20
    assert not set(states) & {"error", "fail", "runtime error"}
    assert stack.value("select count(*) from quality.dbt_results where run_id = ''") == 0


COUNT = r"[\d,]+"
#: Task -> what the last line of its log says, before Airflow's own notes on ending it.
LAST_LINES = {
    "extract_demo_service_requests.stage": rf"demo/service_requests, load \d+: read {COUNT} rows "
    rf"from \S+ .*\(read\): {COUNT} new, {COUNT} changed, {COUNT} unchanged, {COUNT} quarantined",
    "extract_demo_service_requests.gate": rf"demo/service_requests, load \d+: accepted; {COUNT} "
    rf"rows accepted, {COUNT} unchanged, {COUNT} quarantined: .+ \({COUNT}\)",
    "build_warehouse.wait_for_loads": r"to build: demo\.\w+ \(load \d+\).*",
    "build_warehouse.marts": rf"built: \d+ models and seeds, \d+ tests passed, .+, {COUNT} rows",
    "train_sentiment.train": r"champion: sentiment version 1 \(\w+\); .+",
    "score_feedback.score": rf"scored {COUNT} comments by sentiment version 1; .+",
    "publish.reports": rf"built: \d+ models and seeds, \d+ tests passed, .+, {COUNT} rows; "
    rf"{COUNT} pairs of work and voice looked at, {COUNT} move together",
    "publish.dashboards": r"Superset: .+",
}


def test_each_task_ends_its_log_with_its_result(stack, demo):
    with Airflow(stack.deployment) as airflow:
        first = {}
        for task in airflow.tasks(datetime(2020, 1, 1, tzinfo=UTC)):
            if task.state == "success":
                first.setdefault(f"{task.dag_id}.{task.task_id}", task)
        for name, expected in LAST_LINES.items():
            log = airflow.log(first[name])
            lines = [str(line["event"]) for line in log]
            last = lines[lines.index("::group::Post Execute") - 1]
            assert re.fullmatch(expected, last), f"{name}: {last}"
            assert not [line for line in lines if "Returned value" in line], name
            loggers = [str(line.get("logger")) for line in log]
            assert not [found for found in loggers if found.startswith("great_exp")], name


def test_the_gates_wrote_their_reports(stack, demo):
    docs = stack.deployment.reports_dir
    assert (docs / "index.html").is_file()
    # Not their number: the schedule of a source may have loaded it once more meanwhile.
    for source_id, load in demo["loads"].items():
        assert (docs / "demo" / source_id / f"{load['load_id']}.html").is_file(), source_id


def test_a_second_run_loads_nothing_and_builds_nothing(stack, demo):
    before = stack.fingerprint()
    again = stack.run("demo")
    assert sum(load["rows_accepted"] for load in again["loads"].values()) == 0
    assert all(adds_up(load) for load in again["loads"].values())
    assert "build_warehouse.marts" not in again["tasks"]
    assert "train_sentiment.train" not in again["tasks"]
    assert stack.fingerprint() == before


@pytest.fixture(scope="module")
def a_day_later(stack, demo):
    """A day passes; its load, undisturbed. Leaves the warehouse of before in `warehouse_before`."""
    stack.copy_warehouse("warehouse", "warehouse_before")
    requests = stack.value("select count(*) from marts.fct_service_request")
    stack.command("simulate", "demo", "--days", "1")
    outcome = stack.run("demo")
    return requests, outcome, stack.fingerprint()


def test_a_day_brings_its_increment(stack, a_day_later):
    before, outcome, _ = a_day_later
    load = outcome["loads"]["service_requests"]
    assert 0 < load["rows_accepted"] < 5_000, "a day, not three years"
    assert all(adds_up(load) for load in outcome["loads"].values())
    assert stack.value("select count(*) from marts.fct_service_request") > before
    changed = "select count(*) from quality.loads where source_id = 'service_requests' and {} > 0"
    assert stack.value(changed.format("rows_changed")) > 0, "requests close a day later"


def test_killed_in_the_middle_ends_with_the_same_marts(stack, a_day_later, tmp_path):
    """kill -9 of the database, the scheduler, the API server and the command itself."""
    _, _, undisturbed = a_day_later
    stack.copy_warehouse("warehouse_before", "warehouse")
    assert stack.fingerprint() != undisturbed
    accepted = "select count(*) from quality.loads where state = 'accepted'"
    at_first = stack.value(accepted)
    log = tmp_path / "first-run.log"
    first = stack.start("run", "demo", log=log)
    deadline = time.monotonic() + 1200
    while stack.value(accepted) == at_first:
        assert time.monotonic() < deadline and first.poll() is None, log.read_text()
        time.sleep(0.2)
    services = {s["name"]: s for s in loads(stack.command("status", "--json").stdout)["services"]}
    first.kill()
    for name in ("airflow-scheduler", "airflow-api-server", "postgres"):
        os.kill(services[name]["pid"], signal.SIGKILL)
    first.wait()
    stack.command("up")
    again = stack.run("demo")
    assert again["succeeded"]
    assert stack.fingerprint() == undisturbed
