"""Making the two environments: `.venv` (the platform) and `.venv-superset`; and their pins.

Run by the machine's own Python (3.11 to 3.13), so it needs nothing but the standard library:

    python3 infra/setup.py            # make setup
    python3 infra/setup.py pins       # make pins [UPGRADE=1]

uv installs; where it is not on PATH, it is put into `.venv` by pip. What pip is told (indexes,
find-links, certificates, proxy) is told to uv too. torch: see `choose_torch`.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints"
SUPPORTED = ((3, 11), (3, 13))
#: Superset's pinned pandas and numpy have no ready builds past this one.
SUPERSET_LAST = (3, 12)
#: An older uv does not know what it is asked here.
UV_FIRST = (0, 8)
#: Roughly what a CUDA build of torch weighs on Linux: to download, on disk.
CUDA_SIZE = "about 2.5 GB to download, 5 GB on disk"


class SetupError(Exception):
    """Set-up cannot go on; the message says what to do."""


def main(arguments: list[str]) -> int:
    """Run `setup` (default) or `pins`; return the exit status."""
    try:
        check_python()
        if arguments[:1] == ["pins"]:
            make_pins(upgrade="--upgrade" in arguments)
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
    venv = ROOT / ".venv"
    superset_venv = Path(os.environ.get("CITYLOOM_SUPERSET_VENV") or ROOT / ".venv-superset")
    cuda = wants_cuda()
    platform = fingerprint(
        "pyproject.toml", "constraints/platform.txt", "constraints/overrides.txt", f"cuda={cuda}"
    )
    superset = fingerprint("constraints/superset.in", "constraints/superset.txt")
    todo = [
        name
        for name, folder, wanted in (
            ("platform", venv, platform),
            ("superset", superset_venv, superset),
        )
        if not is_current(folder, wanted)
    ]
    if not todo:
        print(f"setup: environments are current ({time.monotonic() - began:.1f} s)")
        return
    uv = find_uv(venv)
    environment = uv_environment(pip_settings(venv))
    if "platform" in todo:
        ensure_venv(uv, venv, sys.executable, environment)
        python = str(venv / "bin" / "python")
        torch, said = choose_torch(uv, python, environment, cuda)
        print(f"setup: torch: {said}", flush=True)
        forget(venv)
        print("setup: installing the platform into .venv ...", flush=True)
        run(
            [
                *(uv, "pip", "install", *quiet(), "--python", python),
                *("--editable", str(ROOT), "--group", f"{ROOT / 'pyproject.toml'}:dev"),
                *("--constraints", str(CONSTRAINTS / "platform.txt")),
                *("--overrides", str(CONSTRAINTS / "overrides.txt")),
                *torch,
                *no_index(environment),
            ],
            environment,
        )
        remember(venv, platform, {"torch": said})
    if "superset" in todo:
        interpreter = superset_interpreter()
        ensure_venv(uv, superset_venv, interpreter, environment)
        forget(superset_venv)
        print(f"setup: installing Superset into {superset_venv.name} ...", flush=True)
        run(
            [
                *(uv, "pip", "install", *quiet()),
                *("--python", str(superset_venv / "bin" / "python")),
                *("--requirements", str(CONSTRAINTS / "superset.in")),
                *("--constraints", str(CONSTRAINTS / "superset.txt")),
                *no_index(environment),
            ],
            environment,
        )
        remember(superset_venv, superset, {})
    print(f"setup: done in {time.monotonic() - began:.0f} s")


def make_pins(upgrade: bool) -> None:
    """Resolve the pins anew, for every supported Python; keep what still fits unless `upgrade`.

    find-links are left out: what one machine has lying about is no pin for another.
    """
    venv = ROOT / ".venv"
    uv = find_uv(venv)
    environment = uv_environment(pip_settings(venv))
    environment.pop("UV_FIND_LINKS", None)
    for target, sources in {
        "platform.txt": ["pyproject.toml", "--group", "dev"],
        "superset.txt": ["constraints/superset.in"],
    }.items():
        run(
            [
                *(uv, "pip", "compile", *sources, "--output-file", f"constraints/{target}"),
                *("--universal", "--python-version", f"{SUPPORTED[0][0]}.{SUPPORTED[0][1]}"),
                *("--overrides", "constraints/overrides.txt"),
                *("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
                *("--quiet", *(["--upgrade"] if upgrade else [])),
                *no_index(environment),
            ],
            environment,
        )
        path = CONSTRAINTS / target
        # A local build's suffix (+cpu) is this machine's, not the project's.
        path.write_text(re.sub(r"==([^\s;+]+)\+\S+", r"==\1", path.read_text()))
        print(f"pins: {path.relative_to(ROOT)}")


# --- environments ---------------------------------------------------------------------------


def fingerprint(*parts: str) -> str:
    """Return a hash of files of the checkout (by path), of other words, and of this Python."""
    seen = hashlib.sha256(f"{ROOT} {sys.version} {sys.executable}".encode())
    for part in parts:
        path = ROOT / part
        seen.update(path.read_bytes() if path.is_file() else part.encode())
    return seen.hexdigest()


def is_current(venv: Path, wanted: str) -> bool:
    """Tell whether an environment was completed with this fingerprint and still runs."""
    try:
        made = json.loads((venv / "cityloom.json").read_text())
    except (OSError, ValueError):
        return False
    return made.get("fingerprint") == wanted and os.access(venv / "bin" / "python", os.X_OK)


def forget(venv: Path) -> None:
    """Take the stamp away while an installation is under way."""
    (venv / "cityloom.json").unlink(missing_ok=True)


def remember(venv: Path, made: str, more: dict[str, str]) -> None:
    """Leave the stamp that `is_current` reads."""
    (venv / "cityloom.json").write_text(json.dumps({"fingerprint": made, **more}) + "\n")


def ensure_venv(uv: str, venv: Path, interpreter: str, environment: dict[str, str]) -> None:
    """Make an environment where there is none that was made here, for that version of Python.

    One that was moved or copied here runs the programs of where it was.
    """
    python = venv / "bin" / "python"
    wanted = ask([interpreter, "-c", "import sys; print(sys.version)"])
    runs = wanted == ask([str(python), "-c", "import sys; print(sys.version)"])
    if runs and is_at_home(venv):
        return
    keep = Path(uv).is_relative_to(venv)  # uv itself lives there
    run(
        [
            *(uv, "venv", "--quiet", "--python", interpreter),
            "--allow-existing" if keep else "--clear",
            str(venv),
        ],
        environment,
    )


def is_at_home(venv: Path) -> bool:
    """Tell whether an environment was made for the place where it is."""
    try:
        for line in (venv / "bin" / "activate").read_text().splitlines():
            name, _, value = line.strip().removeprefix("export ").partition("=")
            if name == "VIRTUAL_ENV" and shlex.split(value) == [str(venv.absolute())]:
                return True
    except (OSError, ValueError):
        pass
    return False


def find_uv(venv: Path) -> str:
    """Return uv's path: the one on PATH if new enough, else one that pip puts into `.venv`."""
    found = shutil.which("uv")
    if found and uv_version(found) >= UV_FIRST:
        return found
    inside = venv / "bin" / "uv"
    if uv_version(str(inside)) >= UV_FIRST and is_at_home(venv):
        return str(inside)
    why = "is older than {}.{}".format(*UV_FIRST) if found else "is not on PATH"
    print(f"setup: uv {why}; pip puts it into .venv", flush=True)
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(venv)], capture_output=True, text=True
    )
    if made.returncode:
        shutil.rmtree(venv, ignore_errors=True)
        reason = (made.stdout + made.stderr).strip()
        raise SetupError(
            f"{sys.executable} cannot make virtual environments ({reason.splitlines()[0]}). "
            "On Debian and Ubuntu: `apt-get install python3-venv`; or install uv "
            "(`pip install uv`) and try again"
        )
    pin = re.search(r"^uv==\S+", (CONSTRAINTS / "platform.txt").read_text(), re.MULTILINE)
    python = str(venv / "bin" / "python")
    run([python, "-m", "pip", "install", "--quiet", pin[0] if pin else "uv"], dict(os.environ))
    return str(inside)


