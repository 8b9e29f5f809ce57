import shutil

import pytest

from infra.local.doctor import examine, read_pins


@pytest.mark.parametrize(
    ("python", "more"), [("3.12.4", {"c-d": "2.0"}), ("3.12.6", {}), ("3.13.0", {})]
)
def test_pins_are_those_of_this_system_and_the_environments_python(tmp_path, python, more):
    path = tmp_path / "pins.txt"
    path.write_text(
        "# a comment\na.b==1.0\nC_d[x]==2.0 ; python_full_version < '3.12.5'\n"
        "e==1 ; sys_platform == 'linux'\ne==2 ; sys_platform == 'win32'\n"
    )
    assert read_pins(path, python) == {"a-b": "1.0", "e": "1"} | more


def test_pins_of_this_environment_are_not_reported(monkeypatch):
    """Pins differ within a minor version, too: constraints name Pythons such as 3.11.5."""
    found = [f for f in examine() if f.check == "environment platform"]
    assert [finding.verdict for finding in found] == ["ok"], found


def test_a_source_without_its_staging_model_is_a_finding(tmp_path, monkeypatch):
    from catalog import generate

    for part in ("models/intermediate", "models/staging"):
        shutil.copytree(generate.DBT_PROJECT / part, tmp_path / part)
    (tmp_path / "models/staging/demo/stg_demo__call_log.sql").unlink()
    monkeypatch.setattr(generate, "DBT_PROJECT", tmp_path)
    (finding,) = [f for f in examine() if f.check == "manifests"]
    assert finding.verdict == "bad"
    assert "'call' needs a staging model" in finding.found


def test_home_that_cannot_be_made_is_a_finding(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CITYLOOM_HOME", str(tmp_path / "file" / "home"))
    assert any(finding.verdict == "bad" and finding.remedy for finding in examine())
