import re
import shutil
from dataclasses import replace

import pytest

from catalog import checks, facts, peers
from infra.home import ROOT
from infra.local import doctor
from infra.local.doctor import examine


@pytest.mark.parametrize(
    ("pin", "verdict"),
    [
        ("idna==3.9", "warn"),
        ("idna==3.9 ; sys_platform == 'win32'", "ok"),
        ("idna==3.9 ; python_full_version < '3.11'", "ok"),
        ("a-package-that-nothing-needs==1", "ok"),
    ],
)
def test_environment_that_is_not_as_pinned_is_named(pin, verdict, tmp_path, monkeypatch):
    pins = tmp_path / "pins.txt"
    text = (ROOT / "constraints/platform.txt").read_text()
    pins.write_text(re.sub(r"^idna==.*", pin, text, flags=re.MULTILINE))
    changed = [str(pins) if o.endswith("platform.txt") else o for o in doctor.PLATFORM.options]
    monkeypatch.setattr(doctor, "PLATFORM", replace(doctor.PLATFORM, options=tuple(changed)))
    found = next(doctor._environments())
    assert found.verdict == verdict
    assert ("idna==3.9" in found.found) is (verdict == "warn")


def test_missing_environment_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "SUPERSET", replace(doctor.SUPERSET, venv=tmp_path / "none"))
    _, found = doctor._environments()
    assert (found.verdict, found.found) == ("bad", f"{tmp_path}/none is missing")


def test_pins_of_this_environment_are_not_reported(monkeypatch):
    """Pins differ within a minor version, too: constraints name Pythons such as 3.11.5."""
    found = [f for f in examine() if f.check == "environment platform"]
    assert [finding.verdict for finding in found] == ["ok"], found


@pytest.mark.parametrize(
    ("missing", "problem"),
    [(".sql", "'call' needs a staging model"), (".yml", "stg_demo__call_log.yml")],
)
def test_a_source_without_its_staging_model_or_its_tests_is_a_finding(
    missing, problem, tmp_path, monkeypatch
):
    for part in ("models", "indicators", "seeds"):
        shutil.copytree(facts.DBT_PROJECT / part, tmp_path / part)
    (tmp_path / "models/staging/demo/stg_demo__call_log").with_suffix(missing).unlink()
    monkeypatch.setattr(facts, "DBT_PROJECT", tmp_path)
    (finding,) = [f for f in examine() if f.check == "manifests"]
    assert finding.verdict == "bad"
    assert problem in finding.found


def test_a_region_that_no_city_can_be_in_is_a_finding(tmp_path, monkeypatch):
    groups = tmp_path / "peer_groups.yml"
    groups.write_text(peers.PEER_GROUPS.read_text().replace("midwest:", "far_west:"))
    real = peers.region_problems
    monkeypatch.setattr(checks, "region_problems", lambda cities: real(cities, groups))
    found = [f.found for f in examine() if f.check == "manifests" and f.verdict == "bad"]
    assert len(found) == 1 and "region: 'midwest' is not in peer_groups.yml" in found[0]


def test_home_that_cannot_be_made_is_a_finding(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CITYLOOM_HOME", str(tmp_path / "file" / "home"))
    assert any(finding.verdict == "bad" and finding.remedy for finding in examine())
