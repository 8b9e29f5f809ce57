"""The page that explains a figure shows its reader what the reader's role may read."""

from __future__ import annotations

import html

import pytest

FIGURE = "/explain/?city=demo&indicator=calls_offered&district=*&period=2024-03"


def page(superset, user, path=FIGURE):
    status, text = superset.ask(user, "GET", path)
    return status, html.unescape(" ".join(text.split()))


@pytest.mark.parametrize("user", ["analyst", "cio", "boss", "ml_engineer", "data_engineer"])
def test_a_figure_is_explained_by_records_that_the_reader_asked_for(superset, user):
    status, text = page(superset, user)
    assert status == 200, text
    assert "<h1>Calls offered</h1>" in text
    assert "Loomfield, Whole city, March 2024" in text
    assert "none is set; by its own history it would be 3" in text
    assert "Call log: A sample: one call in ten" in text
    assert "All together: 2 a month, n 24, of 12 of these 12 months." in text
    assert "How many calls reached the queue in the month." in text
    assert "2 of 2, the first of the month" in text and "2024-03-02 09:00" in text
    # The statement that read the calls names who asked, for the server's log.
    assert f"<td>/* superset:{user} */ select" in text
    reads_loads = user != "ml_engineer"
    assert ("call_log (staging.stg_demo__call_log)" in text) is reads_loads
    assert ("Your role does not read the loads." in text) is not reads_loads


@pytest.mark.parametrize("user", ["reader_open", "department_head", "head", "nobody"])
def test_who_may_not_read_records_gets_the_meaning_alone(superset, user):
    status, text = page(superset, user)
    assert status == 200 and "Your role reads the reports, not the records" in text
    assert "How many calls reached the queue in the month." in text
    assert "2024-03-02" not in text and "March 2024" not in text and "staging." not in text


def test_a_stranger_is_sent_to_sign_in(superset):
    status, where = superset.ask("stranger", "GET", FIGURE)
    assert status == 302 and "/login/?next=" in where and "indicator%3Dcalls_offered" in where


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("city=demo&indicator=calls_ofered", "there is no indicator 'calls_ofered'; did you mean"),
        ("city=demo&indicator=calls_offered&period=May", "'May' is no month; write it as 2024-06"),
        ("city=demo&indicator=calls_offered&district=D5", "demo has no district 'D5'"),
        ("city=nyc&indicator=calls_offered", "nyc has no calls_offered"),
        ("city=<script>&indicator=calls_offered", "<script> has no calls_offered"),
        ("city=de%00mo&indicator=calls_offered", "NUL"),
    ],
)
def test_what_is_wrong_is_said_with_the_remedy(superset, query, message):
    status, text = page(superset, "analyst", f"/explain/?{query}")
    assert status == 404 and message in text


@pytest.mark.parametrize("rows", ["-1", "0", "1e9", "", "99999999999999999999"])
def test_any_number_of_rows_is_answered(superset, rows):
    assert superset.ask("analyst", "GET", f"{FIGURE}&rows={rows}")[0] == 200


def test_text_of_the_address_is_no_part_of_the_page(superset):
    _, text = superset.ask("analyst", "GET", '/explain/?city=<script>&indicator="><script>&rows=x')
    assert "<script" not in text


def test_without_a_figure_there_is_what_to_choose_from(superset):
    status, text = page(superset, "reader_open", "/explain/")
    assert status == 200 and "Choose a measure" in text
    assert '<option value="calls_offered" >Calls offered</option>' in text
    assert '<option value="nyc" >New York</option>' in text
