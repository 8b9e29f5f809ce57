"""A city's CSV files: each wrong line is named, and stops no other city."""

from __future__ import annotations

import shutil
from datetime import date

import pytest

from catalog.cities import CITIES_DIR
from catalog.city_files import EVENTS, TARGETS, WEIGHTS, city_file_problems, read_rows
from catalog.indicators import load_indicators
from catalog.problems import ManifestError
from extract.manifests import load_cities, load_city
from simulator.conditions import conditions

KNOWN = {one.id for one in load_indicators()}


@pytest.fixture
def city(tmp_path):
    shutil.copytree(CITIES_DIR / "demo", tmp_path / "demo")
    return load_city("demo", tmp_path)


def wrong(city, file, content):
    (city.path.parent / file.name).write_bytes(content)
    with pytest.raises(ManifestError) as caught:
        read_rows(city, file, KNOWN)
    return [line.partition(f"{file.name}: ")[2] for line in caught.value.problems]


def test_every_wrong_line_is_named_with_its_remedy(city):
    assert wrong(
        city,
        WEIGHTS,
        b"metric_id,weight\nclosed_on_tyme_pct,3\n# a comment\nrecycling_rate,two\n"
        b"net_sentiment,-1\nrequests_opened,1\nrequests_opened,2\nxyzzy,1\n",
    ) == [
        "line 2: no indicator 'closed_on_tyme_pct'; did you mean 'closed_on_time_pct'?",
        "line 4: weight 'two' is not a number above 0",
        "line 5: weight '-1' is not a number above 0",
        "line 7: requests_opened has a row already; remove one",
        "line 8: no indicator 'xyzzy'; `cityloom kpi list` has their names",
    ]


def test_every_wrong_event_is_named_with_its_remedy(city):
    assert wrong(
        city,
        EVENTS,
        b"# invented\nfirst_day,last_day,title,kind,department,source_url\n"
        b"2024-01-05,,Snowstorm,weather,,\n"
        b"2024-01-06,2024-01-05,Storm,weather,,\n"
        b"5 Jan 2024,soon,Flood,wether,,\n"
        b"2024-02-01,,,policy,sanitaton,\n"
        b"2024-03-01,,Fees for refuse, by weight,policy,,\n"
        b"2024-04-01,,A title that is much too long for a line,policy,,www.example.org\n"
        b"20240105,,Snowstorm,weather,,\n"
        b"next week,,Flood,weather,,\n",
    ) == [
        "line 4: last_day 2024-01-05 is before first_day; exchange them",
        "line 5: first_day '5 Jan 2024' is not a day such as 2024-01-31",
        "line 5: last_day 'soon' is not a day such as 2024-01-31",
        "line 5: kind 'wether' is not one of: weather, emergency, election, policy, service",
        "line 6: title '' is not a text of 1 to 30 characters",
        "line 6: no department 'sanitaton' in city.yml; did you mean 'sanitation'?",
        "line 7: has more cells than the first line; put a text with a comma in double quotes",
        "line 8: title 'A title that is much too long for a line' is not a text of 1 to 30 "
        "characters",
        "line 8: source_url 'www.example.org' is not an address such as https://example.org/report",
        "line 9: 2024-01-05 Snowstorm has a row already; remove one",
        "line 10: first_day 'next week' is not a day such as 2024-01-31",
    ]


def test_columns_that_an_event_need_not_have_may_be_missing_and_not_misspelt(city):
    path = city.path.parent / "events.csv"
    path.write_text('first_day,title,kind\n2024-01-05,"Snow, and ice",weather\n')
    assert read_rows(city, EVENTS, KNOWN) == [
        ("demo", "2024-01-05", "", "Snow, and ice", "weather", "", "")
    ]
    (found,) = wrong(city, EVENTS, b"first_day,lastday,title,kind\n2024-01-05,,Snow,weather\n")
    assert found == "has a column 'lastday'; did you mean 'last_day'?"
    path.unlink()
    assert read_rows(city, EVENTS, KNOWN) == []


def test_the_demo_citys_storms_are_days_on_which_the_simulator_has_one(city):
    for _, first_day, _, title, kind, *_ in read_rows(city, EVENTS, KNOWN):
        day = conditions(date.fromisoformat(first_day))
        if kind == "weather":
            assert (day.snow if title == "Snowstorm" else day.storm) > 1.5, first_day


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "has no column from_date, metric_id, target"),
        (b"metric_id;target;from_date\n", "has no column from_date, metric_id, target"),
        ("metric_id,target,from_date\n".encode("utf-16"), "is not UTF-8"),
        (
            b"metric_id,target,from_date\nnet_sentiment,0,soon\n",
            "line 2: from_date 'soon' is not a day such as 2024-01-31",
        ),
        (b"metric_id,target,from_date\nnet_sentiment\nnet_sentiment,0\n", "line 3: from_date"),
    ],
)
def test_a_file_of_another_form_is_named(city, content, problem):
    (found,) = wrong(city, TARGETS, content)
    assert found.startswith(problem)


def test_a_file_saved_by_a_spreadsheet_is_read(city):
    content = b"\xef\xbb\xbfmetric_id,weight\r\nnet_sentiment, 2 \r\n"
    (city.path.parent / "weights.csv").write_bytes(content)
    assert read_rows(city, WEIGHTS, KNOWN) == [("demo", "net_sentiment", 2.0)]


def test_the_files_of_the_projects_cities_are_good():
    for city in load_cities().cities:
        assert city_file_problems(city, KNOWN) == []
