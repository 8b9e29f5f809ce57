"""Making the two environments: `.venv` (the platform) and `.venv-superset`; and their pins.

Run by the machine's own Python (3.11 to 3.13), so it needs nothing but the standard library:

    python3 infra/setup.py                     # make setup
    python3 infra/setup.py pip compile ...     # uv as set-up runs it: `make pins`

The pinned uv installs; pip puts it into `.cache/`. pip's settings (indexes, find-links,
certificates, proxy) are handed to uv. torch: see `torch_options`.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints"
#: Superset's pinned pandas has no build for Python 3.13, and cannot be compiled for it.
SUPERSET_PYTHON = ">=3.11,<3.13"

#: pip's settings by the variables in which uv takes the same.
PIP_SETTINGS = {
    "index-url": ("UV_DEFAULT_INDEX",),
    "extra-index-url": ("UV_INDEX",),
    "find-links": ("UV_FIND_LINKS",),
    "cert": ("SSL_CERT_FILE",),
    "client-cert": ("SSL_CLIENT_CERT",),
    "trusted-host": ("UV_INSECURE_HOST",),
    "proxy": ("HTTPS_PROXY", "HTTP_PROXY"),
    "default-timeout": ("UV_HTTP_TIMEOUT",),
    "timeout": ("UV_HTTP_TIMEOUT",),
}


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and what uv installs into it."""

    venv: Path
    options: tuple[str, ...]

    @property
    def python(self) -> str:
        """Path of its interpreter."""
        return str(self.venv / "bin" / "python")

    @property
    def stamp(self) -> Path:
        """File with what it was completed with."""
        return self.venv / "cityloom.json"


PLATFORM = Environment(
    ROOT / ".venv",
    (
        *("--requirements", "pyproject.toml", "--group", "dev"),
        *("--constraints", "constraints/platform.txt"),
        *("--overrides", "constraints/overrides.txt"),
    ),
)
SUPERSET = Environment(
    ROOT / Path(os.environ.get("CITYLOOM_SUPERSET_VENV") or ".venv-superset").expanduser(),
    ("--requirements", "constraints/superset.in", "--constraints", "constraints/superset.txt"),
)


def main(arguments: list[str]) -> None:
    """Set up, or run uv with arguments."""
    check_python()
    if arguments:
        run([install_uv(), *arguments])
    else:
        make_environments()


