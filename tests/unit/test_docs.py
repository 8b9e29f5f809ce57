"""What the docs name exists, the docs site builds without a broken link, and it loads nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent
CHANGES = (
    *("A source", "A city", "A KPI", "A connector", "A net", "A chart"),
    *("A role", "A gate rule", "A schedule", "A language", "A deployment", "A dependency"),
)
PAGES = sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md"))
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


def paths(text: str) -> Iterator[str]:
    """Yield each path in backticks, `*` for a part in <angle brackets>."""
    for quoted in re.findall(r"`([^`\n]+)`", text):
        for word in quoted.split():
            if re.fullmatch(r"[\w.<>-]+(/[\w.<>-]*)+", word) and ".venv/" not in word:
                yield re.sub(r"<\w+>", "*", word)


def test_contributing_has_the_twelve_usual_changes():
    assert tuple(re.findall(r"^### (.+)$", CONTRIBUTING, re.M)) == CHANGES
    for change in CONTRIBUTING.split("\n### ")[1:]:
        assert "| touch | for |" in change and "Check: " in change, change.splitlines()[0]


def test_every_path_in_contributing_exists():
    found = list(paths(CONTRIBUTING))
    assert len(found) > 30
    generated = "dbt_project/generated/"  # by `make generate`; not in git
    assert [path for path in found if path != generated and not any(ROOT.glob(path))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_make_target_and_command_in_the_docs_exists(page):
    from cli.main import COMMANDS

    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    text = page.read_text()
    code = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.S) + re.findall(r"`([^`\n]+)`", text))
    for target in re.findall(r"^\s*make (?:[A-Z]+=\S+ )*([a-z-]+)", code, re.M):
        assert target in targets, f"make {target}"
    for command in re.findall(r"(?:^|/)cityloom ([a-z]+)", code, re.M):
        assert command in COMMANDS, f"cityloom {command}"
    for test in re.findall(r"\btests/[\w/.]+", code):
        assert (ROOT / test).exists(), test


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The docs site, built from a copy as `make docs` builds it."""
    copy = tmp_path_factory.mktemp("site")
    shutil.copy(ROOT / "mkdocs.yml", copy)
    shutil.copytree(ROOT / "docs", copy / "docs")
    done = subprocess.run(
        [TOOLS / "zensical", "build", "--strict", "--clean"],
        cwd=copy,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return copy / "build" / "docs"


def test_every_page_is_in_the_navigation(site):
    def files(entries):
        for entry in entries:
            (value,) = entry.values()
            yield from files(value) if isinstance(value, list) else [value]

    listed = sorted(files(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    assert listed == sorted(str(p.relative_to(ROOT / "docs")) for p in PAGES if "docs" in p.parts)


def test_the_site_loads_nothing_from_another_server(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) >= 10
    loads = r"""<(?:script|img|iframe|source)[^>]*\ssrc="?(https?:[^">\s]+)|"""
    loads += r"""<link[^>]*\shref="?(https?:[^">\s]+)"""
    for page in pages:
        assert re.findall(loads, page.read_text()) == [], page.name


def test_every_link_within_the_site_leads_somewhere(site):
    """Zensical's strict mode looks at links to pages, not at those to other files."""
    for page in site.glob("*/**/index.html"):
        for link in re.findall(r'<a[^>]*\shref="?([^">\s#]+)', page.read_text()):
            if not re.match(r"[a-z]+:", link):
                assert (page.parent / link).exists(), f"{page.relative_to(site)}: {link}"


def test_tweetevals_test_figures_are_measured_ones_not_a_forecast():
    text = (ROOT / "docs" / "models.md").read_text()
    assert "61.5, 61.6 and 61.1" in text and "64 to 67" not in text
    assert not re.search(r"\bexpect\b.{0,40}\d", text)
