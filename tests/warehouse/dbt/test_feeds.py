"""Facts, the sources that feed them, services' ids and the sources' freshness, on PostgreSQL."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import psycopg
import pytest

from extract.manifests import load_cities
from warehouse import dbt

SERVICES = {
    "1": "Noise - Residential",
    "2": "Bäder & Freibäder",
    "3": "BA\u0308DER & FREIBA\u0308DER",  # the same, in capitals and with combining marks
    "4": "Bader",
    "5": "Οδικός φωτισμός",
    "6": "Вывоз мусора (крупный)",
    "7": "جمع القمامة، ليلاً",
    "8": "सड़क मरम्मत",
    "9": "!?",
    "10": "Noise: Residential",
}


@pytest.fixture(scope="module")
def project(built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the dbt project, and every model built from services in many scripts."""
    for number, name in SERVICES.items():
        row = {
            "request_id": number,
            "service_name": name,
            "department": "sanitation",
            "channel": "phone",
            "status": "open",
            "opened_at": datetime(2024, 1, 2, 9),
            "updated_at": datetime(2024, 1, 2, 9),
        }
        built.add("demo__service_requests", int(number), row)
    built.build()
    project = tmp_path_factory.mktemp("project") / "dbt_project"
    shutil.copytree(dbt.PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    return project


def test_service_ids_keep_the_letters_of_every_script(built, project):
    ids = dict(built.rows("select service_request_id, service_id from marts.fct_service_request"))
    assert ids == {
        "1": "noise_residential",
        "2": "bäder_freibäder",
        "3": "bäder_freibäder",
        "4": "bader",
        "5": "οδικός_φωτισμός",
        "6": "вывоз_мусора_крупный",
        "7": "جمع_القمامة_ليلاً",
        "8": "सड़क_मरम्मत",
        "9": "service_af31f623",
        "10": "noise_residential",
    }


def test_two_services_with_one_id_are_reported_by_name(built, project):
    warnings = [line for line in built.log if "service_ids_are_distinct" in line]
    assert any("WARN 1" in line for line in warnings)
    assert any(
        "service_id=noise_residential, service_names=Noise - Residential | Noise: Residential"
        in line
        for line in built.log
    )
    # Capitals and combining marks are no other service.
    assert not any("service_id=bäder" in line for line in built.log)


def test_a_fact_that_no_source_feeds_is_empty_and_typed(built, project: Path, tmp_path: Path):
    cities = [
        city.model_copy(
            update={
                "sources": tuple(
                    source.model_copy(update={"feeds": None}) if source.feeds == "call" else source
                    for source in city.sources
                )
            }
        )
        for city in load_cities().cities
    ]
    summary = dbt.build(
        built.url,
        select=["int_call", "fct_call"],
        target_dir=tmp_path,
        echo=built.log.append,
        project=project,
        cities=cities,
    )
    assert not summary.failures
    assert built.rows("select count(*) from marts.fct_call") == [(0,)]
    assert built.rows(
        "select data_type from information_schema.columns "
        "where table_schema = 'intermediate' and table_name = 'int_call' "
        "and column_name in ('answered', 'offered_at', 'wait_seconds') order by column_name"
    ) == [("boolean",), ("timestamp without time zone",), ("bigint",)]


def test_a_source_that_was_never_loaded_has_no_rows_and_stops_no_build(
    built, project: Path, tmp_path: Path
):
    """As after a manifest is pulled: the next build comes before the source's first load."""
    demo = next(city for city in load_cities().cities if city.city_id == "demo")
    hotline = demo.source("call_log").model_copy(update={"source": "hotline"})
    staging = project / "models/staging/demo/stg_demo__call_log.sql"
    added = staging.with_name("stg_demo__hotline.sql")
    added.write_text(staging.read_text().replace("demo__call_log", "demo__hotline"))
    try:
        summary = dbt.build(
            built.url,
            select=["stg_demo__hotline", "stg_demo__call_log", "int_call"],
            target_dir=tmp_path,
            echo=built.log.append,
            project=project,
            cities=[demo.model_copy(update={"sources": (*demo.sources, hotline)})],
        )
    finally:
        added.unlink()
    assert not summary.failures
    assert built.rows("select to_regclass('raw.demo__hotline')") == [(None,)]
    assert built.rows("select count(*) from staging.stg_demo__hotline") == [(0,)]


def test_a_column_that_a_staging_model_lacks_is_named_with_its_file(
    built, project: Path, tmp_path: Path
):
    """One that the model's text names, so that `catalog.generate` cannot know."""
    staging = project / "models/staging/demo/stg_demo__call_log.sql"
    text = staging.read_text()
    assert "queue as topic," in text
    staging.write_text(text.replace("queue as topic,", "queue as topics,") + "where 'topic' <> ''")
    with pytest.raises(dbt.DbtFailed) as failed:
        dbt.build(
            built.url,
            select=["stg_demo__call_log", "int_call"],
            target_dir=tmp_path,
            echo=built.log.append,
            project=project,
        )
    staging.write_text(text)
    assert (
        "models/staging/demo/stg_demo__call_log.sql has no column topic, which fact call needs; "
        "add it" in " ".join(str(failed.value).split())
    )


def test_a_staging_model_without_a_good_manifest_costs_itself_only(built, project, tmp_path: Path):
    folder = project / "models/staging/elsewhere"
    folder.mkdir()
    sql = "with newest as (\n    {{ newest_version('elsewhere__trees') }}\n)\nselect * from newest"
    (folder / "stg_elsewhere__trees.sql").write_text(sql)
    (folder / "stg_elsewhere__trees.yml").write_text(
        "models: [{name: stg_elsewhere__trees, columns: [{name: id, data_tests: [unique]}]}]"
    )
    built.log.clear()
    summary = dbt.build(
        built.url, select=["city"], target_dir=tmp_path, echo=built.log.append, project=project
    )
    shutil.rmtree(folder)
    assert (summary.models, summary.failures) == (1, ())
    assert "stg_elsewhere__trees.sql is left out: cities/ declares no source elsewhere__trees" in (
        " ".join(built.log)
    )


def test_a_source_that_is_declared_again_is_built_again(built, project, tmp_path: Path):
    """dbt keeps what it parsed, in which the staging model is left out."""
    cities = load_cities().cities
    without = [
        city.model_copy(
            update={"sources": tuple(s for s in city.sources if s.raw_table != "demo__call_log")}
        )
        for city in cities
    ]
    for declared, is_built in ((cities, True), (without, False), (cities, True)):
        summary = dbt.build(
            built.url,
            select=["+int_call"],
            target_dir=tmp_path,
            echo=built.log.append,
            project=project,
            cities=declared,
        )
        assert ("stg_demo__call_log" in {node.name for node in summary.nodes}) == is_built


def test_dbt_source_freshness_passes_and_warns_of_what_is_overdue(built, project, tmp_path: Path):
    with psycopg.connect(built.url) as connection:
        for source, age in (("permits", "1 day"), ("call_log", "3 days")):
            connection.execute(
                "insert into quality.loads (city_id, source_id, mode, state, finished_at) "
                "values ('demo', %s, 'read', 'unchanged', now() - %s::interval)",
                [source, age],
            )
    done = subprocess.run(
        [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "source", "freshness"],
        cwd=dbt.PROJECT,
        env={
            **os.environ,
            **dbt.environment(built.url),
            "DBT_TARGET_PATH": str(tmp_path),
            "DBT_LOG_PATH": str(tmp_path),
            "DBT_PROFILES_DIR": str(dbt.PROJECT),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    results = json.loads((tmp_path / "sources.json").read_text())["results"]
    status = {result["unique_id"].split(".")[-1]: result["status"] for result in results}
    assert set(status) == {s.raw_table for c in load_cities().cities for s in c.sources}
    assert status["demo__permits"] == "pass"
    assert status["demo__call_log"] == "warn"
    assert status["nyc__taxi_trips"] == "warn"  # never loaded
