import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from infra import setup

UV = str(Path(sys.executable).with_name("uv"))


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
    with monkeypatch.context() as patched:
        patched.setattr(os, "environ", dict(os.environ))  # which it changes
        python = str(Path(setup.install_uv()).with_name("python"))
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nfind-links = /global/links\nindex-url = https://file.example/simple\n"
        "[install]\nfind-links = /install/links\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_INDEX_URL", "https://env.example/simple")
    found = setup.pip_settings(python)
    assert found["find-links"] == "/install/links"
    assert found["index-url"] == "https://env.example/simple"


@pytest.mark.parametrize(
    ("choice", "gpus", "wanted"),
    [("", False, "cpu"), ("", True, "auto"), ("cpu", True, "cpu"), ("cu128", False, "cu128")],
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


def test_unknown_build_of_torch_is_refused_by_uv(capfd):
    (option,) = setup.torch_options(UV, "gpu")
    with pytest.raises(SystemExit):
        setup.run([UV, "pip", "install", "--dry-run", option, "torch"])
    assert "invalid value 'gpu'" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("backend", "reached", "options", "announced"),
    [
        ("cpu", True, ["--torch-backend=cpu"], False),
        ("auto", True, ["--torch-backend=auto"], False),
        ("cpu", False, [], True),
        ("auto", False, [], True),
        ("cu128", False, ["--torch-backend=cu128"], False),
    ],
)
def test_without_pytorchs_index_torch_comes_from_pips_and_cuda_is_announced(
    backend, reached, options, announced, tmp_path, capsys
):
    uv = tmp_path / "uv"
    uv.write_text(f"#!/bin/sh\n{'echo torch==2.13.0' if reached else 'exit 2'}\n")
    uv.chmod(0o755)
    assert setup.torch_options(str(uv), backend) == options
    assert ("the one with CUDA" in capsys.readouterr().out) is announced


def test_environment_is_current_only_with_its_stamp_and_python(tmp_path):
    one = replace(setup.PLATFORM, venv=tmp_path)
    wanted = setup.stamp(one, torch="x")
    assert {"made", "decided_by", "torch"} == set(wanted)
    (tmp_path / "bin").mkdir()
    Path(one.python).symlink_to(sys.executable)
    assert setup.read_stamp(one) == {}
    one.stamp.write_text(json.dumps(wanted))
    assert setup.read_stamp(one) == wanted
    Path(one.python).unlink()
    assert setup.read_stamp(one) == {}


def test_environment_is_not_current_after_a_change_of_what_decides_it(tmp_path, monkeypatch):
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    (tmp_path / "constraints").mkdir()
    files = ["pyproject.toml", "constraints/superset.in", "constraints/superset.txt"]
    for name in files:
        (tmp_path / name).write_text("")
    stamps = [setup.stamp(setup.SUPERSET)]
    for name in files:
        (tmp_path / name).write_text(name)
        stamps.append(setup.stamp(setup.SUPERSET))
    assert len({stamp["decided_by"] for stamp in stamps}) == len(files) + 1


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
    with pytest.raises(SystemExit, match=r" is Python 3\.9; .* needs 3\.11 to 3\.13"):
        setup.check_python()


def test_environment_that_was_moved_is_made_anew(tmp_path):
    before, after = tmp_path / "before here" / ".venv", tmp_path / "after"

    def ensure(venv):
        one = replace(setup.SUPERSET, venv=venv)
        setup.ensure_venv(UV, one)
        subprocess.run([one.python, "--version"], check=True)

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


@pytest.mark.parametrize("left", ["nothing", "broken", "complete"])
def test_the_pinned_uv_is_installed_unless_it_is_there_and_runs(left, tmp_path, monkeypatch):
    programs = tmp_path / ".cache" / f"uv-{setup.pinned('uv')}" / "bin"
    if left != "nothing":
        programs.mkdir(parents=True)
        for name in ("uv", "python"):
            (programs / name).write_text(
                f"#!/bin/sh\n{'echo 1' if left == 'complete' else 'exit 1'}\n"
            )
            (programs / name).chmod(0o755)
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(os, "environ", dict(os.environ))  # which it changes
    commands = []
    monkeypatch.setattr(setup, "run", commands.append)
    assert setup.install_uv() == str(programs / "uv")
    wanted = [[sys.executable, "-m", "venv", "--clear"], [str(programs / "python"), "-m", "pip"]]
    assert [command[: len(start)] for command, start in zip(commands, wanted, strict=False)] == (
        [] if left == "complete" else wanted
    )


def test_without_an_index_only_find_links_are_used(tmp_path):
    folder = tmp_path / "wheels"
    folder.mkdir()
    variables = setup.uv_environment(
        {"no-index": "1", "index-url": "https://a.example", "find-links": str(folder)}
    )
    asked = [UV, "pip", "compile", "-", "--no-deps", "--no-cache"]
    done = subprocess.run(asked, input="idna", env=variables, capture_output=True, text=True)
    assert "idna was not found in the package registry" in done.stderr
    with zipfile.ZipFile(folder / "idna-99-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            "idna-99.dist-info/METADATA", "Metadata-Version: 2.1\nName: idna\nVersion: 99"
        )
        wheel.writestr("idna-99.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any")
        wheel.writestr("idna-99.dist-info/RECORD", "")
    done = subprocess.run(asked, input="idna", env=variables, capture_output=True, text=True)
    assert "idna==99" in done.stdout, done.stderr


def test_dbts_parser_that_downloads_from_outside_the_index_is_left_out():
    (line,) = [
        line
        for line in (setup.CONSTRAINTS / "overrides.txt").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert line == 'dbt-core-experimental-parser ; sys_platform == "never"'


def test_superset_gets_an_older_python_where_this_one_is_too_new(tmp_path, monkeypatch):
    one = replace(setup.SUPERSET, venv=tmp_path / "venv")
    monkeypatch.setattr(setup.sys, "version_info", (3, 13, 1))
    setup.ensure_venv(UV, one)
    answer = subprocess.run([one.python, "--version"], capture_output=True, text=True, check=True)
    assert answer.stdout.startswith(("Python 3.11", "Python 3.12"))
