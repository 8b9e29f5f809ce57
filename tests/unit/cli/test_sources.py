"""Where a wrong manifest is reported: sources check and list, doctor, run."""

import shutil

import pytest
import yaml
from typer.testing import CliRunner

import extract.manifests
from catalog.cities import CITIES_DIR
from catalog.facts import DBT_PROJECT
from catalog.problems import ManifestError
from cli import main as cli
from infra.local import doctor


@pytest.fixture
def cities(tmp_path, monkeypatch):
    """Copy `cities/`, make two manifests of New York wrong, and let the programs read the copy."""
    shutil.copytree(CITIES_DIR, tmp_path / "cities")
    for name, before, after in (
        ("*/collisions.yml", "\ncadence: ", '\ncadence: "61 25 * * *" # '),
        ("*/service_requests.yml", "connector: csv", "connector: cvs"),
    ):
        (path,) = (tmp_path / "cities" / "nyc" / "sources").glob(name)
        assert before in path.read_text()
        path.write_text(path.read_text().replace(before, after))
    real = extract.manifests.load_cities.__wrapped__
    monkeypatch.setattr(
        extract.manifests, "load_cities", lambda only=None: real(tmp_path / "cities", only)
    )
    return tmp_path / "cities"


def typed(*words):
    return CliRunner().invoke(cli.build(), words)


def test_check_names_file_line_key_and_remedy(cities):
    done = typed("sources", "check", "nyc")
    assert done.exit_code == 1
    assert "collisions.yml:" in done.stderr and "cadence: " in done.stderr
    assert "service_requests.yml:" in done.stderr and "connector: 'cvs'" in done.stderr
    assert "manifests are good, 2 cannot be used" in done.stdout
    assert typed("sources", "check", "demo").exit_code == 0


def test_check_names_a_feed_of_an_unknown_fact(cities):
    path = cities / "demo/sources/permits/permits.yml"
    path.write_text(path.read_text().replace("feeds: permit", "feeds: permits"))
    done = typed("sources", "check", "demo")
    assert done.exit_code == 1
    assert f"{path}: feeds: there is no fact 'permits'; did you mean 'permit'?" in done.stderr


def test_check_names_a_staging_model_without_its_yaml(cities, tmp_path, monkeypatch):
    project = tmp_path / "dbt_project"
    shutil.copytree(DBT_PROJECT / "models", project / "models")
    twin = project / "models/staging/demo/stg_demo__permits.yml"
    twin.unlink()
    monkeypatch.setattr("catalog.facts.DBT_PROJECT", project)
    done = typed("sources", "check", "demo")
    assert done.exit_code == 1
    assert "stg_demo__permits.yml: is missing beside stg_demo__permits.sql" in done.stderr
    twin.write_text("only text")
    (project / "models/intermediate/int_permit.yml").write_text("only text")
    done = typed("sources", "check", "demo")
    assert done.exit_code == 1 and "int_permit.yml: holds a str, not keys" in done.stderr


def test_check_counts_one_manifest_as_one(cities):
    for path in (cities / "demo/sources").glob("*/*.yml"):
        if path.stem != "permits":
            path.unlink()
    assert "demo: 1 manifest is good" in typed("sources", "check", "demo").stdout


def test_check_warns_of_a_country_whose_holidays_are_not_known(cities):
    path = cities / "nyc/city.yml"
    described = yaml.safe_load(path.read_text()) | {"country": "TA", "holidays": []}
    path.write_text(yaml.safe_dump(described))
    assert "warning: nyc: no public holidays of TA" in typed("sources", "check", "nyc").stderr
    assert "holidays" not in typed("sources", "check", "demo").stderr


def test_the_files_of_a_wrong_manifest_are_not_looked_for(cities, tmp_path):
    done = typed("sources", "check", "nyc", "collisions", "--data", str(tmp_path))
    assert done.exit_code == 1 and done.exception.args == (1,)
    assert "cadence" in done.stderr and "has no source" not in done.output


def test_list_shows_the_rest_and_says_that_some_are_left_out(cities):
    done = typed("sources", "list", "nyc")
    assert done.exit_code == 0 and "2 file(s) cannot be used" in done.stderr
    assert "taxi_zones" in done.stdout and " collisions " not in done.stdout


def test_doctor_names_them(cities):
    found = list(doctor._manifests())
    assert {finding.verdict for finding in found} == {"bad"}
    assert any("collisions.yml:" in finding.found for finding in found)


def test_run_of_a_source_whose_manifest_is_wrong_says_why(cities):
    done = typed("run", "nyc", "--source", "collisions")
    assert isinstance(done.exception, ManifestError) and "cadence" in str(done.exception)


def test_run_of_a_city_without_sources_says_what_to_do(cities):
    shutil.rmtree(cities / "nyc" / "sources")
    done = typed("run", "nyc")
    assert isinstance(done.exception, ManifestError) and "write a manifest" in str(done.exception)


def test_a_city_that_is_not_there_is_an_error_with_those_that_are(cities):
    for words in (("sources", "check", "ny"), ("sources", "list", "ny"), ("run", "ny")):
        done = typed(*words)
        assert isinstance(done.exception, ManifestError) and "nyc" in str(done.exception)
