"""A copy of this checkout in which some files have another text, for tests of wrong files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("catalog", "cities", "cli", "constraints", "dags", "extract", "infra", "warehouse")


@pytest.fixture(scope="session")
def changed_checkout(tmp_path_factory) -> Callable[[dict[str, str]], Path]:
    """Return a copy with `{path: text}` in place of its own files; run it with PYTHONPATH."""

    def make(changed: dict[str, str]) -> Path:
        root = tmp_path_factory.mktemp("checkout")
        for room in ROOMS:
            shutil.copytree(ROOT / room, root / room, ignore=shutil.ignore_patterns("__pycache__"))
        for path, text in changed.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        return root

    return make
