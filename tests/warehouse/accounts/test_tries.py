"""Ways into Airflow's logs and MLflow's artifacts for roles that have no business there."""

from __future__ import annotations

import os
import subprocess
import sys

import httpx
import psycopg
import pytest

from accounts import people
from accounts.roles import ROLES
from extract.manifests import load_cities
from infra.local.services import COMMON
from warehouse.bootstrap import role_url

API = "/api/2.0/mlflow"
SECRET = "secret mail"

AIRFLOW = {
    "log": ("GET", "/api/v2/dags/d/dagRuns/r/taskInstances/t/logs/1", None),
    "log of a mapped task": (
        "GET",
        "/api/v2/dags/d/dagRuns/r/taskInstances/t/logs/1?map_index=0",
        None,
    ),
    "external log": ("GET", "/api/v2/dags/d/dagRuns/r/taskInstances/t/externalLogUrl/1", None),
    "xcoms": ("GET", "/api/v2/dags/~/dagRuns/~/taskInstances/~/xcomEntries", None),
    "an xcom": ("GET", "/api/v2/dags/d/dagRuns/r/taskInstances/t/xcomEntries/k", None),
    "connections": ("GET", "/api/v2/connections", None),
    "variables": ("GET", "/api/v2/variables", None),
    "settings": ("GET", "/api/v2/config", None),
    "run": ("POST", "/api/v2/dags/build_warehouse/dagRuns", {"logical_date": None}),
    "pause": ("PATCH", "/api/v2/dags/build_warehouse", {"is_paused": True}),
    "users": ("GET", "/auth/fab/v1/users", None),
    "new user": (
        "POST",
        "/auth/fab/v1/users",
        {
            **{"username": "x", "email": "x", "first_name": "x", "last_name": "x"},
            **{"password": "x", "roles": [{"name": "Admin"}]},
        },
    ),
    "own role": ("PATCH", "/auth/fab/v1/users/{user}", {"roles": [{"name": "Admin"}]}),
    "roles": ("GET", "/auth/fab/v1/roles", None),
}


@pytest.fixture(scope="module")
def passwords(web):
    """A person of each role, with the password."""
    cities = load_cities().cities
    found = {}
    for role in ROLES:
        own = ("demo", "parks") if role == "department_head" else None
        found[role] = people.add(
            web.clients,
            web.admin_url,
            f"try_{role}",
            role,
            department=own,
            cities=cities,
            secret=web.secret,
        )
    return found


