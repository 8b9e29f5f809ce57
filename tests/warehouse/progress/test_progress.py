"""Marks of progress: what is due, what is behind, and what was never told."""

from __future__ import annotations

import psycopg
import pytest

from catalog.cities import load_city
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


def test_nothing_is_due_before_the_first_load(url):
    for step in ("build", "score", "publish"):
        assert progress.due(url, step) == {}
        assert not progress.behind(url, step)
    assert not progress.untold(url, CALLS)


@pytest.mark.parametrize("state", ["staging", "staged", "unchanged", "blocked", "failed"])
def test_only_accepted_loads_are_due(url, state):
    load(url, CALLS, state)
    assert not progress.behind(url, "build")
    assert not progress.untold(url, CALLS)


def test_a_build_includes_the_newest_load_of_each_source(url):
    load(url, CALLS, "accepted")
    permits = load(url, PERMITS, "accepted")
    calls = load(url, CALLS, "accepted")
    load(url, CALLS, "unchanged")
    mark = progress.due(url, "build")
    assert mark == {"demo.call_log": calls, "demo.permits": permits}
    assert progress.behind(url, "build")
    progress.advance(url, "build", mark)
    assert not progress.behind(url, "build")


def test_a_load_that_lands_during_a_build_is_untold(url):
    load(url, CALLS, "accepted")
    mark = progress.due(url, "build")
    load(url, PERMITS, "accepted")
    progress.advance(url, "build", mark)
    assert progress.untold(url, PERMITS)
    assert not progress.untold(url, CALLS)
    assert progress.behind(url, "build")


def test_an_older_load_that_is_accepted_late_is_not_lost(url):
    with psycopg.connect(url) as connection:
        slow = load(url, PERMITS, "staged")
        load(url, CALLS, "accepted")
        progress.advance(url, "build", progress.due(url, "build"))
        connection.execute("update quality.loads set state = 'accepted' where load_id = %s", [slow])
    assert progress.untold(url, PERMITS)
    assert progress.behind(url, "build")


def test_scores_wait_for_marts_and_a_champion(url):
    promote(url, 1)
    assert progress.due(url, "score") == {}
    calls = load(url, CALLS, "accepted")
    progress.advance(url, "build", progress.due(url, "build"))
    assert progress.due(url, "score") == {"demo.call_log": calls, "model.sentiment": 1}


def test_another_models_champion_is_no_champion(url):
    load(url, CALLS, "accepted")
    progress.advance(url, "build", progress.due(url, "build"))
    promote(url, 3, "sentiment-tweeteval")
    assert progress.due(url, "score") == {}


def test_a_new_champion_leaves_scores_and_then_reports_behind(url):
    load(url, CALLS, "accepted")
    promote(url, 1)
    for step in ("build", "score", "publish"):
        assert progress.behind(url, step)
        progress.advance(url, step, progress.due(url, step), "run")
        assert not progress.behind(url, step)
    promote(url, 2)
    assert progress.behind(url, "score")
    assert not progress.behind(url, "publish"), "there is nothing new to publish yet"
    progress.advance(url, "score", progress.due(url, "score"))
    assert progress.behind(url, "publish")
