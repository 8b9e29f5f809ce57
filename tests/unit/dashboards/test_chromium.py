import pytest

from dashboards import chromium


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine whose PATH and Playwright folder start empty."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "playwright"))
    monkeypatch.delenv("CITYLOOM_BROWSER", raising=False)
    return tmp_path


def program(path, status=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nexit {status}\n")
    path.chmod(0o755)
    return path


def test_none_is_found_on_a_bare_machine(machine):
    assert chromium.find() is None


def test_one_on_path_is_taken_if_it_runs(machine):
    program(machine / "bin" / "chromium-browser", status=1)  # Ubuntu's stand-in for a snap
    assert chromium.find() is None
    chrome = program(machine / "bin" / "google-chrome")
    assert chromium.find() == chrome


def test_playwrights_own_is_found(machine):
    own = program(machine / "playwright" / "chromium-1200" / "chrome-linux" / "chrome")
    assert chromium.find() == own


def test_named_one_comes_first_and_must_run(machine, monkeypatch):
    program(machine / "bin" / "chromium")
    mine = program(machine / "mine")
    monkeypatch.setenv("CITYLOOM_BROWSER", str(mine))
    assert chromium.find() == mine
    monkeypatch.setenv("CITYLOOM_BROWSER", str(machine / "nothing"))
    with pytest.raises(chromium.NoBrowser, match="cannot be run"):
        chromium.find()
