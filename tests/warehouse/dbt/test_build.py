"""dbt on a real PostgreSQL: from nothing, from rows, from corrections, and from bad rows."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from datetime import date, datetime
from pathlib import Path

import psycopg
import pytest

from catalog.facts import load_facts
from extract.manifests import load_cities
from warehouse import dbt, progress
from warehouse.reasons import Reason

SQUARE = '{"type": "Polygon", "coordinates": [[[0, 0], [0, 10], [10, 10], [10, 0], [0, 0]]]}'
REQUEST = {
    "request_id": "20240102-0001",
    "service_name": "Missed collection",
    "department": "sanitation",
    "channel": "phone",
    "status": "open",
    "opened_at": datetime(2024, 1, 2, 9),
    "due_at": datetime(2024, 1, 4, 9),
    "latitude": 5.0,
    "longitude": 5.0,
    "updated_at": datetime(2024, 1, 2, 9),
}
CHANGED = ["stg_demo__districts+", "stg_demo__service_requests+", "stg_demo__survey_comments+"]
COMMENT = {
    "response_id": "S20240103-01",
    "submitted_at": datetime(2024, 1, 3, 9),
    "district": "D01",
    "topic": "sanitation",
    "language": "en",
    "comment": "The truck passed us by.",
}


def _manifest(built) -> dict:
    newest = max(built.target_dir.glob("*/manifest.json"), key=lambda path: path.stat().st_mtime)
    return json.loads(newest.read_text())


def test_empty_raw_tables_build_to_empty_marts_and_the_kpi_rules_hold(built):
    summary = built.build(unit_tests=True)
    assert not summary.failures and not summary.skipped
    unit_tests = [n for n in summary.nodes if n.resource_type == "unit_test"]
    assert len(unit_tests) >= 10
    facts = built.rows("select tablename from pg_tables where schemaname = 'marts'")
    assert {("fct_service_request",), ("fct_kpi",), ("dim_district",)} <= set(facts)
    for (table,) in facts:
        if table.startswith("fct_"):
            assert built.rows(f"select count(*) from marts.{table}") == [(0,)], table


def test_schemas_are_called_as_they_are(built):
    dbts = built.rows(
        "select distinct schemaname from pg_tables union select distinct schemaname from pg_views"
    )
    known = {"staging", "intermediate", "marts", "reporting"}
    others = {
        "access",
        "raw",
        "quality",
        "ml",
        "stage",
        "pg_catalog",
        "information_schema",
        "public",
    }
    assert known <= {name for (name,) in dbts} <= known | others


def test_every_node_s_outcome_is_kept(built):
    kept = built.rows(
        "select status, count(*) from quality.dbt_results where resource_type = 'model' group by 1"
    )
    models = [n for n in _manifest(built)["nodes"].values() if n["resource_type"] == "model"]
    assert kept == [("success", len(models))]


def test_every_model_says_its_grain_every_column_what_it_is_and_marts_have_contracts(built):
    """A staging model's columns are those of the fact that it feeds, and described there."""
    manifest = _manifest(built)
    facts = load_facts(dbt.PROJECT)
    fed = {s.staging_model: facts[s.feeds] for c in load_cities().cities for s in c.sources}
    for node in manifest["nodes"].values():
        if node["resource_type"] not in ("model", "seed"):
            continue
        assert "Grain: one row a" in node["description"], node["name"]
        present = {
            name
            for (name,) in built.rows(
                "select attname from pg_attribute where attnum > 0 and not attisdropped and "
                f"attrelid = '{node['schema']}.{node['name']}'::regclass"
            )
        }
        described = {name for name, column in node["columns"].items() if column["description"]}
        if node["schema"] == "staging" and node["resource_type"] == "model":
            fact = fed[node["name"]]
            described |= fact.columns.keys() | {"_load_id", "_source_file", "_source_row"}
            described -= fact.optional - present
        assert present == described, node["name"]
        if node["schema"] in ("marts", "reporting"):
            assert node["config"]["contract"]["enforced"], node["name"]


