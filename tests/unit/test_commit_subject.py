"""The hook that checks the subjects of commits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("subject", "passes"), [("x" * 72, True), ("x" * 73, False), ("Tests: what they hold", True)]
)
def test_a_subject_has_at_most_72_characters(subject, passes, tmp_path):
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout: pre-commit needs one")
    message = tmp_path / "COMMIT_EDITMSG"
    message.write_text(f"{subject}\n\nA line of the body may be longer than that: {'y' * 80}\n")
    pre_commit = Path(sys.executable).with_name("pre-commit")
    hooks = "--hook-stage", "commit-msg", "--commit-msg-filename", message
    done = subprocess.run(
        [pre_commit, "run", "--all-files", *hooks],
        cwd=ROOT,
        env={**os.environ, "PRE_COMMIT_HOME": str(tmp_path / "pre-commit")},
        capture_output=True,
        text=True,
    )
    assert (done.returncode == 0) is passes, done.stdout + done.stderr
    assert "at most 72 characters" in done.stdout
    assert done.stdout.count("Passed") + done.stdout.count("Failed") == 1, "no other hook runs"
