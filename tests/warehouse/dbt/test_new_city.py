"""A city that is not in the repository: the four files of docs/add-a-source.md, and the numbers.

The files are taken from the tutorial and put into a copy of `cities/` and `dbt_project/`. What the
marts and reports then hold is compared with what Python's own csv module counts in the raw file.
"""

from __future__ import annotations

import csv
import gzip
import re
import shutil
import subprocess
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median

import pytest

from catalog import generate
from extract import load as loader
from extract.manifests import load_cities, load_city
from warehouse import dbt

ROOT = Path(__file__).parents[3]
DATA = ROOT.parent / "shared" / "data" / "chicago"
TUTORIAL = ROOT / "docs" / "add-a-source.md"

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the checkout"),
]


#: A path in backticks at the start of a line, and the next block of code.
FILE = re.compile(r"^`([\w./]*chicago[\w./]*)`(?:(?!```).)*?```\w+\n(.*?)```", re.M | re.S)


@dataclass(frozen=True)
class Checkout:
    """A copy of what is in git of cities/ and dbt_project/, as a repository of its own."""

    root: Path

    @property
    def cities(self) -> Path:
        return self.root / "cities"

    @property
    def project(self) -> Path:
        return self.root / "dbt_project"

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]
        done = subprocess.run(
            ["git", *who, *arguments], cwd=self.root, capture_output=True, text=True, check=True
        )
        return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = Checkout(tmp_path_factory.mktemp("checkout"))
    ignored = shutil.ignore_patterns("target", "logs", "generated")
    for name in ("cities", "dbt_project"):
        shutil.copytree(ROOT / name, checkout.root / name, ignore=ignored)
    shutil.copy(ROOT / ".gitignore", checkout.root)
    checkout.git("init", "--quiet")
    checkout.git("add", "--all")
    checkout.git("commit", "--quiet", "--message", "As it is")
    for path, text in FILE.findall(TUTORIAL.read_text(encoding="utf-8")):
        (checkout.root / path).parent.mkdir(parents=True, exist_ok=True)
        (checkout.root / path).write_text(text, encoding="utf-8")
    return checkout


@pytest.fixture(scope="module")
def chicago(built, checkout: Checkout, tmp_path_factory: pytest.TempPathFactory):
    city = load_city("chicago", checkout.cities)
    (source,) = city.sources
    report = loader.stage(source, built.url, DATA)
    loader.commit(report.load_id, built.url, source)
    dbt.build(
        built.url,
        target_dir=tmp_path_factory.mktemp("target"),
        echo=built.log.append,
        project=checkout.project,
        cities=[*load_cities().cities, city],
    )
    return built


@dataclass(frozen=True)
class Complaint:
    opened: date
    closed: date | None


@pytest.fixture(scope="module")
def complaints() -> list[Complaint]:
    """The raw file's complaints by its own last word on each number."""
    found = {}
    with gzip.open(DATA / "sanitation_code_74k.csv.gz", "rt", newline="") as file:
        for row in csv.DictReader(file):
            closed = row["Completion_Date"] if row["Status"].startswith("Completed") else ""
            found[row["Service_Request_Number"]] = Complaint(
                date.fromisoformat(row["Creation_Date"]),
                date.fromisoformat(closed) if closed else None,
            )
    return list(found.values())


def test_four_files_are_a_city(chicago, checkout: Checkout):
    added = checkout.git("status", "--short", "--untracked-files=all")
    assert added.splitlines() == [
        "?? cities/chicago/city.yml",
        "?? cities/chicago/sources/streets/service_requests.yml",
        "?? dbt_project/models/staging/chicago/stg_chicago__service_requests.sql",
        "?? dbt_project/models/staging/chicago/stg_chicago__service_requests.yml",
    ]
    assert added in TUTORIAL.read_text(encoding="utf-8")


def test_requests_by_month_are_those_of_the_file(chicago, complaints: list[Complaint]):
    opened = Counter(complaint.opened.replace(day=1) for complaint in complaints)
    assert sum(opened.values()) > 74_000
    assert chicago.rows(
        "select count(*) from marts.fct_service_request where city_id = 'chicago'"
    ) == [(sum(opened.values()),)]
    kpi = dict(
        chicago.rows(
            "select period_start, value from marts.fct_kpi where city_id = 'chicago' "
            "and metric_id = 'requests_opened' and district_id = '*'"
        )
    )
    assert kpi == opened


def test_days_to_close_are_those_of_the_file(chicago, complaints: list[Complaint]):
    days = defaultdict(list)
    for complaint in complaints:
        if complaint.closed:
            days[complaint.closed.replace(day=1)].append((complaint.closed - complaint.opened).days)
    kpi = dict(
        chicago.rows(
            "select period_start, value from marts.fct_kpi where city_id = 'chicago' "
            "and metric_id = 'median_days_to_close' and district_id = '*'"
        )
    )
    # Below ten closings there is a reason in place of a value.
    assert kpi == {
        month: median(values) if len(values) >= 10 else None for month, values in days.items()
    }


def test_what_the_dashboard_reads_has_the_city(chicago, complaints: list[Complaint]):
    newest = max(day for c in complaints for day in (c.opened, c.closed) if day)
    assert chicago.rows(
        "select city_name, as_of::date, requests_n from reporting.rpt_city_status "
        "where city_id = 'chicago'"
    ) == [("Chicago", newest, len(complaints))]
    assert chicago.rows(
        "select department_name, sum(requests_opened) from reporting.rpt_area_department_month "
        "where city_id = 'chicago' and year = 2013 group by 1"
    ) == [("Streets and Sanitation", sum(c.opened.year == 2013 for c in complaints))]
    assert chicago.rows(
        "select source_id, title, owner, as_of::date, newest_state "
        "from reporting.rpt_service_status where city_id = 'chicago'"
    ) == [
        (
            "service_requests",
            "Sanitation code complaints",
            "Department of Streets and Sanitation",
            newest,
            "accepted",
        )
    ]


def test_dbt_knows_how_fresh_the_source_should_be(chicago, checkout: Checkout):
    text = (checkout.project / generate.GENERATED / "models/raw.yml").read_text(encoding="utf-8")
    assert "where city_id = 'chicago' and source_id = 'service_requests'" in " ".join(text.split())