def test_a_test_or_a_primary_key_holds_the_grain_of_every_table_and_seed(built):
    manifest = _manifest(built)
    held = {
        node["attached_node"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
        and node["test_metadata"]["name"] in ("unique", "unique_combination_of_columns")
    }
    for name, node in manifest["nodes"].items():
        if node["resource_type"] not in ("model", "seed") or node["schema"] == "intermediate":
            continue
        keys = [c for c in node.get("constraints", []) if c["type"] == "primary_key"]
        assert keys or name in held, node["name"]


def test_a_sql_client_sees_what_dbt_documents(built):
    """Of every mart, report and column: the descriptions are comments in the database."""
    undescribed = built.rows(
        """
        select c.oid::regclass::text, a.attname
        from pg_class as c
        join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where c.relnamespace::regnamespace::text in ('marts', 'reporting')
            and c.relkind in ('r', 'v')
            and (obj_description(c.oid, 'pg_class') is null
                or col_description(c.oid, a.attnum) is null)
        """
    )
    assert undescribed == []


def test_raw_is_read_by_staging_only_and_loads_by_few(built):
    """Loads say how fresh a source is, how far its records may reach, and if it is a sample."""
    for node in _manifest(built)["nodes"].values():
        if node["resource_type"] != "model":
            continue
        sources = {name.split(".")[2] for name in node["depends_on"]["nodes"] if "source." in name}
        if "raw" in sources:
            assert node["schema"] == "staging", node["name"]
        if "quality" in sources:
            readers = ("rpt_service_status", "int_source_as_of", "int_peer_value")
            assert node["name"] in readers


def test_marts_join_by_hash_what_the_planner_takes_for_one_row(built):
    """A loop over all days for each of a million requests took more than ten minutes."""
    joining = [
        node
        for node in _manifest(built)["nodes"].values()
        if node["resource_type"] == "model"
        and "within_as_of(" in node["raw_code"]
        and ("\nleft join" in node["raw_code"] or "join_district(" in node["raw_code"])
    ]
    assert len(joining) >= 5
    for node in joining:
        hooks = [hook["sql"] for hook in node["config"]["pre-hook"]]
        assert any("enable_nestloop = off" in sql for sql in hooks), node["name"]


def test_the_newest_version_counts_and_load_ids_do_not(built):
    built.add(
        "demo__districts",
        1,
        {"district_id": "D01", "name": "Old Mill", "population": 1000, "geometry": SQUARE},
    )
    built.add("demo__service_requests", 1, REQUEST)
    built.add("demo__survey_comments", 1, COMMENT)
    built.build(select=CHANGED)
    request = (
        "select district_id, district_from, status, days_to_close, is_closed_on_time "
        "from marts.fct_service_request"
    )
    assert built.rows(request) == [("D01", "point", "open", None, None)]

    closed = {**REQUEST, "status": "closed", "closed_at": datetime(2024, 1, 3, 9)}
    built.add("demo__service_requests", 2, closed)
    built.build(select=CHANGED)
    assert built.rows(request) == [("D01", "point", "closed", 1.0, True)]
    assert built.rows("select count(*) from raw.demo__service_requests") == [(2,)]

    before = built.hashes()
    with psycopg.connect(built.url) as connection:
        connection.execute("update raw.demo__service_requests set _load_id = _load_id + 100")
        connection.execute("update raw.demo__survey_comments set _load_id = _load_id + 100")
    built.build()
    assert built.hashes() == before


def test_of_a_key_with_an_empty_part_the_newest_version_counts_too(built):
    """The loader takes such rows for versions of one."""
    review = {"permit_number": "P20240101001", "district": "D01", "received_on": date(2024, 1, 1)}
    empty = review | {"round": None}
    built.add("demo__plan_reviews", 1, empty | {"answer": "denied"}, review | {"round": 1})
    built.add("demo__plan_reviews", 2, empty | {"answer": "approved"})
    built.build(select=["stg_demo__plan_reviews"], exclude=["resource_type:test"])
    read = "select review_round, outcome from staging.stg_demo__plan_reviews order by 1"
    assert built.rows(read) == [(1, None), (None, "approved")]
    with psycopg.connect(built.url) as connection:
        connection.execute("delete from raw.demo__plan_reviews")
    built.build()  # with what reads that table, which was dropped with it


def test_kpis_and_sentiment_follow_the_champion(built):
    with psycopg.connect(built.url) as connection:
        for version, sentiment in ((1, "negative"), (2, "positive")):
            connection.execute(
                "insert into ml.feedback_score values "
                "('demo', %s, 'sentiment', %s, 'h', %s, 0.9, 0.05, 0.05, 0.9)",
                [COMMENT["response_id"], version, sentiment],
            )
        connection.execute("insert into ml.champion values ('sentiment', 1)")
    built.build(select=[dbt.NEEDS_SCORES])
    read = "select sentiment, model_version from marts.fct_feedback_sentiment"
    assert built.rows(read) == [("negative", 1)]
    with psycopg.connect(built.url) as connection:
        connection.execute("update ml.champion set model_version = 2")
    built.build(select=[dbt.NEEDS_SCORES])
    assert built.rows(read) == [("positive", 2)]
    # one comment is below the minimum: n is there, the value and its parts are null
    assert built.rows(
        "select n, numerator, value from marts.fct_kpi "
        "where metric_id = 'net_sentiment' and district_id = '*'"
    ) == [(1, None, None)]
    assert built.rows(
        "select n, value, null_reason, target, score from marts.fct_kpi "
        "where metric_id = 'median_days_to_close' and district_id = 'D01'"
    ) == [(1, None, "too_few", 4.0, None)]


def test_status_shows_a_blocked_load_and_its_reason_without_a_build(built):
    with psycopg.connect(built.url) as connection:
        for state, reason_code in (("accepted", None), ("blocked", Reason.SCHEMA_CHANGED)):
            connection.execute(
                "insert into quality.loads "
                "(city_id, source_id, mode, state, message, reason_code, finished_at) values "
                "('demo', 'service_requests', 'read', %s, 'no column ada@b.org', %s, now())",
                [state, reason_code],
            )
    assert built.rows(
        "select newest_state, is_stale, reason_code, reason, as_of, last_good_load_at is not null "
        "from reporting.rpt_service_status "
        "where city_id = 'demo' and source_id = 'service_requests'"
    ) == [
        (
            "blocked",
            True,
            "schema_changed",
            Reason.SCHEMA_CHANGED.sentence,
            datetime(2024, 1, 3, 9),
            True,
        )
    ]
    # What the loader says in detail may quote the source: pages do not show it.
    assert built.rows("select 1 from reporting.rpt_service_status as s where s::text ~ 'ada'") == []
    never_loaded = "select count(*) from reporting.rpt_service_status where newest_state is null"
    assert built.rows(never_loaded)[0][0] > 0


def _load(built, source: str, state: str, *, age: str = "0", mode: str = "read") -> int:
    city_id, source_id = source.split(".")
    query = (
        "insert into quality.loads (city_id, source_id, mode, state, finished_at) "
        "values (%s, %s, %s, %s, case when %s not in ('staging', 'staged') "
        "then now() - %s::interval end) returning load_id"
    )
    with psycopg.connect(built.url) as connection:
        row = connection.execute(query, [city_id, source_id, mode, state, state, age]).fetchone()
    return row[0]


def _status(built, source: str) -> tuple[str, bool]:
    query = (
        "select status, is_stale from reporting.rpt_service_status "
        f"where city_id || '.' || source_id = '{source}'"
    )
    return built.rows(query)[0]


def test_a_source_stays_stale_until_a_good_load_is_in_the_figures(built):
    source = "demo.permits"
    assert _status(built, source) == ("Never loaded", False)
    first = _load(built, source, "accepted")
    progress.advance_watermark(built.url, "publish", {source: first})
    assert _status(built, source) == ("Last load good", False)
    _load(built, source, "blocked")
    assert _status(built, source) == ("Blocked, last good data shown", True)
    _load(built, source, "staging")
    assert _status(built, source) == ("Loading now", True)
    # accepted, but the build that was to show it failed, or is to come
    newest = _load(built, source, "accepted")
    assert _status(built, source) == ("Loaded, not in the figures yet", True)
    progress.advance_watermark(built.url, "publish", {source: newest})
    assert _status(built, source) == ("Last load good", False)


@pytest.mark.parametrize(
    ("source", "age", "mode", "overdue"),
    [
        ("demo.call_log", "1 day", "read", False),  # read every day
        ("demo.call_log", "3 days", "read", True),
        ("nyc.capital_projects", "7 days", "read", False),  # every Monday
        ("nyc.capital_projects", "9 days", "read", True),
        ("nyc.community_districts", "31 days", "read", False),  # on the first of a month
        ("nyc.community_districts", "34 days", "read", True),
        ("nyc.collisions", "900 days", "snapshot", False),  # no other file is due
    ],
)
def test_a_source_without_a_load_for_longer_than_its_cadence_allows_is_overdue(
    built, source, age, mode, overdue
):
    with psycopg.connect(built.url) as connection:
        connection.execute(
            "delete from quality.loads where city_id || '.' || source_id = %s", [source]
        )
    _load(built, source, "unchanged", age=age, mode=mode)
    expected = "Overdue, last good data shown" if overdue else "Last load good"
    assert _status(built, source) == (expected, overdue)


def test_each_channel_of_comments_has_its_own_newest_event(built):
    newest = dict(
        built.rows(
            "select source_id, as_of from reporting.rpt_service_status "
            "where source_id in ('survey_comments', 'email_comments')"
        )
    )
    assert newest == {"survey_comments": COMMENT["submitted_at"], "email_comments": None}


@pytest.mark.parametrize(
    ("view", "below"),
    [
        ("rpt_service_status", ["int_source_as_of", "city", "source_catalog"]),
        ("rpt_voice_relation", ["dim_city", "city", "kpi_definition", "int_kpi_value"]),
    ],
)
def test_a_view_of_a_page_is_there_all_through_a_build(built, view, below):
    """A table below it that were made anew would take it along."""
    built.build(select=below)
    assert built.rows(f"select to_regclass('reporting.{view}') is not null") == [(True,)]


def test_a_failing_test_says_which_rows_and_a_retry_goes_on_from_there(built):
    bad = {
        "round_id": "20240103-D01",
        "round_date": date(2024, 1, 3),
        "district": "D01",
        "scheduled_stops": 100,
        "missed_stops": 101,
    }
    built.add("demo__collection_rounds", 1, bad)
    selection = {"select": ["stg_demo__collection_rounds+"]}
    with pytest.raises(dbt.DbtFailed) as failed:
        built.build(
            **selection,
            run_id="a-run",
            redact=lambda text: text.replace(bad["round_id"], "[masked]"),
        )
    reason = str(failed.value)
    assert "[masked]" in reason and bad["round_id"] not in "\n".join([reason, *built.log])
    assert "test fct_collection_round_misses_what_was_due: Got 1 result" in reason
    assert "scheduled_stops=100, missed_stops=101" in reason
    assert built.rows(
        "select name, failures from quality.dbt_results where status = 'fail' and run_id = 'a-run'"
    ) == [("fct_collection_round_misses_what_was_due", 1)]

    with psycopg.connect(built.url) as connection:
        connection.execute("update marts.fct_collection_round set missed_stops = 5")
    again = built.build(**selection, run_id="a-run", retry=True)
    names = {node.name for node in again.nodes}
    assert "fct_collection_round_misses_what_was_due" in names
    assert "stg_demo__collection_rounds" not in names

    with psycopg.connect(built.url) as connection:
        connection.execute("delete from raw.demo__collection_rounds")


def test_a_key_twice_fails_the_mart_and_leaves_it_as_it_was(built):
    before = built.hashes()["fct_feedback"]
    # the same key by two channels
    built.add(
        "demo__council_comments",
        1,
        {
            "statement_id": COMMENT["response_id"],
            "meeting_at": datetime(2024, 1, 4, 9),
            "topic": "roads",
            "language": "en",
            "statement": "Again.",
        },
    )
    with pytest.raises(dbt.DbtFailed, match=r"fct_feedback: .*duplicate key"):
        built.build(select=["stg_demo__council_comments+"], exclude=[dbt.NEEDS_SCORES])
    assert built.hashes()["fct_feedback"] == before
    with psycopg.connect(built.url) as connection:
        connection.execute("delete from raw.demo__council_comments")


def test_a_seed_with_a_column_more_is_made_anew_and_else_refilled_in_place(built, tmp_path: Path):
    oid = "select 'staging.kpi_definition'::regclass::oid"
    before = built.rows(oid)
    built.build(select=["kpi_definition"])
    assert built.rows(oid) == before
    project = tmp_path / "dbt_project"
    shutil.copytree(dbt.PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    seed = project / "seeds" / "colour.csv"
    for text in ("colour_id\nred\n", "colour_id,note\nred,x\n"):
        seed.write_text(text)
        dbt.build(
            built.url,
            select=["colour"],
            target_dir=tmp_path / "t",
            echo=built.log.append,
            project=project,
        )
    assert built.rows("select note from staging.colour") == [("x",)]


def test_dbt_that_cannot_begin_says_why(built, tmp_path: Path):
    project = tmp_path / "dbt_project"
    shutil.copytree(dbt.PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    (project / "models" / "marts" / "dim_city.sql").write_text("select * from {{ ref('no') }}")
    with pytest.raises(dbt.DbtFailed, match="depends on a node named 'no'"):
        dbt.build(built.url, target_dir=tmp_path / "t", echo=built.log.append, project=project)


def test_where_dbt_is_imported_already_it_runs_in_a_fork_of_that_process(built, tmp_path: Path):
    script = """
import os, sys
import dbt.cli.main
from pathlib import Path
from warehouse import dbt
url, folder = sys.argv[1:]
folder = Path(folder)
lines = []
built = dbt.build(url, select=["city"], target_dir=folder, echo=lines.append, run_id="r")
assert (built.models, built.failures) == (1, ()), built
assert any("PASS" in line for line in lines), lines
assert "CITYLOOM_DBT_PASSWORD" not in os.environ
again = dbt.build(
    url, select=["city"], target_dir=folder, echo=lines.append, run_id="r", retry=True
)
assert again.nodes == (), again
try:
    dbt.build(
        url, select=["city"], target_dir=folder, echo=lines.append, project=folder, cities=()
    )
except dbt.DbtFailed as error:
    assert "dbt_project.yml" in str(error), error
    print("all is well")
"""
    done = subprocess.run(
        [sys.executable, "-c", script, built.url, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=dbt.PROJECT.parent,
    )
    assert done.stdout == "all is well\n", done.stdout + done.stderr


def test_a_killed_build_holds_its_lock_until_its_dbt_has_ended(built, tmp_path: Path):
    script = """
import sys
from pathlib import Path
from warehouse import dbt
dbt.build(sys.argv[1], select=["city"], target_dir=Path(sys.argv[2]))
"""
    killed = subprocess.Popen(
        [sys.executable, "-c", script, built.url, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=dbt.PROJECT.parent,
    )
    assert "Running with dbt" in killed.stdout.readline()
    (child,) = Path(f"/proc/{killed.pid}/task/{killed.pid}/children").read_text().split()
    killed.kill()
    killed.wait()

    with psycopg.connect(built.url, autocommit=True) as connection:

        def is_free() -> bool:
            try_lock = "select pg_try_advisory_lock(hashtext('cityloom.dbt'))"
            return connection.execute(try_lock).fetchone()[0]

        held, ends = 0, time.monotonic() + 600
        while not (free := is_free()) and time.monotonic() < ends:
            held += _runs(child)
            time.sleep(0.05)
    assert free and held
    while _runs(child):  # its files are closed a moment before it is gone
        assert time.monotonic() < ends
        time.sleep(0.05)
    killed.stdout.close()


def _runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
