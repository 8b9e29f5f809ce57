"""What every DAG must be, checked on the folder as Airflow parses it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from extract.manifests import load_cities

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "dags"
SOURCES = {
    source.dag_id: (city, source) for city in load_cities().cities for source in city.sources
}
OPERATORS = {"@task", "@task.short_circuit"}
#: Imports that each parse of the folder, and each task, would pay for.
HEAVY = {
    *("adbc_driver_postgresql", "dbt", "dlt", "great_expectations", "lightning", "matplotlib"),
    *("mlflow", "numpy", "pandas", "polars", "psycopg", "pyarrow", "pytorch_lightning"),
    *("sklearn", "sqlalchemy", "torch"),
}
ROOMS = {"dashboards", "expectations", "extract", "infra", "ml", "simulator", "warehouse"}


def test_no_import_error_and_no_warning(parsed):
    assert parsed["errors"] == {}
    assert parsed["warnings"] == {}


def test_a_dag_for_each_manifest_and_none_besides(parsed):
    made = {dag_id for dag_id, dag in parsed["dags"].items() if dag["file"] == "extract.py"}
    assert made == set(SOURCES)


def test_the_rest_of_the_path_is_there(parsed):
    rest = set(parsed["dags"]) - set(SOURCES)
    assert rest == {"build_warehouse", "score_feedback", "train_sentiment", "publish"}


@pytest.mark.parametrize("dag_id", sorted(SOURCES))
def test_extract_dag_is_as_its_manifest_says(parsed, dag_id):
    city, source = SOURCES[dag_id]
    dag = parsed["dags"][dag_id]
    assert dag["cron"] == source.cadence
    assert dag["time_zone"] == city.time_zone
    assert {f"tier:{source.tier}", f"city:{city.city_id}", "family:extract"} == set(dag["tags"])
    for fact in (source.title, source.grain, source.owner, source.licence):
        assert fact in dag["doc"]
    assert {task["owner"] for task in dag["tasks"].values()} == {source.owner}
    assert dag["tasks"]["gate"]["outlets"] == [f"cityloom://raw/{city.city_id}/{source.source}"]
    assert dag["tasks"]["gate"]["after"] == ["stage"]
    assert dag["params"] == ["snapshot"]
    # No portal is called before the city's first run.
    assert dag["paused_at_first"] is True


def test_every_dag_says_what_it_is_for_and_whose_it_is(parsed):
    for dag_id, dag in parsed["dags"].items():
        assert len(dag["doc"]) > 100, dag_id
        assert dag["description"], dag_id
        assert not re.search(r"^ {4}", dag["doc"], re.M), f"{dag_id}: Markdown shows it as code"
        assert [tag for tag in dag["tags"] if tag.startswith("tier:")], dag_id
        assert [tag for tag in dag["tags"] if tag.startswith("family:")], dag_id
        assert dag["catchup"] is False, dag_id
        assert dag["max_active_runs"] == 1, f"{dag_id}: two runs at once would meet in the tables"


def test_every_task_has_owner_retries_doc_and_an_allowed_operator(parsed):
    for dag_id, dag in parsed["dags"].items():
        assert dag["tasks"], dag_id
        for task_id, task in dag["tasks"].items():
            name = f"{dag_id}.{task_id}"
            assert task["owner"] not in ("", "airflow"), name
            assert task["retries"] >= 1, name
            assert 0 < task["delay"] <= 60, name
            assert task["operator"] in OPERATORS, f"{name}: {task['operator']}"
            assert task["doc"], name
            assert task["queue"] == "default", name


def test_assets_lead_from_load_to_dashboard(parsed):
    dags = parsed["dags"]
    made = {
        uri: dag_id
        for dag_id, dag in dags.items()
        for task in dag["tasks"].values()
        for uri in task["outlets"]
    }
    follows = {dag_id: {made[uri] for uri in dag["waits_for"]} for dag_id, dag in dags.items()}
    assert follows["build_warehouse"] == set(SOURCES)
    assert follows["score_feedback"] == {"build_warehouse", "train_sentiment"}
    assert follows["publish"] == {"score_feedback"}


@pytest.mark.parametrize(
    ("now", "starts"),
    [
        ("2026-11-26T04:30:30", "2026-11-26T04:30"),  # the scheduler was busy
        ("2026-11-26T04:32", "2026-11-27T04:30"),
        ("2026-11-26T06:50", "2026-11-27T04:30"),
    ],
)
def test_a_first_unpausing_makes_up_for_no_past_time(now, starts, monkeypatch):
    import pendulum
    from airflow.serialization.decoders import decode_timetable
    from airflow.serialization.encoders import encode_timetable
    from airflow.timetables.base import TimeRestriction

    from dags.wiring import schedule

    timetable = decode_timetable(encode_timetable(schedule("30 4 * * *", "UTC")))
    monkeypatch.setattr("airflow.timetables.trigger.utcnow", lambda: pendulum.parse(now))
    first = timetable.next_dagrun_info(
        last_automated_data_interval=None, restriction=TimeRestriction(None, None, False)
    )
    assert first.run_after == pendulum.parse(starts)


def test_few_tasks(parsed):
    """A task is a process of seconds; dbt's models are no tasks."""
    assert max(len(dag["tasks"]) for dag in parsed["dags"].values()) <= 3


def test_parse_is_light(parsed):
    imported = set(parsed["imported"])
    assert not imported & HEAVY
    # extract/errors.py, infra/contract.py (the queues), warehouse/reasons.py
    light = {"extract", "infra", "warehouse"}
    assert imported & ROOMS <= light, "rooms are imported inside tasks"
    assert parsed["seconds"] < 3


def test_no_sql_in_the_folder():
    sql = re.compile(
        r"\b(select\b.+\bfrom|insert\s+into|update\b.+\bset|delete\s+from)\b", re.I | re.S
    )
    for path in FOLDER.glob("*.py"):
        tree = ast.parse(path.read_text())
        prose = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.FunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert id(node) in prose or not sql.search(node.value), f"{path}:{node.lineno}"


def test_no_names_of_older_airflow():
    answer = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--select", "AIR", "--quiet", str(FOLDER)],
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_tasks_write_their_log_by_one_way(path):
    """What is printed reaches the log beside the logger's lines, and late: results are last."""
    names = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)]
    assert not [node.lineno for node in names if node.id == "print"], "use dags.wiring.log"
    # dbt's lines are printed unless something else takes them.
    assert path.read_text().count("dbt.build(") == path.read_text().count("echo=log")
