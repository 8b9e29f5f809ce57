"""Making the two environments: `.venv` (the platform) and `.venv-superset`; and their pins.

Run by the machine's own Python (3.11 to 3.13), so it needs nothing but the standard library:

    python3 infra/setup.py                        # make setup
    python3 infra/setup.py uv pip compile ...     # uv as set-up runs it: `make pins`

uv installs; where it is not on PATH, pip puts it into `.cache/uv`. pip's settings (indexes,
find-links, certificates, proxy) are handed to uv. torch: see `choose_torch`.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints"
SUPPORTED = ((3, 11), (3, 13))
#: Superset's pinned pandas and numpy have no ready builds past this one.
SUPERSET_LAST = (3, 12)
#: What `is_current` and `ensure_venv` read, in each environment.
STAMP = "cityloom.json"
#: An environment for uv alone, where it is not on PATH: the others can then be made anew.
OWN_UV = ROOT / ".cache" / "uv"
#: An older uv does not know what it is asked here.
UV_FIRST = (0, 8)

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


class SetupError(Exception):
    """Set-up cannot go on; the message has the remedy."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and the files under `constraints/` and beside that decide it."""

    title: str
    venv: Path
    options: tuple[str, ...]
    decided_by: tuple[str, ...]


PLATFORM = Environment(
    "the platform",
    ROOT / ".venv",
    (
        *("--editable", ".", "--group", "dev", "--constraints", "constraints/platform.txt"),
        *("--overrides", "constraints/overrides.txt"),
    ),
    ("pyproject.toml", "constraints/platform.txt", "constraints/overrides.txt"),
)
SUPERSET = Environment(
    "Superset",
    Path(os.environ.get("CITYLOOM_SUPERSET_VENV") or ROOT / ".venv-superset"),
    ("--requirements", "constraints/superset.in", "--constraints", "constraints/superset.txt"),
    ("constraints/superset.in", "constraints/superset.txt"),
)


def main(arguments: list[str]) -> int:
    """Set up, or run `uv` with arguments; return the exit status."""
    try:
        check_python()
        if arguments[:1] == ["uv"]:
            use_pip_settings()
            run([find_uv(), *arguments[1:], *no_index()])
        elif arguments:
            raise SetupError(f"unknown argument {arguments[0]!r}; see the head of {__file__}")
        else:
            make_environments()
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    return 0


def check_python() -> None:
    """Raise `SetupError` when this interpreter is not one that the pins resolve for."""
    first, last = SUPPORTED
    if not first <= sys.version_info[:2] <= last:
        raise SetupError(
            f"this is Python {sys.version_info[0]}.{sys.version_info[1]} ({sys.executable}); "
            f"Cityloom needs 3.{first[1]} to 3.{last[1]}: `make PYTHON=python3.{first[1]} setup`"
        )


def make_environments() -> None:
    """Make or bring up to date both environments; return at once when nothing changed."""
    began = time.monotonic()
    backend = torch_backend()
    stamps = {PLATFORM: stamp(PLATFORM, torch=backend), SUPERSET: stamp(SUPERSET)}
    todo = {one: wanted for one, wanted in stamps.items() if not is_current(one.venv, wanted)}
    if not todo:
        print(f"setup: environments are current ({time.monotonic() - began:.1f} s)")
        return
    uv = find_uv()
    use_pip_settings()
    for one, wanted in todo.items():
        python = ensure_venv(uv, one.venv, wanted, superset=one is SUPERSET)
        torch: list[str] = []
        if one is PLATFORM:
            torch, chosen = choose_torch(uv, python, backend)
            print(f"setup: torch: {chosen}", flush=True)
        print(f"setup: installing {one.title} into {one.venv.name} ...", flush=True)
        # The list of packages that uv prints as it goes is for a terminal.
        quiet = [] if sys.stderr.isatty() else ["--quiet"]
        command = [uv, "pip", "install", *quiet, "--python", python, *one.options, *torch]
        run([*command, *no_index()])
        (one.venv / STAMP).write_text(json.dumps(wanted) + "\n")
    print(f"setup: done in {time.monotonic() - began:.0f} s")


# --- environments ---------------------------------------------------------------------------


def stamp(one: Environment, **more: str) -> dict[str, str]:
    """Return what decides an environment: its files under `constraints/`, and who made it where.

    The programs of an environment that was moved run those of the old place.
    """
    decided_by = b"".join((ROOT / name).read_bytes() for name in one.decided_by)
    made = f"{one.venv.absolute()}, by Python {sys.version} ({sys.executable})"
    return {"made": made, "decided_by": hashlib.sha256(decided_by).hexdigest(), **more}


