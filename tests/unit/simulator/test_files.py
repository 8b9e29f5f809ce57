"""Three years of the demo city: formats, numbers, and the faults that departments make."""

import csv
import gzip
import io
import json
import sqlite3
from contextlib import closing
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.path import Path as MplPath
from openpyxl import load_workbook

import simulator
from extract.manifests import load_city
from simulator import comments, grammar, places
from simulator.conditions import FIRST_DAY, conditions, days_between

CITY = load_city("demo")
DISTRICTS = list(places.DISTRICT_IDS)


@pytest.fixture(scope="module")
def drop(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    simulator.ensure(folder)
    return folder


@pytest.fixture(scope="module")
def service_requests(drop) -> pl.DataFrame:
    with closing(sqlite3.connect(drop / "service_center/service_line.db")) as database:
        table = pl.read_database("select * from service_requests", database)
    return table.with_columns(
        pl.col("opened_at", "closed_at", "due_at", "updated_at").str.to_datetime(strict=False)
    )


@pytest.fixture(scope="module")
def feedback(drop) -> pl.DataFrame:
    """All comments: feedback_id, day, district, topic, text, sentiment, written_by."""
    parts = []
    for source, key, text in (
        ("survey_comments", "response_id", "comment"),
        ("email_comments", "message_id", "body"),
        ("app_reviews", "review_id", "text"),
        ("council_comments", "statement_id", "statement"),
    ):
        rows = pl.DataFrame(read(drop, source), infer_schema_length=None)
        parts.append(rows.select(pl.col(key).alias("feedback_id"), "district", "topic", text=text))
    meant = pl.DataFrame(read(drop, "intended_sentiment"))
    return (
        pl.concat(parts)
        .join(meant, on="feedback_id", how="left")
        .with_columns(day=pl.col("feedback_id").str.slice(1, 8).str.to_date("%Y%m%d"))
        .with_columns(
            feels=pl.col("sentiment").replace_strict({"negative": -1, "neutral": 0, "positive": 1})
        )
    )


def read(drop: Path, source_id: str) -> list[dict]:
    """Read a source as its manifest says, with nothing but the standard library."""
    reader = CITY.source(source_id).read
    rows: list[dict] = []
    for pattern in reader.files:
        paths = sorted(drop.glob(pattern))
        assert paths, f"{source_id}: no file {pattern}"
        for path in paths:
            content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else None
            text = (content or path.read_bytes()).decode(reader.options.get("encoding", "utf-8"))
            if reader.connector == "csv":
                delimiter = reader.options.get("delimiter", ",")
                rows += csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
            elif reader.connector == "jsonl":
                rows += [json.loads(line) for line in text.splitlines()]
            elif reader.connector == "json":
                rows += json.loads(text)[reader.options["records"]]
            elif reader.connector == "fixed_width":
                for line in text.splitlines():
                    rows.append(
                        {
                            field["name"]: line[field["start"] - 1 :][: field["length"]].strip()
                            for field in reader.options["layout"]
                        }
                    )
    return rows


@pytest.mark.parametrize(
    "source_id",
    [s.source for s in CITY.sources if s.read.connector in ("csv", "jsonl", "json", "fixed_width")],
)
def test_every_file_has_the_columns_of_its_manifest(drop, source_id):
    rows = read(drop, source_id)
    source = CITY.source(source_id)
    assert len(rows) >= source.gate.min_rows
    assert list(rows[0]) == list(source.columns)


def test_the_service_line_is_a_database_with_the_columns_of_its_manifest(service_requests):
    assert service_requests.columns == list(CITY.source("service_requests").columns)
    assert service_requests["request_id"].is_unique().all()


def test_the_workbook_has_merged_headers_and_total_rows(drop):
    for year in (2023, 2024, 2025):
        sheet = load_workbook(drop / f"sanitation/tonnage_{year}.xlsx")["Tonnage"]
        merged = {str(cells) for cells in sheet.merged_cells.ranges}
        assert {"A3:A4", "C3:D3", "E3:G3"} <= merged
        first = [row[0] for row in sheet.iter_rows(min_row=5, values_only=True)]
        assert sum(str(cell).startswith("Total") for cell in first) == 13
        assert sum(cell in DISTRICTS for cell in first) >= 12 * 12 - 6


def test_collisions_are_latin_1_and_not_utf_8(drop):
    content = (drop / "transport/collisions.csv").read_bytes()
    with pytest.raises(UnicodeDecodeError):
        content.decode()
    assert "Cañón Street" in content.decode("latin-1")


def test_council_statements_are_utf_16_with_a_mark(drop):
    assert (drop / "engagement/council_statements.txt").read_bytes()[:2] == b"\xff\xfe"


def test_permits_are_ascii_records_of_one_length(drop):
    layout = CITY.source("permits").read.options["layout"]
    length = layout[-1]["start"] + layout[-1]["length"] - 1
    lines = (drop / "permits/PERMITS.TXT").read_bytes().decode("ascii").splitlines()
    assert {len(line) for line in lines} == {length}


def test_rounds_of_review_begin_with_the_application_and_end_with_the_decision(drop):
    rounds: dict[str, list[dict]] = {}
    for row in read(drop, "plan_reviews"):
        if row["received_on"][5:7] != "02" or row["received_on"][8:] != "30":
            rounds.setdefault(row["permit_number"], []).append(row)
    decided = 0
    for permit in read(drop, "permits"):
        of_permit = rounds.get(permit["permit_number"], [])
        numbers = [int(row["round"]) for row in of_permit]
        whole = numbers and numbers == list(range(1, len(numbers) + 1))
        if not whole or permit["applied_on"].endswith("1345"):
            continue  # a round that was spoilt or entered twice
        assert len(numbers) == max(int(permit["review_cycles"]), 1), permit
        assert of_permit[0]["received_on"].replace("-", "") == permit["applied_on"]
        if permit["status"] == "IS" and of_permit[-1]["answer"] == "approved":
            decided += 1
            assert of_permit[-1]["answered_on"].replace("-", "") == permit["issued_on"]
        for before, after in pairwise(of_permit):
            assert before["answered_on"] <= after["received_on"]
    assert decided > 8_000


def test_districts_are_polygons_that_do_not_overlap_and_hold_everybody(drop):
    collection = json.loads((drop / "planning/districts.geojson").read_text())
    rings = [f["geometry"]["coordinates"] for f in collection["features"]]
    assert len(rings) == 12 and all(len(r) == 1 and r[0][0] == r[0][-1] for r in rings)
    corners = np.concatenate([ring[0] for ring in rings])
    points = np.random.default_rng(1).uniform(corners.min(0), corners.max(0), (20_000, 2))
    inside = np.stack([MplPath(ring[0]).contains_points(points) for ring in rings])
    assert inside.sum(axis=0).max() == 1
    assert inside.any(axis=0).mean() > 0.85
    people = sum(f["properties"]["population"] for f in collection["features"])
    assert people == CITY.population


def test_points_lie_in_the_district_that_the_row_names(service_requests):
    rows = service_requests.drop_nulls(["district", "latitude"])
    for at, district in enumerate(DISTRICTS):
        here = rows.filter(pl.col("district") == district).select("longitude", "latitude")
        assert MplPath(places.CORNERS[at]).contains_points(here.to_numpy()).all()


def test_the_numbers_are_those_of_a_mid_size_city(drop, service_requests, feedback):
    assert 95_000 <= service_requests.height <= 112_000
    assert 14_000 <= feedback["feedback_id"].n_unique() <= 16_500
    assert 90_000 <= len(read(drop, "call_log")) <= 150_000
    assert service_requests["opened_at"].min().date() == FIRST_DAY
    assert service_requests["updated_at"].max().date() == simulator.LAST_DAY
    missing = service_requests["district"].is_null().mean()
    assert 0.03 <= missing <= 0.06
    size = sum(path.stat().st_size for path in drop.rglob("*") if path.is_file())
    assert size < 50e6


def test_closed_is_after_opened_and_only_closed_rows_have_a_time(service_requests):
    good = service_requests.drop_nulls("opened_at").filter(pl.col("status") != "pendign")
    assert good.filter(pl.col("closed_at") < pl.col("opened_at")).is_empty()
    assert good.filter(
        (pl.col("status") == "closed") != pl.col("closed_at").is_not_null()
    ).is_empty()
    assert set(good["status"]) == {"open", "in_progress", "reopened", "closed"}


def test_about_three_rows_in_a_thousand_are_bad_and_of_every_kind(drop, service_requests):
    allowed = {name: c.values for name, c in CITY.source("service_requests").columns.items()}
    bad = {
        "district": ~service_requests["district"].is_in([*DISTRICTS, None], nulls_equal=True),
        "status": ~service_requests["status"].is_in(allowed["status"]),
        "department": ~service_requests["department"].is_in(allowed["department"]),
        "opened_at": service_requests["opened_at"].is_null(),
    }
    assert all(wrong.any() for wrong in bad.values())
    share = sum(int(wrong.sum()) for wrong in bad.values()) / service_requests.height
    assert 0.0005 < share < 0.004  # half of them are corrected within ten days

    calls = read(drop, "call_log")
    waits = [row["wait_seconds"] for row in calls]
    assert any(value.startswith("-") for value in waits)
    assert "n/a" in waits
    ids = [row["call_id"] for row in calls]
    assert 0 < len(ids) - len(set(ids)) < len(ids) * 0.002

    collisions = (drop / "transport/collisions.csv").read_text("latin-1").splitlines()
    fields = {line.count(";") for line in collisions}
    assert len(fields) == 2  # some streets have a semicolon typed into them
    assert any(";31/02/" in line for line in collisions)

    permits = read(drop, "permits")
    keys = [row["permit_number"] for row in permits]
    assert len(keys) > len(set(keys))
    assert "UNKNOWN" in {row["valuation"] for row in permits}


def test_every_tonnage_fault_shows_somewhere_in_the_workbooks(drop):
    rows = [
        row
        for path in sorted(drop.glob("sanitation/*.xlsx"))
        for row in load_workbook(path)["Tonnage"].iter_rows(min_row=5, values_only=True)
        if row[1]
    ]
    wrong = [
        r for r in rows if r[0] not in DISTRICTS or "see memo" in r or min(map(_tons, r[2:])) < 0
    ]
    assert 1 <= len(wrong) <= len(rows) * 0.03


def _tons(value: object) -> float:
    return value if isinstance(value, float | int) else 0.0


def test_a_missed_collection_is_complained_of_two_days_later(service_requests):
    days = days_between(FIRST_DAY, simulator.LAST_DAY)
    missed = np.stack([conditions(day).missed for day in days])
    rows = service_requests.filter(pl.col("service_name") == "Missed collection")
    rows = rows.drop_nulls(["opened_at"]).filter(pl.col("district").is_in(DISTRICTS))
    counts = np.zeros_like(missed)
    at = (rows["opened_at"].dt.date() - FIRST_DAY).dt.total_days().to_numpy()
    where = rows["district"].str.slice(1).cast(int).to_numpy() - 1
    np.add.at(counts, (at, where), 1)

    def together(lag: int) -> float:
        return float(np.corrcoef(missed[: len(days) - lag].ravel(), counts[lag:].ravel())[0, 1])

    assert together(2) > 0.5
    assert together(2) > 3 * max(together(0), together(4))


def test_storms_flood_streets_fill_the_queue_and_are_spoken_of(drop, service_requests, feedback):
    days = days_between(FIRST_DAY, simulator.LAST_DAY)
    stormy = [day for day in days if conditions(day).storm > 0.8]
    dry = [d for d in days if not any(conditions(d - timedelta(back)).storm for back in range(4))]
    flooded = service_requests.filter(pl.col("service_name") == "Flooded street")
    assert _a_day(flooded["opened_at"].dt.date(), stormy) > 5 * _a_day(
        flooded["opened_at"].dt.date(), dry
    )
    water = feedback.filter(pl.col("topic") == "water")["day"]
    after = [day + timedelta(1) for day in stormy]
    assert _a_day(water, after) > 2 * _a_day(water, dry)
    calls = pl.Series([row["call_id"][1:9] for row in read(drop, "call_log")]).str.to_date("%Y%m%d")
    assert _a_day(calls, stormy) > 1.3 * _a_day(calls, dry)


def _a_day(dates: pl.Series, days: list[date]) -> float:
    return dates.is_in(days).sum() / len(days)


def test_who_waits_longer_is_less_happy(service_requests, feedback):
    waits = (
        service_requests.drop_nulls(["closed_at", "opened_at", "district"])
        .with_columns(
            ratio=(pl.col("closed_at") - pl.col("opened_at")).dt.total_seconds()
            / (pl.col("due_at") - pl.col("opened_at")).dt.total_seconds(),
            quarter=pl.col("closed_at").dt.truncate("1q").dt.date(),
        )
        .group_by("district", "quarter")
        .agg(pl.col("ratio").clip(upper_bound=4).mean())
    )
    moods = feedback.with_columns(quarter=pl.col("day").dt.truncate("1q")).group_by(
        "district", "quarter"
    )
    both = waits.join(moods.agg(pl.col("feels").mean(), pl.len()), on=["district", "quarter"])
    both = both.filter(pl.col("len") >= 30)
    assert np.corrcoef(both["ratio"], both["feels"])[0, 1] < -0.5
    by_district = feedback.group_by("district").agg(pl.col("feels").mean()).drop_nulls()
    mood = dict(by_district.iter_rows())
    assert mood["D07"] < mood["D11"] - 0.3


def test_weekdays_and_seasons_show(service_requests):
    opened = service_requests["opened_at"].drop_nulls()
    by_weekday = opened.dt.weekday().value_counts().sort("opened_at")["count"]
    assert by_weekday[0] > 1.4 * by_weekday[6]
    heat = service_requests.filter(pl.col("service_name") == "No heat")["opened_at"].dt.month()
    assert heat.is_in([12, 1, 2]).sum() > 5 * heat.is_in([6, 7, 8]).sum()


def test_every_comment_has_its_answer_and_keeps_it(feedback):
    assert feedback["sentiment"].null_count() == 0
    shares = feedback["sentiment"].value_counts(normalize=True)
    assert shares["proportion"].min() > 0.15
    assert 0.05 < (feedback["written_by"] == "corpus").mean() < 0.12
    assert feedback["text"].n_unique() > 0.85 * feedback.height


def test_no_resident_says_what_a_model_trains_on(feedback):
    with comments.CORPUS.open(encoding="utf-8", newline="") as file:
        corpus = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    taught = {_bare(row["text"]) for row in corpus if row["split"] in ("train", "validation")}
    assert len(taught) > 500
    spoken = {_bare(text) for text in feedback["text"].drop_nulls()}
    assert not spoken & taught
    # Nor as a part of a longer comment: signatures and greetings are put around texts.
    long = [text for text in taught if len(text) > 30]
    everything = "\n".join(spoken)
    assert not [text for text in long if text in everything]


def _bare(text: str) -> str:
    return " ".join(text.casefold().split())


def test_emails_carry_what_has_to_be_taken_out(feedback):
    emails = feedback.filter(pl.col("feedback_id").str.starts_with("E"))["text"].drop_nulls()
    assert emails.str.contains(r"@example\.(org|net|com)").mean() > 0.1
    assert emails.str.contains(r"\(308\) 555-01\d\d").mean() > 0.15


@pytest.mark.parametrize("language", grammar.LANGUAGES)
@pytest.mark.parametrize("channel", comments.CHANNELS)
def test_the_grammar_has_words_for_every_topic_and_feeling(language, channel):
    rng = np.random.default_rng(5)
    for topic in grammar.TOPICS:
        for sentiment in grammar.SENTIMENTS:
            texts = {
                grammar.compose(
                    rng,
                    topic=topic,
                    sentiment=sentiment,
                    language=language,
                    channel=channel,
                    district=int(rng.integers(12)),
                )
                for _ in range(12)
            }
            assert len(texts) >= 6
            assert not any("{" in text or "}" in text for text in texts)


def test_a_corpus_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.tsv"):
        comments.held_out(tmp_path / "gone.tsv")
