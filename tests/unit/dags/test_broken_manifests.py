"""A wrong manifest costs its own DAG alone, and that DAG says what to mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from extract.manifests import load_cities

ROOT = Path(__file__).resolve().parents[3]
DEMO = "cities/demo/sources"
NYC_CITY = "cities/nyc/city.yml"


def changed(path: str, old: str, new: str) -> str:
    text = (ROOT / path).read_text()
    assert old in text
    return text.replace(old, new)


#: File -> (what stands there, what is wrong about it, what its DAG must say).
WRONG = {
    f"{DEMO}/permits/permits.yml": (
        "connector: fixed_width",
        "connector: fixedwith",
        ("read.connector: 'fixedwith' is not", "did you mean 'fixed_width'?"),
    ),
    f"{DEMO}/finance/targets.yml": (
        'files: ["finance/targets.csv"]',
        'files: ["finance/targets.csv"]\n  options: {seperator: ";", encodng: utf-8}',
        ("read.options.seperator: is not", "read.options.encodng", "did you mean 'encoding'?"),
    ),
    f"{DEMO}/parks/park_work_orders.yml": ("source: ", "\tsource: ", ("indented with a tab",)),
    "cities/demo/sources/sanitation/collection_rounds.yml": (
        "cadence: ",
        'cadence: "61 25 * * *"\n#',
        ("cadence: '61 25 * * *' is not a cron expression", "@daily"),
    ),
}
BROKEN = {
    "extract_demo_permits": "permits.yml",
    "extract_demo_targets": "targets.yml",
    "extract_demo_park_work_orders": "park_work_orders.yml",
    "extract_demo_collection_rounds": "collection_rounds.yml",
}
#: Names of files that no DAG can have, that two files share, or that a good manifest has.
ODD_NAMES = (
    "pool visits (new)",
    "pool-visits--new",
    "x" * 245,
    "\u03c0\u03ac\u03c1\u03ba\u03b1",
    "call_log",
)
ODD_DAGS = {
    "extract_demo_pool_visits_new",
    "extract_demo_pool_visits_new_2",
    "extract_demo_" + "x" * 187,
    "extract_demo_unnamed",
    "extract_demo_call_log_2",
}


@pytest.fixture(scope="module")
def found(parse_changed):
    """The folder with every manifest of WRONG broken, one of an odd name, and New York's city."""
    texts = {path: changed(path, old, new) for path, (old, new, _) in WRONG.items()}
    texts[NYC_CITY] = changed(NYC_CITY, "America/New_York", "America/NewYork")
    texts |= {f"{DEMO}/parks/{name}.yml": '"a\\0b": 1' for name in ODD_NAMES}
    return parse_changed(texts)


def test_the_other_dags_are_there_and_as_before(found, parsed):
    assert found["errors"] == {} and found["warnings"] == {}
    good = {source.dag_id for source in load_cities().sources if source.city_id == "demo"} - set(
        BROKEN
    )
    assert good
    for dag_id in (*good, "score_feedback", "train_sentiment", "publish"):
        before = {**parsed["dags"][dag_id], "serialised_bytes": 0}  # the folder's name is longer
        assert {**found["dags"][dag_id], "serialised_bytes": 0} == before, dag_id
    assert set(found["dags"]["build_warehouse"]["waits_for"]) == {
        uri for dag_id in good for uri in found["dags"][dag_id]["tasks"]["gate"]["outlets"]
    }


def test_every_broken_manifest_has_a_dag_that_says_what_to_mend(found):
    broken = {dag_id: dag for dag_id, dag in found["dags"].items() if "broken" in dag["tags"]}
    nyc = {dag_id for dag_id in broken if dag_id.startswith("extract_nyc_")}
    assert set(broken) - nyc == {*BROKEN, *ODD_DAGS}
    assert all("\0" not in dag["doc"] for dag in broken.values())
    assert "a\\x00b: is not a known key" in broken["extract_demo_pool_visits_new"]["doc"]
    for path, (_, _, words) in WRONG.items():
        dag = broken[next(d for d, name in BROKEN.items() if path.endswith(f"/{name}"))]
        for word in (path, *words):
            assert word in dag["doc"]
        assert {"family:extract", "tier:internal", "city:demo", "broken"} == set(dag["tags"])
        assert list(dag["tasks"]) == ["check_manifest"]
        assert dag["tasks"]["check_manifest"]["outlets"] == []
        assert dag["paused_at_first"] and dag["params"] == ["snapshot"]
        assert dag["cron"] == "@daily" or dag["cron"] == "0 0 * * *"


def test_a_broken_city_yml_costs_that_city_alone(found, parsed):
    nyc = {d: dag for d, dag in found["dags"].items() if d.startswith("extract_nyc_")}
    assert set(nyc) == {d for d in parsed["dags"] if d.startswith("extract_nyc_")}
    for dag in nyc.values():
        assert "broken" in dag["tags"]
        assert f"{NYC_CITY}:" in dag["doc"] and "did you mean 'America/New_York'?" in dag["doc"]


def test_the_task_of_a_broken_manifest_fails_with_its_problems():
    from airflow.sdk.exceptions import AirflowFailException

    import dags.extract as folder
    from catalog.cities import BrokenManifest
    from catalog.problems import Problem

    problem = Problem(Path("pools.yml"), "cadence", "'x' is not a cron expression; write one", 7)
    manifest = BrokenManifest("demo", "parks", "pools", Path("pools.yml"), (problem,))
    dag = folder.broken_dag("extract_demo_pools", manifest)
    (task,) = dag.tasks
    with pytest.raises(AirflowFailException, match=r"pools\.yml:7: cadence: 'x' is not a cron"):
        task.python_callable()


def test_cadences_that_are_let_through_are_those_that_airflow_can_schedule():
    import pendulum
    from airflow.timetables.base import TimeRestriction
    from airflow.timetables.trigger import CronTriggerTimetable
    from pydantic import TypeAdapter, ValidationError

    from catalog.fields import CRON_PRESETS, Cadence

    good = ("30 6 * * *", "0 5 * * mon", "*/15 8-17 * * 1-5", "0 0 L * *", *CRON_PRESETS)
    wrong = ("61 25 * * *", "every tuesday", "@reboot", "@Dayly", "0 0 30 2 *", "H H * * *", "")
    any_time = TimeRestriction(pendulum.datetime(2024, 1, 1), None, False)
    for cadence in (*good, *wrong):
        try:
            timetable = CronTriggerTimetable(cadence, timezone="America/Chicago")
            timetable.validate()
            scheduled = timetable.next_dagrun_info(
                last_automated_data_interval=None, restriction=any_time
            )
        except Exception:
            scheduled = None
        try:
            accepted = TypeAdapter(Cadence).validate_python(cadence)
        except ValidationError:
            accepted = None
        assert (scheduled is not None) == (accepted is not None) == (cadence in good), cadence
