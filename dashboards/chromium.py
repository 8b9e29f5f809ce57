"""A headless browser for the tests: the one that is there, else one that is installed.

`python -m dashboards.chromium` finds or installs it and prints its path.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


class NoBrowser(Exception):
    """No browser is there and none could be installed; lists what was tried."""


def find() -> Path | None:
    """Return a Chromium or Chrome on this machine, or None.

    `CITYLOOM_BROWSER` names one; else PATH is searched; else Playwright's own download.
    """
    named = os.environ.get("CITYLOOM_BROWSER")
    if named:
        if not os.access(named, os.X_OK):
            raise NoBrowser(f"CITYLOOM_BROWSER={named} cannot be run")
        return Path(named)
    for name in NAMES:
        found = shutil.which(name)
        # Ubuntu's chromium-browser may be a script that only asks for a snap.
        if found and _runs(Path(found)):
            return Path(found)
    own = _playwrights()
    return own if own and _runs(own) else None


def ensure() -> Path:
    """Return a browser, installed if need be: by apt as root, else by Playwright.

    Raises `NoBrowser` with what was tried.
    """
    apt = ["apt-get", "install", "-q", "-y", "--no-install-recommends", "chromium"]
    commands = [["apt-get", "update", "-q"], apt]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        commands = []
    commands.append([sys.executable, "-m", "playwright", "install", "chromium", "--only-shell"])
    tried = []
    for command in commands:
        if found := find():
            return found
        print(f"browser: {' '.join(command)}", flush=True)
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines()
            tried.append(f"`{' '.join(command)}`: {lines[-1] if lines else 'no reason given'}")
    if found := find():
        return found
    raise NoBrowser(
        "no headless browser. Install chromium or chrome, or name one in CITYLOOM_BROWSER. "
        f"Tried: {'; '.join(tried)}"
    )


def _playwrights() -> Path | None:
    """Return the browser that Playwright downloaded before, or None."""
    folder = os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache/ms-playwright"
    for pattern in ("chromium*/chrome-*/headless_shell", "chromium*/chrome-*/chrome*"):
        for found in sorted(Path(folder).glob(pattern), reverse=True):
            if found.is_file() and os.access(found, os.X_OK):
                return found
    return None


def _runs(browser: Path) -> bool:
    try:
        done = subprocess.run([str(browser), "--version"], capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


if __name__ == "__main__":
    try:
        print(f"browser: {ensure()}")
    except NoBrowser as error:
        sys.exit(f"browser: {error}")