def check_python() -> None:
    """Exit when this interpreter is not one that the pins resolve for."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        sys.exit(
            f"setup: {sys.executable} is Python {sys.version_info[0]}.{sys.version_info[1]}; "
            "Cityloom needs 3.11 to 3.13: `make PYTHON=python3.12 setup`"
        )


def make_environments() -> None:
    """Make or bring up to date both environments; return at once when nothing changed."""
    began = time.monotonic()
    backend = torch_backend()
    wanted = {PLATFORM: stamp(PLATFORM, torch=backend), SUPERSET: stamp(SUPERSET)}
    changed = [one for one in wanted if read_stamp(one) != wanted[one]]
    if not changed:
        print(f"setup: environments are current ({time.monotonic() - began:.1f} s)")
        return
    uv = install_uv()
    for one in changed:
        ensure_venv(uv, one)
        more = ["--editable", ".", *torch_options(uv, backend)] if one is PLATFORM else []
        print(f"setup: installing into {one.venv.name} ...", flush=True)
        # The list of packages that uv prints as it goes is for a terminal.
        quiet = [] if sys.stderr.isatty() else ["--quiet"]
        run([uv, "pip", "install", *quiet, "--python", one.python, *one.options, *more])
        one.stamp.write_text(json.dumps(wanted[one]) + "\n")
    print(f"setup: done in {time.monotonic() - began:.0f} s")


def stamp(one: Environment, **more: str) -> dict[str, str]:
    """Return what decides an environment: the files that uv reads, and who made it where.

    The programs of an environment that was moved run those of the old place.
    """
    files = ["pyproject.toml", *(name for name in one.options if name.startswith("constraints/"))]
    decided_by = b"".join((ROOT / name).read_bytes() for name in files)
    made = f"{one.venv}, by Python {sys.version} ({sys.executable})"
    return {"made": made, "decided_by": hashlib.sha256(decided_by).hexdigest(), **more}


def read_stamp(one: Environment) -> dict[str, str]:
    """Return the stamp that an environment was completed with; empty when it does not run."""
    try:
        return json.loads(one.stamp.read_text()) if os.access(one.python, os.X_OK) else {}
    except (OSError, ValueError):
        return {}


def ensure_venv(uv: str, one: Environment) -> None:
    """Make an environment unless it was made here, by this Python; it counts as unfinished now."""
    made = stamp(one)["made"]
    if read_stamp(one).get("made") != made:
        too_new = one is SUPERSET and sys.version_info >= (3, 13)
        python = SUPERSET_PYTHON if too_new else sys.executable  # uv looks for an older one
        run([uv, "venv", "--quiet", "--python", python, "--clear", str(one.venv)])
    one.stamp.write_text(json.dumps({"made": made}))


def pinned(package: str) -> str:
    """Return the version of a package of the platform."""
    pins = (CONSTRAINTS / "platform.txt").read_text()
    return re.findall(rf"^{package}==(\S+)", pins, re.MULTILINE)[0]


def torch_backend() -> str:
    """Return what uv calls the build of torch: `cpu`, `auto` (for the machine's GPU), `cu128`.

    `CITYLOOM_TORCH` names one; else a machine without an NVIDIA GPU gets `cpu`.
    """
    return os.environ.get("CITYLOOM_TORCH") or ("auto" if ask(["nvidia-smi", "-L"]) else "cpu")


def torch_options(uv: str, backend: str) -> list[str]:
    """Return what to add to the installation for a build of torch.

    PyTorch's own index has all builds. Where it cannot be reached, torch is what pip's indexes and
    find-links offer; one that was named, such as `cu128`, is taken from PyTorch or not at all.
    """
    option, version = f"--torch-backend={backend}", pinned("torch")
    probe = [uv, "pip", "compile", "-", "--quiet", "--no-deps", option]
    # Fails soon where there is no way out to PyTorch.
    soon = os.environ | {"UV_HTTP_RETRIES": "0", "UV_HTTP_TIMEOUT": "20"}
    if backend not in ("cpu", "auto") or ask(probe, input=f"torch=={version}", env=soon):
        return [option]
    print(
        f"setup: PyTorch's index does not offer torch {version} here; it comes from pip's indexes\n"
        "  and find-links. Unless they hold a +cpu build, that is the one with CUDA: about 2.5 GB\n"
        "  to download, 5 GB on disk. It works without a GPU as well.",
        flush=True,
    )
    return []


def install_uv() -> str:
    """Return the path of the pinned uv, put into `.cache` by pip; let it do as pip would."""
    version = pinned("uv")
    programs = ROOT / ".cache" / f"uv-{version}" / "bin"
    uv, python = str(programs / "uv"), str(programs / "python")
    if not (ask([uv, "--version"]) and ask([python, "--version"])):
        print(f"setup: pip installs uv {version} in .cache ...", flush=True)
        run([sys.executable, "-m", "venv", "--clear", str(programs.parent)])
        run([python, "-m", "pip", "install", "--quiet", f"uv=={version}"])
    os.environ.update(uv_environment(pip_settings(python)))
    for name in ("VIRTUAL_ENV", "PYTHONPATH"):
        os.environ.pop(name, None)
    return uv


def pip_settings(python: str) -> dict[str, str]:
    """Return pip's settings by name (`find-links`), as pip itself would use them to install."""
    listed = ask([python, "-m", "pip", "config", "list"])
    found: dict[str, str] = {}
    for section in ("global", "install", ":env:"):  # the later one wins
        for name, value in re.findall(rf"^{section}\.([a-z-]+)=(.*)$", listed, re.MULTILINE):
            found[name] = ast.literal_eval(value)
    return found


def uv_environment(settings: dict[str, str]) -> dict[str, str]:
    """Return the environment in which uv does what pip would with its settings.

    What is set for uv itself wins. pip takes the best version from all indexes together, and
    passes over a find-links folder that is not there; so does uv after this.
    """
    if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        # uv has no variable for it; a folder without packages is an index that offers nothing.
        settings = {**settings, "index-url": CONSTRAINTS.as_uri(), "extra-index-url": ""}
    links = filter(is_reachable, settings.get("find-links", "").split())
    settings = {**settings, "find-links": ",".join(links)}
    found = {
        variable: " ".join(settings[name].split())
        for name, variables in PIP_SETTINGS.items()
        for variable in variables
        if settings.get(name)
    }
    # Packages come from indexes; interpreters are the machine's own.
    found |= {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_CONFIG": "1"}
    return {"UV_INDEX_STRATEGY": "unsafe-best-match", **found, **os.environ}


def is_reachable(link: str) -> bool:
    """Return whether a find-links entry is an address, or a path (or file://) that exists."""
    path = unquote(urlsplit(link).path) if link.startswith("file://") else link
    return "://" in path or Path(path).exists()


def ask(command: list[str], **options: Any) -> str:
    """Return a command's output, or nothing when it fails."""
    options = {"capture_output": True, "text": True, "check": True, **options}
    try:
        return subprocess.run(command, **options).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def run(command: list[str]) -> None:
    """Run a command in the checkout, its output shown; exit when it fails."""
    if subprocess.run(command, cwd=ROOT).returncode:
        sys.exit(
            f"setup: `{' '.join(command[:4])} ...` failed; the lines above say why. If a package "
            "cannot be reached, pip's settings (`pip config list`) are the ones used"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
