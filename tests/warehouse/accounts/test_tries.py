"""Ways into Airflow's logs and MLflow's artifacts for roles that have no business there."""

from __future__ import annotations

import httpx
import pytest

from accounts import people
from accounts.roles import ROLES
from extract.manifests import load_cities

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
    "own rights": (
        "PATCH",
        API + "/users/update-admin",
        {"username": "{user}", "is_admin": True},
    ),
}
CHANGES = ("tag", "removal", "champion", "own rights")
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


def test_nobody_gets_in_without_a_login(web, run):
    for server in ("airflow", "mlflow", "superset"):
        client = httpx.Client(base_url=web.settings.url(server), timeout=60)
        path = {
            "airflow": "/api/v2/dags",
            "mlflow": MLFLOW["artifact"][1].format(**run),
            "superset": "/api/v1/dataset/",
        }[server]
        assert client.get(path).status_code in (401, 403, 404), server
