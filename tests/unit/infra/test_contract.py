"""The contract, with a deployment that has nothing in common with the local one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from infra.contract import DeploymentError, load_deployment, operations, started
from infra.home import ROOT, NotSetUp
from infra.local.settings import describe, settings_from
from infra.local.state import FIRST_PORTS

#: As the documentation shows it.
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
ELSEWHERE = yaml.safe_load(OPERATIONS.split("```yaml\n")[1].split("```")[0])


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """The description of servers on other hosts, and a way to change it."""
    path = tmp_path / "deployment.yml"
    monkeypatch.setenv("CITYLOOM_DEPLOYMENT", str(path))
    monkeypatch.setenv("CITYLOOM_HOME", str(tmp_path / "no-home"))

    def write(**changed) -> Path:
        path.write_text(yaml.safe_dump({**ELSEWHERE, **changed}))
        return path

    write()
    return write


def test_servers_on_other_hosts_need_no_home_folder(elsewhere, monkeypatch, tmp_path):
    monkeypatch.setenv("WAREHOUSE_PW", "p@ss:word")
    monkeypatch.setenv("MLFLOW_PW", "secret")
    monkeypatch.setenv("CITYLOOM_SALT_nyc", "pepper")
    deployment = load_deployment()
    assert (
        deployment.database_url("warehouse")
        == "postgresql://warehouse:p%40ss%3Aword@db.example/warehouse"
    )
    assert deployment.mlflow_environment() == {
        "MLFLOW_TRACKING_URI": "https://mlflow.example",
        "MLFLOW_TRACKING_AUTH": "cityloom",
        "MLFLOW_TRACKING_USERNAME": "",
        "MLFLOW_TRACKING_PASSWORD": "",
    }
    assert deployment.login("mlflow") == ("cityloom", "secret")
    assert deployment.salt_for("nyc") == b"pepper"
    assert deployment.drop_dir("nyc") == Path("/mnt/drops/nyc")
    assert deployment.reports_dir == Path("/mnt/reports")
    assert deployment.reports_address == "https://reports.example/index.html"
    assert deployment.user_and_place("airflow") == ("cityloom", "the variable AIRFLOW_PW")
    assert started(lambda *_: None) == deployment
    assert not (tmp_path / "no-home").exists()


def test_dags_take_their_queue_from_the_deployment(elsewhere):
    program = (
        "from dags.train import train_sentiment; from dags.score import score_feedback\n"
        "import dags.extract, dags.build, dags.publish\n"
        "print(train_sentiment().get_task('train').queue, score_feedback().get_task('score').queue)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[-2:] == ["gpu", "gpu"]


def test_secret_that_is_not_there_is_named(elsewhere, monkeypatch, tmp_path):
    monkeypatch.delenv("AIRFLOW_PW", raising=False)
    with pytest.raises(DeploymentError, match="variable AIRFLOW_PW is not set"):
        load_deployment().login("airflow")
    elsewhere(mlflow={**ELSEWHERE["mlflow"], "password": "file:passwords/mlflow"})
    with pytest.raises(DeploymentError, match=f"{tmp_path}/passwords/mlflow cannot be read"):
        load_deployment().login("mlflow")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"queue": {}}, "queue: Extra inputs are not permitted"),
        ({"salt": "pepper"}, "salt: .*a secret is a reference"),
        (
            {"mlflow": {"url": "https://me:pw@host", "user": "me", "password": "env:P"}},
            r"mlflow\.url: .*the URL holds a password",
        ),
        ({"databases": {"owner": ELSEWHERE["databases"]["warehouse"]}}, r"databases\.owner"),
    ],
    ids=["unknown-key", "secret-itself", "password-in-url", "unknown-role"],
)
def test_wrong_description_names_file_and_key(elsewhere, changed, message):
    path = elsewhere(**changed)
    with pytest.raises(DeploymentError, match=f"{path}: .*{message}"):
        load_deployment()


def test_description_that_is_no_mapping_is_refused(elsewhere):
    elsewhere().write_text("- a list")
    with pytest.raises(DeploymentError, match=r"deployment\.yml is no mapping"):
        load_deployment()


def test_kind_without_a_folder_is_run_by_its_own_tools(elsewhere):
    with pytest.raises(DeploymentError, match="'kubernetes' is started, stopped and examined by"):
        operations()


def test_missing_description_names_file_and_command(tmp_path, monkeypatch):
    monkeypatch.setenv("CITYLOOM_DEPLOYMENT", str(tmp_path / "none.yml"))
    with pytest.raises(NotSetUp, match=r"none\.yml does not exist; `cityloom up`"):
        load_deployment()


def test_local_deployment_describes_itself_without_its_secrets(tmp_path):
    settings = settings_from(tmp_path, {"ports": dict(FIRST_PORTS)})
    file = tmp_path / "deployment.json"
    file.write_text(json.dumps(describe(settings)))
    password = settings.secret("postgres_analyst")
    deployment = load_deployment(file)
    assert deployment.database_url("analyst") == settings.database_url("analyst")
    assert password in deployment.database_url("analyst")
    assert password not in file.read_text()
    assert deployment.salt_for("demo").decode() == settings.secret("salt_demo")
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    assert load_deployment(moved / "deployment.json").drop_dir("x") == moved / "drops" / "x"