@pytest.fixture(scope="module")
def run(web):
    """A run of MLflow with a table of comments among its artifacts, and a model made of it."""
    admin = web.mlflow(web.settings.admin_user, web.settings.admin_password)

    def post(path, **body):
        answer = admin.post(f"{API}/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    experiment = post("experiments/create", name="sentiment")["experiment_id"]
    made = post("runs/create", experiment_id=experiment, tags=[{"key": "note", "value": SECRET}])
    info = made["run"]["info"]
    path = f"{experiment}/{info['run_id']}/artifacts/mistakes.csv"
    stored = admin.put(f"/api/2.0/mlflow-artifacts/artifacts/{path}", content=SECRET.encode())
    assert stored.is_success, stored.text
    post("registered-models/create", name="sentiment", description=SECRET)
    post(
        "model-versions/create",
        name="sentiment",
        source=info["artifact_uri"],
        run_id=info["run_id"],
        description=SECRET,
    )
    return {"experiment": experiment, "run": info["run_id"], "path": path}


MLFLOW = {
    "artifact": ("GET", "/get-artifact?path=mistakes.csv&run_uuid={run}", None),
    "artifact of the pages": (
        "GET",
        "/ajax-api/2.0/mlflow/get-artifact?path=mistakes.csv&run_uuid={run}",
        None,
    ),
    "artifact by its path": ("GET", "/api/2.0/mlflow-artifacts/artifacts/{path}", None),
    "artifact by a path of the pages": (
        "GET",
        "/ajax-api/2.0/mlflow-artifacts/artifacts/{path}",
        None,
    ),
    "artifact by a detour": (
        "GET",
        "/api/2.0/mlflow-artifacts/artifacts/0/../{path}",
        None,
    ),
    "list of artifacts": ("GET", API + "/artifacts/list?run_id={run}", None),
    "experiment": ("GET", API + "/experiments/get?experiment_id={experiment}", None),
    "experiment by name": (
        "GET",
        API + "/experiments/get-by-name?experiment_name=sentiment",
        None,
    ),
    "experiments": ("POST", API + "/experiments/search", {"max_results": 100}),
    "run": ("GET", API + "/runs/get?run_id={run}", None),
    "runs": ("POST", API + "/runs/search", {"experiment_ids": ["{experiment}"]}),
    "runs of all": (
        "POST",
        API + "/runs/search",
        {"experiment_ids": ["0", "{experiment}"], "filter": "tags.note != ''"},
    ),
    "model": ("GET", API + "/registered-models/get?name=sentiment", None),
    "models": ("GET", API + "/registered-models/search", None),
    "version": ("GET", API + "/model-versions/get?name=sentiment&version=1", None),
    "versions": ("GET", API + "/model-versions/search", None),
    "place of a version": (
        "GET",
        API + "/model-versions/get-download-uri?name=sentiment&version=1",
        None,
    ),
    "artifact of a version": (
        "GET",
        "/model-versions/get-artifact?path=mistakes.csv&name=sentiment&version=1",
        None,
    ),
    "tag": ("POST", API + "/runs/set-tag", {"run_id": "{run}", "key": "k", "value": "v"}),
    "removal": ("POST", API + "/runs/delete", {"run_id": "{run}"}),
    "champion": (
        "POST",
        API + "/registered-models/alias",
        {"name": "sentiment", "alias": "champion", "version": "1"},
    ),
    "users": ("GET", API + "/users/list", None),
    "a user": ("GET", API + "/users/get?username=admin", None),
    "own password": (
        "PATCH",
        API + "/users/update-password",
        {"username": "{user}", "password": "twelve letters"},
    ),
    "query language": (
        "POST",
        "/graphql",
        {
            "query": 'query {{ mlflowGetRun(input: {{runId: "{run}"}}) '
            "{{ run {{ data {{ tags {{ value }} }} }} }} }}"
        },
    ),
    "new experiment": ("POST", API + "/experiments/create", {"name": "of {user}"}),
    "new model": ("POST", API + "/registered-models/create", {"name": "of {user}"}),
    "new run": ("POST", API + "/runs/create", {"experiment_id": "{experiment}"}),
    "upload": (
        "POST",
        "/ajax-api/2.0/mlflow/upload-artifact?run_uuid={run}&path=x.txt",
        {"text": "x"},
    ),
    "upload by its path": ("PUT", "/api/2.0/mlflow-artifacts/artifacts/{path}", {"text": "x"}),
    "own rights": (
        "PATCH",
        API + "/users/update-admin",
        {"username": "{user}", "is_admin": True},
    ),
}
CHANGES = (
    *("tag", "removal", "champion", "own rights", "own password", "users", "a user"),
    *("new experiment", "new model", "new run", "upload", "upload by its path"),
)
NO_MLFLOW = [role for role in ROLES if not ROLES[role].mlflow]


def filled(value, names):
    if isinstance(value, dict):
        return {key: filled(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, names) for item in value]
    return value.format(**names) if isinstance(value, str) else value


@pytest.mark.parametrize("way", AIRFLOW)
@pytest.mark.parametrize("role", ["reader_open", "department_head", "analyst", "cio"])
def test_airflow_shows_readers_no_log_and_takes_no_order(web, passwords, role, way):
    client = web.airflow(f"try_{role}", passwords[role])
    method, path, body = AIRFLOW[way]
    answer = client.request(method, path.format(user=f"try_{role}"), json=body)
    assert answer.status_code in (401, 403), answer.text


@pytest.mark.parametrize("role", ["data_engineer", "ml_engineer"])
def test_engineers_read_airflows_logs(web, passwords, role):
    client = web.airflow(f"try_{role}", passwords[role])
    assert client.get(AIRFLOW["log"][1]).status_code == 404  # there is no such run here


@pytest.mark.parametrize("way", MLFLOW)
@pytest.mark.parametrize("role", NO_MLFLOW)
def test_mlflow_shows_readers_no_artifact_and_changes_nothing(web, passwords, run, role, way):
    user = f"try_{role}"
    client = web.mlflow(user, passwords[role])
    method, path, body = MLFLOW[way]
    names = {**run, "user": user}
    answer = client.request(method, path.format(**names), json=filled(body, names))
    assert SECRET not in answer.text and "mistakes.csv" not in answer.text
    if way in CHANGES:
        assert answer.status_code in (401, 403), answer.text


def test_engineers_see_the_artifacts_and_data_engineers_change_nothing(web, passwords, run):
    for role in ("ml_engineer", "data_engineer"):
        client = web.mlflow(f"try_{role}", passwords[role])
        assert client.get(MLFLOW["artifact"][1].format(**run)).text == SECRET
    body = filled(MLFLOW["tag"][2], run)
    for role, status in {"data_engineer": 403, "ml_engineer": 200}.items():
        client = web.mlflow(f"try_{role}", passwords[role])
        assert client.post(MLFLOW["tag"][1], json=body).status_code == status


#: Places of files that a client could choose; in the store are other experiments' files.
PLACES = (
    *("file://{outside}", "{outside}", "mlflow-artifacts:/{experiment}", "s3://bucket/x"),
    *("mlflow-artifacts:/x/../../..", "http://127.0.0.1:1/x"),
)
#: Each route has its twin under every prefix and version.
PREFIXES = ("/api/2.0", "/ajax-api/2.0", "/api/3.0", "/ajax-api/3.0")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("role", ["reader_open", "ml_engineer", "admin"])
def test_nobody_chooses_where_mlflow_keeps_files(web, passwords, run, role, place, tmp_path):
    client = web.mlflow(f"try_{role}", passwords[role])
    place = place.format(outside=tmp_path, **run)
    source = place if "mlflow-artifacts" not in place else place + "/../secrets"
    for number, prefix in enumerate(PREFIXES):
        asked = {"name": f"{role} {place} {number}", "artifact_location": place}
        answer = client.post(f"{prefix}/mlflow/experiments/create", json=asked)
        assert answer.status_code in (400, 403, 404), answer.text
        asked = {"name": "sentiment", "source": source, "run_id": run["run"]}
        answer = client.post(f"{prefix}/mlflow/model-versions/create", json=asked)
        assert answer.status_code in (400, 403, 404), answer.text


@pytest.mark.parametrize("role", ["ml_engineer", "admin"])
def test_mlflow_opens_no_file_outside_its_store_whatever_a_record_says(
    web, passwords, run, role, tmp_path
):
    """As an earlier version let every login make such records."""
    client = web.mlflow(f"try_{role}", passwords[role])
    (tmp_path / "secret").write_text("a key")
    made = client.post(f"{API}/experiments/create", json={"name": f"planted {role}"}).json()
    body = {"experiment_id": made["experiment_id"]}
    info = client.post(f"{API}/runs/create", json=body).json()["run"]["info"]
    planted, model = info["run_id"], {"name": f"planted {role}"}
    client.post(f"{API}/registered-models/create", json=model).raise_for_status()
    body = {**model, "source": info["artifact_uri"], "run_id": planted}
    client.post(f"{API}/model-versions/create", json=body).raise_for_status()
    database = role_url(web.admin_url, "mlflow", web.secret("mlflow"))
    with psycopg.connect(database) as connection:
        place = [f"file://{tmp_path}", planted]
        for statement in (
            "update runs set artifact_uri = %s where run_uuid = %s",
            "update model_versions set source = %s, storage_location = null where run_id = %s",
        ):
            assert connection.execute(statement, place).rowcount == 1
    named = f"run_uuid={planted}&path="
    upload = f"/ajax-api/2.0/mlflow/upload-artifact?{named}planted"
    answers = [client.post(upload, content=b"mine")]
    for path in ("/get-artifact", "/ajax-api/2.0/mlflow/get-artifact"):
        answers.append(client.get(f"{path}?{named}secret"))
    answers.append(client.get(f"{API}/artifacts/list?run_id={planted}"))
    asked = {**model, "version": "1", "path": "secret"}
    answers.append(client.get("/model-versions/get-artifact", params=asked))
    for answer in answers:
        assert answer.status_code in (400, 403, 404), answer.text
        assert "a key" not in answer.text
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


@pytest.mark.parametrize("role", ["ml_engineer", "admin"])
@pytest.mark.parametrize(
    "path", ["../../x", "%2e%2e/%2e%2e/x", "a/..%2f..%2f..%2fx", "%2e/{experiment}/x", "a\\..\\x"]
)
def test_no_path_leads_out_of_mlflows_store(web, passwords, run, role, path):
    client = web.mlflow(f"try_{role}", passwords[role])
    path = path.format(**run)
    for prefix in PREFIXES:
        answer = client.put(f"{prefix}/mlflow-artifacts/artifacts/{path}", content=b"mine")
        assert answer.status_code >= 400, answer.text
        answer = client.get(f"{prefix}/mlflow-artifacts/artifacts", params={"path": path})
        assert answer.status_code >= 400 or "files" not in answer.json(), answer.text
    asked = {"run_uuid": run["run"], "path": path}
    upload = client.post("/ajax-api/2.0/mlflow/upload-artifact", params=asked, content=b"mine")
    assert upload.status_code >= 400, upload.text
    store = web.settings.home / "mlflow" / "artifacts"
    left = [p for p in web.settings.home.rglob("x") if store not in p.parents]
    assert not left and not (store / "x").exists()


@pytest.mark.parametrize("role", [role for role in ROLES if role != "admin"])
def test_only_administrators_see_who_has_a_login_in_mlflow(web, passwords, role):
    client = web.mlflow(f"try_{role}", passwords[role])
    for prefix in ("/api/2.0", "/ajax-api/2.0"):
        assert client.get(f"{prefix}/mlflow/users/list").status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/2.0/mlflow/webhooks"),
        ("POST", "/api/3.0/mlflow/traces"),
        ("POST", "/v1/traces"),
        ("POST", "/api/3.0/mlflow/gateway/secrets/create"),
        ("POST", "/ajax-api/3.0/jobs/"),
        ("POST", "/api/3.0/mlflow/scorers/register"),
        ("GET", "/ajax-api/3.0/mlflow/assistant/config"),
        ("GET", "/api/2.0/mlflow/mcp-servers"),
    ],
)
def test_what_training_does_not_need_is_served_to_nobody(web, passwords, method, path):
    client = web.mlflow("try_admin", passwords["admin"])
    answer = client.request(method, path, json={})
    assert answer.status_code in (403, 404), answer.text


