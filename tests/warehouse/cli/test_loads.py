"""`cityloom loads` and `cityloom sources` as they are typed."""

from __future__ import annotations

import json
from types import SimpleNamespace

import psycopg
import pytest
from typer.testing import CliRunner

from catalog.models import Column, Reader, Source
from cli import main as cli
from extract import load as loader
from extract.manifests import load_city
from infra import contract


@pytest.fixture
def typed(warehouse, monkeypatch):
    """Run a command against the test's warehouse, read-only as it is for people."""
    here = SimpleNamespace(database_url=warehouse.role_url)
    monkeypatch.setattr(contract, "load_deployment", lambda: here)

    def run(*words: str):
        return CliRunner().invoke(cli.build(), words, catch_exceptions=False)

    return run


def test_loads_show_the_outcome_of_each_row(typed, warehouse, tmp_path):
    warehouse.reset()
    assert "no loads yet" in typed("loads").output
    source = Source(
        source="trees", department="parks", title="t", grain="g", owner="o", licence="l",
        tier="open", cadence="@daily", city_id="testville", primary_key=("a",),
        read=Reader(connector="csv", files=("f.csv",)),
        columns={"a": Column(type="integer"), "b": Column()},
    )  # fmt: skip
    (tmp_path / "f.csv").write_text("a,b\n1,x\n2,y\nz,z\n")
    first = loader.stage(source, warehouse.url, tmp_path, run_id="cli")
    loader.commit(first.load_id, warehouse.url, source)
    (tmp_path / "f.csv").write_text("a,b\n1,x\n2,Y\nz,z\n")
    second = loader.stage(source, warehouse.url, tmp_path)
    loader.block(second.load_id, warehouse.url, "too odd; look at it")
    with psycopg.connect(warehouse.url) as connection:
        connection.execute(
            """insert into quality.dbt_results (invocation_id, node_id, resource_type, name,
                 status, seconds, message, completed_at)
               values ('i', 'n', 'model', 'stg_trees', 'error', 0.5, 'no such column', now())"""
        )
    shown = typed("loads").output
    assert "testville/trees" in shown and "load 2 blocked: too odd; look at it" in shown
    assert "accepted" not in shown.split("\n", 1)[1] and "dbt: 1 nodes; failing: stg_trees" in shown
    (newest,) = json.loads(typed("loads", "--json").output)
    assert newest["state"] == "blocked" and newest["rows_blocked"] == 1
    every = json.loads(typed("loads", "testville", "trees", "--all", "--json").output)
    assert [load["state"] for load in every] == ["blocked", "accepted"]
    for load in every:
        assert load["rows_read"] == 3 == (
            load["rows_accepted"] + load["rows_unchanged"] + load["rows_quarantined"]
        )  # fmt: skip
    assert json.loads(typed("loads", "elsewhere", "--json").output) == []
    (model,) = json.loads(typed("loads", "--models", "--json").output)
    assert (model["name"], model["status"]) == ("stg_trees", "error")
    assert "stg_trees error: no such column" in typed("loads", "--models").output
    assert typed("loads", "nyc", "trees").output.startswith("no loads of nyc/trees yet")


def test_a_model_that_left_the_project_is_no_longer_listed(typed, warehouse):
    warehouse.reset()
    built = [
        ("first", "run 1", "kept", "success", "2026-01-01"),
        ("first", "run 1", "gone", "error", "2026-01-01"),
        ("scores", "run 2", "other", "success", "2026-01-02"),
        ("second", "run 3", "kept", "success", "2026-01-03"),
        ("second", "run 3", "retried", "error", "2026-01-03"),
        ("retry", "run 3", "retried", "success", "2026-01-04"),
    ]

    def listed() -> dict[str, str]:
        models = json.loads(typed("loads", "--models", "--json").output)
        return {model["name"]: model["status"] for model in models}

    def build(rows) -> None:
        with psycopg.connect(warehouse.url) as connection:
            connection.cursor().executemany(
                """insert into quality.dbt_results (invocation_id, run_id, name, status,
                     completed_at, node_id, resource_type, seconds)
                   values (%s, %s, %s, %s, %s, 'model.' || %s, 'model', 0.5)""",
                [(*row, row[2]) for row in rows],
            )

    build(built[:3])
    assert listed() == {"kept": "success", "gone": "error", "other": "success"}
    build(built[3:])
    assert listed() == {"kept": "success", "retried": "success", "other": "success"}


def test_names_and_messages_cannot_command_the_terminal(typed, warehouse, tmp_path):
    warehouse.reset()
    with psycopg.connect(warehouse.url) as connection:
        connection.execute(
            """insert into quality.loads (city_id, source_id, mode, state, message)
               values ('testville', 'trees', 'read', 'failed', %s)""",
            ["\x1b]0;pwned\x07\x1b[2Jtrees\u202e.csv: is empty"],
        )
    for words in (("loads",), ("loads", "--json")):
        shown = typed(*words).output
        assert "pwned" in shown and not set(shown) & set("\x1b\x07\u202e")
    (tmp_path / "finance").mkdir()
    header = "metric_id,target,direction,from_date,ex\x1b[2Jtra\n"
    (tmp_path / "finance/targets.csv").write_text(header + "m,a\x1b[31mbc,lower,2024-01-01,\n")
    shown = typed("sources", "check", "demo", "targets", "--data", str(tmp_path)).output
    assert r"a\x1b[31mbc" in shown and "does not declare: ex" in shown and "\x1b" not in shown


def test_sources_are_listed_and_checked(typed, tmp_path):
    listed = json.loads(typed("sources", "list", "--json").output)
    assert {"demo", "nyc"} <= {row["city"] for row in listed}
    assert "service_requests" in typed("sources", "list", "nyc").output
    done = typed("sources", "check", "demo")
    manifests = len(load_city("demo").sources)
    assert done.exit_code == 0 and f"demo: {manifests} manifests are good" in done.output
    done = typed("sources", "check", "demo", "targets", "--data", str(tmp_path))
    assert done.exit_code == 1 and "no such file" in done.output
    (tmp_path / "finance").mkdir()
    header = "metric_id,target,direction,from_date,extra\n"
    (tmp_path / "finance/targets.csv").write_text(header + "m,abc,lower,2024-01-01,\n")
    shown = typed("sources", "check", "demo", "targets", "--data", str(tmp_path)).output
    assert "1 rows, 1 to be quarantined" in shown and "cannot read 'abc' as double" in shown
    assert "first in finance/targets.csv, row 1" in shown
    assert "does not declare: extra" in shown
    (tmp_path / "finance/targets.csv").write_text(header.replace("from_date", "since"))
    shown = typed("sources", "check", "demo", "targets", "--data", str(tmp_path)).output
    assert "the column 'from_date' is missing" in shown
    (tmp_path / "finance/targets.csv").write_text(header.replace(",", ";") + "m;1;lower;2024-01;")
    shown = typed("sources", "check", "demo", "targets", "--data", str(tmp_path)).output
    assert "is one field, where 'metric_id' and 3 more are expected" in shown
    assert "read.options.delimiter" in shown
