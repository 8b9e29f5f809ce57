"""`cityloom sources connectors` and `schema`: what manifests may say, from the models."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import yaml
from typer.testing import CliRunner

from cli.main import build
from extract.connectors import REGISTRY

ROOT = Path(__file__).resolve().parents[3]
PERMITS = "cities/demo/sources/permits/permits.yml"


def ask(*arguments: str):
    return CliRunner().invoke(build(), ["sources", *arguments], catch_exceptions=False)


def test_connectors_are_listed_with_their_options():
    found = json.loads(ask("connectors", "--json").output)
    assert list(found) == sorted(REGISTRY)
    delimiter = found["csv"]["options"]["properties"]["delimiter"]
    assert (delimiter["default"], delimiter["description"]) == (",", "Character between the fields")
    assert found["sql"]["reads_files"] is False and found["csv"]["reads_files"] is True
    text = ask("connectors", "fixed_width").output
    assert "layout" in text and "required" in text and "socrata" not in text


def test_the_schema_takes_every_manifest_and_refuses_wrong_ones():
    schema = jsonschema.Draft202012Validator(json.loads(ask("schema").output))
    schema.check_schema(schema.schema)
    for path in sorted((ROOT / "cities").glob("*/sources/*/*.yml")):
        manifest = yaml.safe_load(path.read_text())
        assert not list(schema.iter_errors(manifest)), path
    permits = yaml.safe_load((ROOT / PERMITS).read_text())
    for change in (
        {"connector": "fixedwith"},
        {"options": {"seperator": ";"}},
        {"options": {}},
        {"files": "permits.txt"},
    ):
        assert list(schema.iter_errors({**permits, "read": {**permits["read"], **change}})), change
    assert list(schema.iter_errors({**permits, "cadense": "@daily"}))


def test_the_schema_of_a_city_takes_every_city():
    schema = jsonschema.Draft202012Validator(json.loads(ask("schema", "--city").output))
    for path in (ROOT / "cities").glob("*/city.yml"):
        city = yaml.safe_load(path.read_text())
        assert not list(schema.iter_errors(city)), path
        assert list(schema.iter_errors({**city, "timezone": "UTC"}))