#: What training does, in a few lines: a run, its files, a model, its version, and the model back.
TRAINING = """
import mlflow
from mlflow.pyfunc import PythonModel

class Echo(PythonModel):
    def predict(self, context, model_input: list[str]) -> list[str]:
        return model_input

mlflow.set_experiment("echo")
with mlflow.start_run() as run:
    mlflow.log_metric("recall", 0.5)
    mlflow.log_text("hello", "hello.txt")
    mlflow.pyfunc.log_model(name="model", python_model=Echo(), pip_requirements=[])
version = mlflow.register_model(f"runs:/{run.info.run_id}/model", "echo").version
assert mlflow.artifacts.load_text(f"{run.info.artifact_uri}/hello.txt") == "hello"
client = mlflow.MlflowClient()
client.set_registered_model_alias("echo", "champion", version)
client.update_model_version("echo", version, "echoes")
print(mlflow.pyfunc.load_model("models:/echo@champion").predict(["it is said"]))
"""


def test_an_ml_engineer_trains_registers_and_loads_a_model(web, passwords, tmp_path):
    login = {
        "MLFLOW_TRACKING_URI": web.settings.url("mlflow"),
        "MLFLOW_TRACKING_USERNAME": "try_ml_engineer",
        "MLFLOW_TRACKING_PASSWORD": passwords["ml_engineer"],
    }
    (tmp_path / "train.py").write_text(TRAINING)
    done = subprocess.run(
        [sys.executable, "train.py"],
        cwd=tmp_path,
        env={**os.environ, **COMMON, **login},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "['it is said']" in done.stdout


def test_nobody_gets_in_without_a_login(web, run):
    for server in ("airflow", "mlflow", "superset"):
        client = httpx.Client(base_url=web.settings.url(server), timeout=60)
        path = {
            "airflow": "/api/v2/dags",
            "mlflow": MLFLOW["artifact"][1].format(**run),
            "superset": "/api/v1/dataset/",
        }[server]
        assert client.get(path).status_code in (401, 403, 404), server