def uv_version(uv: str) -> tuple[int, ...]:
    """Return the version of a uv, (0,) for one that does not run."""
    said = re.match(r"uv (\d+)\.(\d+)", ask([uv, "--version"]))
    return (int(said[1]), int(said[2])) if said else (0,)


def superset_interpreter() -> str:
    """Return the Python for Superset: this one, or an older one where Superset needs it."""
    if sys.version_info[:2] <= SUPERSET_LAST:
        return sys.executable
    for minor in range(SUPERSET_LAST[1], SUPPORTED[0][1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        if found and ask([found, "-c", "import sys; print(sys.version)"]):
            return found
    print(
        f"setup: Superset has ready builds up to Python 3.{SUPERSET_LAST[1]} and none was found; "
        "some of its packages are compiled now, which needs a C compiler",
        flush=True,
    )
    return sys.executable


# --- torch ----------------------------------------------------------------------------------


def wants_cuda() -> bool:
    """Tell whether torch shall be a CUDA build: CITYLOOM_TORCH, else whether there is a GPU."""
    choice = os.environ.get("CITYLOOM_TORCH", "auto").lower()
    if choice not in ("auto", "cpu", "cuda"):
        raise SetupError(f"CITYLOOM_TORCH={choice!r}: say cpu, cuda or auto")
    if choice != "auto":
        return choice == "cuda"
    return bool(shutil.which("nvidia-smi") and ask(["nvidia-smi", "-L"]))


def choose_torch(
    uv: str, python: str, environment: dict[str, str], cuda: bool
) -> tuple[list[str], str]:
    """Return what to add to the installation for the right build of torch, and which that is.

    Without a GPU, in this order: a build without CUDA that pip's own indexes and find-links
    offer; the one from PyTorch's own index; at last, and said loudly, the CUDA build.
    """
    pin = re.search(r"^torch==(\S+)", (CONSTRAINTS / "platform.txt").read_text(), re.MULTILINE)
    if pin is None:
        raise SetupError("constraints/platform.txt pins no torch; run `make pins`")
    version = pin[1]
    if cuda:
        # === : a +cpu wheel in find-links counts as newer otherwise.
        return [f"torch==={version}"], f"{version} with CUDA"
    said = ""
    for local in (f"torch=={version}+cpu", f"torch=={version}"):
        resolved, said = resolve(uv, python, environment, local)
        if resolved and not re.search(r"^(nvidia|cuda)-", resolved, re.MULTILINE):
            build = re.search(r"^torch==(\S+)", resolved, re.MULTILINE)
            return [local], f"{build[1] if build else version}, a CPU build"
    print("setup: torch: no CPU build in pip's indexes; asking PyTorch's own ...", flush=True)
    backend = ["--torch-backend=cpu"]
    if resolve(uv, python, environment, f"torch=={version}", *backend)[0]:
        return [f"torch=={version}", *backend], f"{version}, the CPU build of PyTorch's index"
    if not resolved:  # not for want of a build: a network, a certificate, uv's cache
        raise SetupError(f"uv cannot tell what torch {version} needs:\n{said.strip()}")
    line = "*" * 88
    print(
        f"{line}\nsetup: only the CUDA build of torch can be had here, though this machine has no "
        f"NVIDIA GPU:\n  {CUDA_SIZE}. It works on the CPU as well.\n  To avoid it, interrupt now "
        f"and name a folder with torch {version}+cpu in PIP_FIND_LINKS.\n{line}",
        flush=True,
    )
    return [f"torch=={version}"], f"{version} with CUDA, for want of a CPU build"


def resolve(
    uv: str, python: str, environment: dict[str, str], requirement: str, *options: str
) -> tuple[str, str]:
    """Return what a requirement resolves to, under the platform's pins, and what uv says of it.

    The first is empty when it cannot be resolved.
    """
    done = subprocess.run(
        [
            *(uv, "pip", "compile", "-", "--python", python),
            *("--quiet", "--no-header", "--no-annotate"),
            *("--constraints", str(CONSTRAINTS / "platform.txt")),
            *options,
            *no_index(environment),
        ],
        input=requirement,
        capture_output=True,
        text=True,
        # A network that leads nowhere shall not be waited for.
        env=environment | {"UV_HTTP_RETRIES": "1"},
    )
    return (done.stdout if done.returncode == 0 else "", done.stderr)


# --- pip's settings, for uv -----------------------------------------------------------------


def pip_settings(venv: Path) -> dict[str, str]:
    """Return pip's settings by name (`find-links`), as pip itself would use them to install."""
    listed = ""
    for python in (sys.executable, str(venv / "bin" / "python"), "/usr/bin/python3"):
        listed = ask([python, "-m", "pip", "config", "list"])
        if listed:
            break
    settings: dict[str, dict[str, str]] = {"global": {}, "install": {}}
    for line in listed.splitlines():
        match = re.match(r"(global|install)\.([a-z-]+)=(.*)$", line.strip())
        if match:
            value = match[3]
            if value[:1] in "'\"":
                value = ast.literal_eval(value)
            settings[match[1]][match[2]] = value
    found = settings["global"] | settings["install"]
    for name, value in os.environ.items():
        if name.startswith("PIP_"):
            found[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    return found


def uv_environment(settings: dict[str, str]) -> dict[str, str]:
    """Return an environment in which uv does what pip would with its settings.

    What is set for uv itself wins. pip takes the best version from all indexes together, and
    passes over a find-links folder that is not there; so does uv after this.
    """
    told: dict[str, str] = {}
    links = [
        link
        for link in settings.get("find-links", "").split()
        if "://" in link.removeprefix("file://") or Path(local_path(link)).exists()
    ]
    if links:
        told["UV_FIND_LINKS"] = ",".join(links)
    if settings.get("index-url"):
        told["UV_DEFAULT_INDEX"] = settings["index-url"]
    if settings.get("extra-index-url"):
        told["UV_INDEX"] = " ".join(settings["extra-index-url"].split())
        told["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    if settings.get("cert"):
        told["SSL_CERT_FILE"] = settings["cert"]
    if settings.get("client-cert"):
        told["SSL_CLIENT_CERT"] = settings["client-cert"]
    if settings.get("trusted-host"):
        told["UV_INSECURE_HOST"] = " ".join(settings["trusted-host"].split())
    if settings.get("proxy"):
        told["HTTPS_PROXY"] = told["HTTP_PROXY"] = settings["proxy"]
    if settings.get("default-timeout") or settings.get("timeout"):
        told["UV_HTTP_TIMEOUT"] = settings.get("timeout") or settings["default-timeout"]
    if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        told["CITYLOOM_NO_INDEX"] = "1"
    # Packages come from indexes; interpreters are the machine's own.
    told |= {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_CONFIG": "1"}
    base = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
    return told | base


def no_index(environment: dict[str, str]) -> list[str]:
    """Return uv's option for pip's `no-index`, which uv reads from no variable."""
    return ["--no-index"] if environment.get("CITYLOOM_NO_INDEX") else []


def quiet() -> list[str]:
    """Return uv's option against its list of every package where nobody watches it grow."""
    return [] if sys.stderr.isatty() else ["--quiet"]


def local_path(link: str) -> str:
    """Return the path that a find-links entry names, given plainly or as file://."""
    return unquote(urlsplit(link).path) if link.startswith("file://") else link


def ask(command: list[str]) -> str:
    """Return a command's output, or nothing when it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def run(command: list[str], environment: dict[str, str]) -> None:
    """Run a command in the checkout, its output shown; raise `SetupError` when it fails."""
    done = subprocess.run(command, env=environment, cwd=ROOT)
    if done.returncode:
        raise SetupError(
            f"`{' '.join(command[:4])} ...` failed; the lines above say why. If a package cannot "
            "be reached, pip's settings (`pip config list`) are the ones used"
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