def read_stamp(venv: Path) -> dict[str, str]:
    """Return the stamp that an environment was completed with."""
    try:
        return json.loads((venv / STAMP).read_text())
    except (OSError, ValueError):
        return {}


def is_current(venv: Path, wanted: dict[str, str]) -> bool:
    """Return whether an environment was completed with this stamp and still runs."""
    return read_stamp(venv) == wanted and os.access(venv / "bin" / "python", os.X_OK)


def ensure_venv(uv: str, venv: Path, wanted: dict[str, str], superset: bool = False) -> str:
    """Make an environment unless it was made here, by this Python; return its python.

    It counts as unfinished from here on.
    """
    python = venv / "bin" / "python"
    if read_stamp(venv).get("made") != wanted["made"] or not ask([str(python), "--version"]):
        interpreter = superset_interpreter(uv) if superset else sys.executable
        run([uv, "venv", "--quiet", "--python", interpreter, "--clear", str(venv)])
    (venv / STAMP).write_text(json.dumps({"made": wanted["made"]}))
    return str(python)


def find_uv(own: Path = OWN_UV) -> str:
    """Return uv's path: the one on PATH if new enough, else one that pip installs for set-up."""
    found = shutil.which("uv")
    if found and uv_version(found) >= UV_FIRST:
        return found
    inside = str(own / "bin" / "uv")
    if uv_version(inside) >= UV_FIRST:
        return inside
    why = "is older than {}.{}".format(*UV_FIRST) if found else "is not on PATH"
    print(f"setup: uv {why}; pip installs it in {own}", flush=True)
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(own)], capture_output=True, text=True
    )
    if made.returncode:
        shutil.rmtree(own, ignore_errors=True)
        reason = (made.stdout + made.stderr).strip()
        raise SetupError(
            f"{sys.executable} cannot make virtual environments ({reason.splitlines()[0]}). "
            "On Debian and Ubuntu: `apt-get install python3-venv`; or install uv "
            "(`pip install uv`) and try again"
        )
    pip = [str(own / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    run([*pip, f"uv=={pinned('uv')}"])
    return inside


def uv_version(uv: str) -> tuple[int, ...]:
    """Return the version of a uv, (0,) for one that does not run."""
    found = re.match(r"uv (\d+)\.(\d+)", ask([uv, "--version"]))
    return (int(found[1]), int(found[2])) if found else (0,)


def pinned(package: str) -> str:
    """Return the version of a package of the platform; raise `SetupError` without a pin."""
    text = (CONSTRAINTS / "platform.txt").read_text()
    if found := re.search(rf"^{package}==(\S+)", text, re.MULTILINE):
        return found[1]
    raise SetupError(f"constraints/platform.txt pins no {package}; run `make pins`")


def superset_interpreter(uv: str) -> str:
    """Return the Python for Superset: this one, or an older one where Superset needs it."""
    if sys.version_info[:2] <= SUPERSET_LAST:
        return sys.executable
    wanted = f">=3.{SUPPORTED[0][1]},<3.{SUPERSET_LAST[1] + 1}"
    if found := ask([uv, "python", "find", "--system", wanted]):
        return found
    print(
        f"setup: Superset has ready builds up to Python 3.{SUPERSET_LAST[1]} and none was found; "
        "some of its packages are compiled now, which needs a C compiler",
        flush=True,
    )
    return sys.executable


# --- torch ----------------------------------------------------------------------------------


def torch_backend() -> str:
    """Return what uv calls the build of torch: `cpu`, `auto` (for the machine's GPU), `cu128`.

    `CITYLOOM_TORCH` names one; else a machine without an NVIDIA GPU gets `cpu`.
    """
    choice = os.environ.get("CITYLOOM_TORCH", "auto").lower()
    if not re.fullmatch(r"auto|cpu|cuda|cu\d+", choice):
        raise SetupError(f"CITYLOOM_TORCH={choice!r}: use cpu, cuda, auto or cu128 (a version)")
    if choice == "auto" and not (shutil.which("nvidia-smi") and ask(["nvidia-smi", "-L"])):
        return "cpu"
    return "auto" if choice == "cuda" else choice


def choose_torch(uv: str, python: str, backend: str) -> tuple[list[str], str]:
    """Return what to add to the installation for the right build of torch, and which that is.

    Without a GPU, in this order: a build without CUDA that pip's own indexes and find-links
    offer; the one from PyTorch's own index; at last, and announced, the CUDA build.
    """
    version = pinned("torch")
    plain = f"torch=={version}"
    option = f"--torch-backend={backend}"

    def resolve(*options: str) -> tuple[str, str]:
        done = subprocess.run(
            [
                *(uv, "pip", "compile", "-", "--python", python, *options, *no_index()),
                *("--quiet", "--no-header", "--no-annotate"),
                *("--constraints", str(CONSTRAINTS / "platform.txt")),
            ],
            input=plain,
            capture_output=True,
            text=True,
            env=os.environ | {"UV_HTTP_RETRIES": "1"},  # fail soon where there is no network
        )
        return (done.stdout if done.returncode == 0 else "", done.stderr)

    resolved, reason = resolve()
    build = re.search(r"^torch==(\S+)", resolved, re.MULTILINE)
    if backend == "cpu" and build and not re.search(r"^(nvidia|cuda)-", resolved, re.MULTILINE):
        return [f"torch=={build[1]}"], f"{build[1]}, a CPU build"
    print("setup: torch: asking PyTorch's own index ...", flush=True)
    if resolve(option)[0]:
        return [plain, option], f"{version}, the {backend.upper()} build of PyTorch's index"
    if not resolved:  # not for want of a build: a network, a certificate, uv's cache
        raise SetupError(f"uv cannot resolve torch {version}:\n{reason.strip()}")
    # === : a +cpu wheel in find-links counts as newer otherwise.
    if backend != "cpu":
        return [f"torch==={version}"], f"{version} with CUDA"
    line = "*" * 88
    print(
        f"{line}\nsetup: only the CUDA build of torch can be had here, though this machine has no "
        "NVIDIA GPU:\n  about 2.5 GB to download, 5 GB on disk. It works on the CPU as well.\n  To "
        f"avoid it, interrupt now and name a folder with torch {version}+cpu in PIP_FIND_LINKS.\n"
        f"{line}",
        flush=True,
    )
    return [plain], f"{version} with CUDA, for want of a CPU build"


# --- pip's settings, for uv -----------------------------------------------------------------


def use_pip_settings() -> None:
    """Let every uv that is run from here on do what pip would with its settings."""
    os.environ.update(uv_environment(pip_settings()))
    for name in ("VIRTUAL_ENV", "PYTHONPATH"):
        os.environ.pop(name, None)


def pip_settings(own: Path = OWN_UV) -> dict[str, str]:
    """Return pip's settings by name (`find-links`), as pip itself would use them to install."""
    listed = ""
    for python in (sys.executable, str(own / "bin" / "python"), "/usr/bin/python3"):
        listed = listed or ask([python, "-m", "pip", "config", "list"])
    found: dict[str, str] = {}
    for section in ("global", "install", ":env:"):  # the later one wins
        for name, value in re.findall(rf"^{section}\.([a-z-]+)=(.*)$", listed, re.MULTILINE):
            found[name] = ast.literal_eval(value) if value[:1] in "'\"" else value
    return found


def uv_environment(settings: dict[str, str]) -> dict[str, str]:
    """Return the environment in which uv does what pip would with its settings.

    What is set for uv itself wins. pip takes the best version from all indexes together, and
    passes over a find-links folder that is not there; so does uv after this.
    """
    links = filter(is_reachable, settings.get("find-links", "").split())
    settings = {**settings, "find-links": ",".join(links)}
    found = {
        variable: " ".join(settings[name].split())
        for name, variables in PIP_SETTINGS.items()
        for variable in variables
        if settings.get(name)
    }
    if "UV_INDEX" in found:
        found["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        found["CITYLOOM_NO_INDEX"] = "1"
    # Packages come from indexes; interpreters are the machine's own.
    found |= {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_CONFIG": "1"}
    return found | os.environ


def is_reachable(link: str) -> bool:
    """Return whether a find-links entry is an address, or a path (or file://) that exists."""
    path = unquote(urlsplit(link).path) if link.startswith("file://") else link
    return "://" in path or Path(path).exists()


def no_index() -> list[str]:
    """Return uv's option for pip's `no-index`, which uv reads from no variable."""
    return ["--no-index"] if os.environ.get("CITYLOOM_NO_INDEX") else []


def ask(command: list[str]) -> str:
    """Return a command's output, or nothing when it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def run(command: list[str]) -> None:
    """Run a command in the checkout, its output shown; raise `SetupError` when it fails."""
    if subprocess.run(command, cwd=ROOT).returncode:
        raise SetupError(
            f"`{' '.join(command[:4])} ...` failed; the lines above say why. If a package cannot "
            "be reached, pip's settings (`pip config list`) are the ones used"
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
