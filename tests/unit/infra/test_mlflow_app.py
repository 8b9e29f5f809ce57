from importlib.util import find_spec
from pathlib import Path

import pytest

from infra.local.mlflow_app import DEFAULTS


@pytest.fixture(scope="module")
def scripts():
    spec = find_spec("mlflow")
    folder = Path(spec.origin).parent / "server" / "js" / "build" / "static" / "js"
    return [path.read_text(errors="ignore") for path in folder.glob("*.js")]


@pytest.mark.parametrize("key", DEFAULTS)
def test_mlflows_pages_still_know_the_keys_whose_defaults_are_set(key, scripts):
    name = key.removesuffix("_v1")
    assert any(f'"{name}"' in script for script in scripts)


def test_values_and_the_attribute_are_those_that_the_pages_use(scripts):
    assert any('MACHINE_LEARNING="machine_learning"' in script for script in scripts)
    assert any('"data-assistant-ui":"true"' in script for script in scripts)
    assert any('CUSTOM_MODEL_DEVELOPMENT="custom_model_development"' in s for s in scripts)
