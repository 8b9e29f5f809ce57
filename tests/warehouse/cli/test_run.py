"""The summary of `cityloom run`, from the warehouse's control tables."""

from __future__ import annotations

import io
from types import SimpleNamespace

import psycopg
import pytest
from rich.console import Console

from cli.airflow import Task
from cli.commands import run as command
from cli.pipeline import Outcome
from warehouse import progress
from warehouse.outcomes import run_loads

SOURCES = [SimpleNamespace(city_id="testville", source=name) for name in ("trees", "pools")]


@pytest.fixture
def load(warehouse):
    """Record a load and return its id."""
    warehouse.reset()

    def record(source, run_id, state, accepted=0, unchanged=0, reasons=()):
        with psycopg.connect(warehouse.url) as connection:
            (load_id,) = connection.execute(
                """
                insert into quality.loads (city_id, source_id, run_id, mode, state, finished_at,
                  rows_read, rows_accepted, rows_new, rows_unchanged, rows_quarantined)
                values ('testville', %s, %s, 'read', %s, '2026-01-01 07:41', %s, %s, %s, %s, %s)
                returning load_id
                """,
                [source, run_id, state, accepted + unchanged + len(reasons), accepted, accepted,
                 unchanged, len(reasons)],
            ).fetchone()  # fmt: skip
            connection.cursor().executemany(
                """
                insert into quality.quarantine (city_id, source_id, load_id, last_load_id, reasons,
                  row_hash, record) values ('testville', %s, %s, %s, array[%s], %s, '{}')
                """,
                [(source, load_id, load_id, why, f"h{n}") for n, why in enumerate(reasons)],
            )
        return load_id

    return record


def test_what_the_schedule_loaded_seconds_before_is_in_the_summary(load, warehouse):
    reported = load("trees", "scheduled__0", "accepted", 5)
    progress.advance_watermark(warehouse.url, "publish", {"testville.trees": reported})
    load("trees", "scheduled__1", "accepted", 100, reasons=["bad", "worse", "bad"])
    load("trees", "scheduled__2", "failed")
    load("trees", "cityloom__1", "unchanged", unchanged=100)
    load("pools", "cityloom__1", "accepted", 7)
    load("others", "cityloom__1", "accepted", 7)

    loads = run_loads(
        warehouse.url, SOURCES, "cityloom__1", progress.stored_watermark(warehouse.url, "publish")
    )
    assert [(row["run_id"], row["own"], row["rows_accepted"]) for row in loads] == [
        ("scheduled__1", False, 100),
        ("cityloom__1", True, 0),
        ("cityloom__1", True, 7),
    ]
    assert loads[0]["quarantine_reasons"] == [
        {"reason": "bad", "rows": 2},
        {"reason": "worse", "rows": 1},
    ]


def test_before_the_first_reports_every_accepted_load_is_new(load, warehouse):
    load("trees", "cityloom__0", "accepted", 5)
    load("trees", "cityloom__0", "blocked")
    load("trees", "cityloom__1", "unchanged", unchanged=5)
    loads = run_loads(warehouse.url, SOURCES, "cityloom__1", {})
    assert [row["rows_accepted"] for row in loads] == [5, 0]


def shown(monkeypatch, outcome):
    monkeypatch.setattr(command, "addresses", lambda deployment: {"Superset": "http://x"})
    deployment = SimpleNamespace(user_and_place=lambda server: ("admin", "/a/file"))
    console = Console(file=io.StringIO(), width=300)
    command.show(console, SimpleNamespace(name="Testville"), outcome, deployment)
    return console.file.getvalue()


def test_the_summary_ends_with_counts_reasons_and_the_decision(load, warehouse, monkeypatch):
    load("trees", "scheduled__1", "accepted", 1234, reasons=["taken away before planted"] * 2)
    load("trees", "cityloom__1", "unchanged", unchanged=1234)
    champion = {"model": "sentiment", "version": 2, "reason": "version 2 (subword), the first"}
    failure = Task(
        dag_id="extract_testville_pools", run_id="r", task_id="gate", state="failed",
        reason="pools\x1b[2J.csv is empty", log="/a/log",
    )  # fmt: skip
    outcome = Outcome(
        city_id="testville", loads=run_loads(warehouse.url, SOURCES, "cityloom__1", {}),
        champion=champion, failures=[failure],
    )  # fmt: skip
    text = shown(monkeypatch, outcome)
    assert "1,234" in text and "by an earlier run" in text
    assert "      2  trees: taken away before planted" in text
    assert "sentiment version 2 (subword), the first" in text
    assert (
        r"✗ extract_testville_pools.gate: pools\x1b[2J.csv is empty" in text and "\x1b" not in text
    )


def test_a_run_without_loads_of_others_names_none(load, warehouse, monkeypatch):
    load("trees", "cityloom__1", "accepted", 3)
    text = shown(
        monkeypatch,
        Outcome(city_id="t", loads=run_loads(warehouse.url, SOURCES, "cityloom__1", {})),
    )
    assert "trees" in text and "earlier run" not in text and "quarantined most" not in text
