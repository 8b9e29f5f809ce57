"""A city's targets.csv and weights.csv: each wrong line is named, and stops no other city."""

from __future__ import annotations

import shutil

import pytest

from catalog.cities import CITIES_DIR
from catalog.goals import TARGETS, WEIGHTS, goal_problems, read_goals
from catalog.indicators import load_indicators
from catalog.problems import ManifestError
from extract.manifests import load_cities, load_city

KNOWN = {one.id for one in load_indicators()}


@pytest.fixture
def city(tmp_path):
    shutil.copytree(CITIES_DIR / "demo", tmp_path / "demo")
    return load_city("demo", tmp_path)


def wrong(city, file, content):
    (city.path.parent / file.name).write_bytes(content)
    with pytest.raises(ManifestError) as caught:
        read_goals(city, file, KNOWN)
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
    assert read_goals(city, WEIGHTS, KNOWN) == [("demo", "net_sentiment", 2.0)]


def test_the_goals_of_the_projects_cities_are_good():
    for city in load_cities().cities:
        assert goal_problems(city, KNOWN) == []
