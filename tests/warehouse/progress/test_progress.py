"""Watermarks: what is pending, what is behind, and which loads no build includes yet."""

from __future__ import annotations

import psycopg
import pytest

from extract.manifests import load_city
from warehouse import progress

DEMO = load_city("demo")
CALLS, PERMITS = DEMO.source("call_log"), DEMO.source("permits")


@pytest.fixture
def url(warehouse):
    with psycopg.connect(warehouse.url) as connection:
        connection.execute("truncate quality.loads, quality.progress, ml.champion cascade")
    return warehouse.url


def load(url, source, state):
    with psycopg.connect(url) as connection:
        return connection.execute(
            "insert into quality.loads (city_id, source_id, mode, state) "
            "values (%s, %s, 'read', %s) returning load_id",
            [source.city_id, source.source, state],
        ).fetchone()[0]


def promote(url, version, model="sentiment"):
    with psycopg.connect(url) as connection:
        connection.execute(
            "insert into ml.champion values (%s, %s, now()) "
            "on conflict (model_name) do update set model_version = excluded.model_version",
            [model, version],
        )


def test_nothing_is_pending_before_the_first_load(url):
    for step in ("build", "score", "publish"):
        assert progress.pending_watermark(url, step) == {}
        assert not progress.is_behind(url, step)
    assert not progress.has_unbuilt_load(url, CALLS)


@pytest.mark.parametrize("state", ["staging", "staged", "unchanged", "blocked", "failed"])
def test_only_accepted_loads_are_pending(url, state):
    load(url, CALLS, state)
    assert not progress.is_behind(url, "build")
    assert not progress.has_unbuilt_load(url, CALLS)


def test_a_build_includes_the_newest_load_of_each_source(url):
    load(url, CALLS, "accepted")
    permits = load(url, PERMITS, "accepted")
    calls = load(url, CALLS, "accepted")
    load(url, CALLS, "unchanged")
    watermark = progress.pending_watermark(url, "build")
    assert watermark == {"demo.call_log": calls, "demo.permits": permits}
    assert progress.is_behind(url, "build")
    progress.advance_watermark(url, "build", watermark)
    assert not progress.is_behind(url, "build")


def test_a_load_accepted_during_a_build_is_unbuilt(url):
    load(url, CALLS, "accepted")
    watermark = progress.pending_watermark(url, "build")
    load(url, PERMITS, "accepted")
    progress.advance_watermark(url, "build", watermark)
    assert progress.has_unbuilt_load(url, PERMITS)
    assert not progress.has_unbuilt_load(url, CALLS)
    assert progress.is_behind(url, "build")


def test_an_older_load_that_is_accepted_late_is_not_lost(url):
    with psycopg.connect(url) as connection:
        slow = load(url, PERMITS, "staged")
        load(url, CALLS, "accepted")
        progress.advance_watermark(url, "build", progress.pending_watermark(url, "build"))
        connection.execute("update quality.loads set state = 'accepted' where load_id = %s", [slow])
    assert progress.has_unbuilt_load(url, PERMITS)
    assert progress.is_behind(url, "build")


def test_scores_wait_for_marts_and_a_champion(url):
    promote(url, 1)
    assert progress.pending_watermark(url, "score") == {}
    calls = load(url, CALLS, "accepted")
    progress.advance_watermark(url, "build", progress.pending_watermark(url, "build"))
    assert progress.pending_watermark(url, "score") == {
        "demo.call_log": calls,
        "model.sentiment": 1,
    }


def test_another_models_champion_is_no_champion(url):
    load(url, CALLS, "accepted")
    progress.advance_watermark(url, "build", progress.pending_watermark(url, "build"))
    promote(url, 3, "sentiment-tweeteval")
    assert progress.pending_watermark(url, "score") == {}


def test_a_new_champion_leaves_scores_and_then_reports_behind(url):
    load(url, CALLS, "accepted")
    promote(url, 1)
    for step in ("build", "score", "publish"):
        assert progress.is_behind(url, step)
        progress.advance_watermark(url, step, progress.pending_watermark(url, step), "run")
        assert not progress.is_behind(url, step)
    promote(url, 2)
    assert progress.is_behind(url, "score")
    assert not progress.is_behind(url, "publish"), "there is nothing new to publish yet"
    progress.advance_watermark(url, "score", progress.pending_watermark(url, "score"))
    assert progress.is_behind(url, "publish")
