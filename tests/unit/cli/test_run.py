"""`cityloom run` of sources that reach no mart; the servers' answers are recorded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from catalog import facts
from catalog.facts import staging_path
from cli.main import build
from cli.pipeline import Outcome
from extract.manifests import load_city
from infra.contract import Deployment

SOURCES = {source.source: source for source in load_city("demo").sources}
LOAD = {
    "state": "accepted",
    "own": True,
    "quarantine_reasons": [],
    **dict.fromkeys(("rows_read", "rows_accepted", "rows_unchanged", "rows_quarantined"), 7),
}


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """The dbt project's models and indicators in a copy that may be changed."""
    copy = tmp_path / "dbt_project"
    for part in ("models", "indicators"):
        shutil.copytree(facts.DBT_PROJECT / part, copy / part)
    monkeypatch.setattr(facts, "DBT_PROJECT", copy)
    return copy


@pytest.fixture
def ran(project, tmp_path, monkeypatch):
    """Run a source of the demo city, whose load was accepted."""
    web = {"url": "http://none.example", "user": "admin", "password": "env:SECRET"}
    login = {"url": "postgresql://none.example/warehouse", "password": "env:SECRET"}
    monkeypatch.setenv("SECRET", "secret")
    deployment = Deployment(
        kind="elsewhere", databases={"warehouse": login}, airflow=web, mlflow=web, superset=web,
        salt="env:SECRET", drops="drops", reports="data docs", artifacts="", scratch="", logs="",
        folder=tmp_path,
    )  # fmt: skip
    state = SimpleNamespace(load="accepted", tests=[])

    def run(_, city, *__):
        loads = [{**LOAD, "source_id": one.source, "state": state.load} for one in city.sources]
        return Outcome(city_id=city.city_id, loads=loads, test_warnings=state.tests)

    monkeypatch.setattr("cli.commands.run.started", lambda report: deployment)
    monkeypatch.setattr("extract.load.ensure_raw_tables", lambda *_: None)
    monkeypatch.setattr("simulator.ensure", lambda *_: None)
    monkeypatch.setattr("cli.pipeline.run", run)

    def type_it(source, *options, load="accepted", tests=()):
        state.load, state.tests = load, list(tests)
        words = ["run", "demo", "--source", source, *options]
        return CliRunner().invoke(build(), words, catch_exceptions=False)

    return type_it


def test_a_source_in_its_fact_is_a_success_without_a_warning(ran):
    done = ran("permits", "--json")
    answer = json.loads(done.stdout)
    assert (done.exit_code, answer["succeeded"], answer["warnings"]) == (0, True, {})
    assert answer["urls"]["Data docs"].endswith("/data%20docs/index.html")


def test_a_test_of_dbts_that_warns_is_told_and_no_failure(ran):
    warns = {"name": "int_permit_type_is_known", "failures": 1200}
    done = ran("permits", tests=[warns])
    assert done.exit_code == 0 and "dbt's test int_permit_type_is_known found 1,200" in done.stdout
    assert json.loads(ran("permits", "--json", tests=[warns]).stdout)["test_warnings"] == [warns]


def test_a_source_without_its_staging_model_is_no_success(ran, project):
    (project / staging_path(SOURCES["permits"])).unlink()
    done = ran("permits", "--json")
    answer = json.loads(done.stdout)
    assert done.exit_code == 1 and not answer["succeeded"] and not answer["failures"]
    assert "in raw, but in no mart" in answer["warnings"]["permits"]
    assert (
        "write dbt_project/models/staging/demo/stg_demo__permits.sql"
        in (answer["warnings"]["permits"])
    )
    shown = ran("permits").stdout
    assert "accepted, in no mart" in shown and "warning: permits is in raw, but in no mart" in shown


def test_a_source_whose_staging_model_lacks_a_column_is_no_success(ran, project):
    model = project / staging_path(SOURCES["permits"])
    model.write_text(model.read_text().replace("permit_type", "permit_typ"))
    done = ran("permits")
    assert done.exit_code == 1
    assert "warning: permits is in raw, but in no mart" in done.stdout
    assert "has no column permit_type, which fact 'permit' needs; add it" in done.stdout


def test_a_source_that_feeds_no_fact_and_has_no_model_is_a_warning(ran, project, monkeypatch):
    (project / staging_path(SOURCES["permits"])).unlink()
    city = load_city("demo")
    source = SOURCES["permits"].model_copy(update={"feeds": None})
    found = SimpleNamespace(
        cities=[city.model_copy(update={"sources": (source,)})],
        sources=[source], broken=[], problems=[],
    )  # fmt: skip
    monkeypatch.setattr("extract.manifests.load_cities", lambda only=None: found)
    done = ran("permits", "--json")
    answer = json.loads(done.stdout)
    assert (done.exit_code, answer["succeeded"]) == (0, True)
    assert "no model reads it; write dbt_project/" in answer["warnings"]["permits"]


def test_what_is_not_in_raw_is_not_said_to_be(ran, project):
    (project / staging_path(SOURCES["permits"])).unlink()
    assert json.loads(ran("permits", "--json", load="blocked").stdout)["warnings"] == {}
