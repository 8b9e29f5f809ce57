import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from infra import setup


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")) or name in ("SSL_CERT_FILE", "HTTPS_PROXY"):
            monkeypatch.delenv(name)


def test_pips_settings_reach_uv(tmp_path):
    variables = setup.uv_environment(
        {
            "find-links": f"{tmp_path} /no/such/folder file://{tmp_path} https://wheels.example/",
            "index-url": "https://mirror.example/simple",
            "extra-index-url": "file:///opt/a/simple\nhttps://b.example/simple",
            "cert": "/etc/ca.crt",
            "proxy": "http://proxy.example:3128",
            "trusted-host": "mirror.example b.example",
            "default-timeout": "180",
        }
    )
    assert variables["UV_FIND_LINKS"] == f"{tmp_path},file://{tmp_path},https://wheels.example/"
    assert variables["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    assert variables["UV_INDEX"] == "file:///opt/a/simple https://b.example/simple"
    assert variables["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert variables["SSL_CERT_FILE"] == "/etc/ca.crt"
    assert variables["HTTPS_PROXY"] == "http://proxy.example:3128"
    assert variables["UV_INSECURE_HOST"] == "mirror.example b.example"
    assert variables["UV_HTTP_TIMEOUT"] == "180"


def test_uvs_own_variables_win(monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://mine.example/simple")
    variables = setup.uv_environment({"index-url": "https://pips.example/simple"})
    assert variables["UV_DEFAULT_INDEX"] == "https://mine.example/simple"


def test_pip_itself_is_asked_and_environment_wins(tmp_path, monkeypatch):
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nfind-links = /global/links\nindex-url = https://file.example/simple\n"
        "[install]\nfind-links = /install/links\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_INDEX_URL", "https://env.example/simple")
    found = setup.pip_settings(tmp_path)
    assert found["find-links"] == "/install/links"
    assert found["index-url"] == "https://env.example/simple"


@pytest.mark.parametrize(
    ("choice", "gpus", "wanted"),
    [
        ("auto", False, "cpu"),
        ("auto", True, "auto"),
        ("cpu", True, "cpu"),
        ("cuda", False, "auto"),
        ("cu128", False, "cu128"),
    ],
)
def test_build_of_torch_follows_the_machine_unless_one_is_named(
    choice, gpus, wanted, tmp_path, monkeypatch
):
    monkeypatch.setenv("CITYLOOM_TORCH", choice)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    answer = tmp_path / "nvidia-smi"
    answer.write_text(f"#!/bin/sh\n{'echo GPU 0: H200' if gpus else 'exit 9'}\n")
    answer.chmod(0o755)
    assert setup.torch_backend() == wanted


def test_unknown_build_of_torch_is_refused(monkeypatch):
    monkeypatch.setenv("CITYLOOM_TORCH", "gpu")
    with pytest.raises(setup.SetupError, match="use cpu, cuda, auto or cu128"):
        setup.torch_backend()


def test_environment_is_current_only_with_its_stamp_and_python(tmp_path):
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(sys.executable)
    wanted = setup.stamp(setup.PLATFORM, torch="x")
    assert not setup.is_current(venv, wanted)
    (venv / "cityloom.json").write_text(json.dumps(wanted))
    assert setup.is_current(venv, wanted)
    for key in ("made", "decided_by", "torch"):
        assert not setup.is_current(venv, {**wanted, key: "another"})
    (venv / "bin" / "python").unlink()
    assert not setup.is_current(venv, wanted)


def test_pins_name_no_address_and_no_local_build():
    for name in ("platform.txt", "superset.txt"):
        text = (setup.CONSTRAINTS / name).read_text()
        assert "://" not in text
        assert "--" not in text
        assert not [line for line in text.splitlines() if "==" in line and "+" in line]
    assert "\ntorch==" in (setup.CONSTRAINTS / "platform.txt").read_text()


def test_set_up_needs_the_standard_library_only():
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import runpy; runpy.run_path({setup.__file__!r})"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_wrong_python_is_named_with_a_remedy(monkeypatch):
    monkeypatch.setattr(setup.sys, "version_info", (3, 9, 2))
    with pytest.raises(setup.SetupError, match=r"this is Python 3\.9 .* needs 3\.11 to 3\.13"):
        setup.check_python()


def test_environment_that_was_moved_is_made_anew(tmp_path):
    before, after = tmp_path / "before here" / ".venv", tmp_path / "after"

    def ensure(venv):
        uv = str(Path(sys.executable).with_name("uv"))
        python = setup.ensure_venv(uv, venv, setup.stamp(replace(setup.SUPERSET, venv=venv)))
        subprocess.run([python, "--version"], check=True)

    ensure(before)
    (before / "kept").touch()
    ensure(before)
    assert (before / "kept").exists()
    before.rename(after)
    (after / "moved").touch()
    ensure(after)
    assert not (after / "moved").exists()
    assert str(after) in (after / "bin" / "activate").read_text()
    (after / "bin" / "python").unlink()
    (after / "broken").touch()
    ensure(after)
    assert not (after / "broken").exists()


@pytest.mark.parametrize(
    ("output", "taken"), [("uv 0.12.3 (abc 2026-01-01)", True), ("uv 0.5.1", False), ("", False)]
)
def test_uv_on_path_is_used_when_new_enough(output, taken, tmp_path, monkeypatch):
    on_path = tmp_path / "uv"
    on_path.write_text(f"#!/bin/sh\necho '{output}'\n")
    on_path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    installed = []
    monkeypatch.setattr(setup, "run", installed.append)
    found = setup.find_uv(tmp_path / "own")
    assert found == str(on_path if taken else tmp_path / "own" / "bin" / "uv")
    assert bool(installed) is not taken


PLAIN = "torch==2.13.0\nnvidia-cudnn-cu13==9\n"


@pytest.mark.parametrize(
    ("answers", "wanted"),
    [
        ({"plain": "torch==2.13.0+cpu\n"}, "2.13.0+cpu, a CPU build"),
        ({"plain": "torch==2.13.0\n"}, "2.13.0, a CPU build"),  # on ARM
        ({"plain": PLAIN, "backend": "torch==2.13.0+cpu\n"}, "the CPU build of PyTorch's index"),
        ({"plain": PLAIN}, "with CUDA, for want of a CPU build"),
        ({}, "uv cannot resolve torch 2.13.0:\nerror: no cache"),
    ],
)
def test_a_cpu_build_is_looked_for_before_cuda(answers, wanted, tmp_path, monkeypatch):
    (tmp_path / "platform.txt").write_text("torch==2.13.0\n")
    monkeypatch.setattr(setup, "CONSTRAINTS", tmp_path)
    for name, text in answers.items():
        (tmp_path / name).write_text(text)
    uv = tmp_path / "uv"  # answers from files beside it
    uv.write_text(
        f"""#!/bin/sh
read wanted
case "$*" in *backend=cpu*) name=backend;; *) name=plain;; esac
cat "{tmp_path}/$name" 2>/dev/null || {{ echo "error: no cache" >&2; exit 2; }}
"""
    )
    uv.chmod(0o755)
    try:
        _, output = setup.choose_torch(str(uv), sys.executable, "cpu")
    except setup.SetupError as error:
        output = str(error)
    assert wanted in output


def test_dbts_parser_that_downloads_from_outside_the_index_is_left_out():
    (line,) = [
        line
        for line in (setup.CONSTRAINTS / "overrides.txt").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert line == 'dbt-core-experimental-parser ; sys_platform == "never"'
