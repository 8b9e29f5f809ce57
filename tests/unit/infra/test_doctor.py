import pytest

from infra.local.doctor import examine, read_pins


@pytest.mark.parametrize(("python", "more"), [("3.12", {"c-d": "2.0"}), ("3.13", {})])
def test_pins_are_those_of_this_system_and_the_environments_python(tmp_path, python, more):
    path = tmp_path / "pins.txt"
    path.write_text(
        "# a comment\na.b==1.0\nC_d[x]==2.0 ; python_full_version < '3.13'\n"
        "e==1 ; sys_platform == 'linux'\ne==2 ; sys_platform == 'win32'\n"
    )
    assert read_pins(path, python) == {"a-b": "1.0", "e": "1"} | more


def test_home_that_cannot_be_made_is_a_finding(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CITYLOOM_HOME", str(tmp_path / "file" / "home"))
    assert any(finding.verdict == "bad" and finding.remedy for finding in examine())
