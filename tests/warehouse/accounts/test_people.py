"""A person's one login, made, changed and removed on the real servers."""

from __future__ import annotations

import re

import httpx
import psycopg
import pytest

from accounts import people
from accounts.roles import ROLES
from accounts.servers import AccountError
from extract.manifests import load_cities
from warehouse.bootstrap import role_url
from warehouse.tiers import department_role

CITIES = load_cities().cities
#: Who sees Airflow's DAGs, and the logs of their tasks.
DAGS = ("analyst", "cio", "ml_engineer", "data_engineer", "admin")
LOGS = ("ml_engineer", "data_engineer", "admin")


def add(web, name, role, **options):
    return people.add(
        web.clients, web.admin_url, name, role, cities=CITIES, secret=web.secret, **options
    )


def role_on_servers(web, name):
    return {person.name: person for person in people.listed(web.clients, web.admin_url)}.get(name)


def sql(web, name, password, query):
    with psycopg.connect(role_url(web.admin_url, name, password, "warehouse")) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize("role", [role for role in ROLES if role != "department_head"])
def test_a_person_of_each_role_opens_every_server_with_one_password(web, role):
    name = f"person_{role}"
    password = add(web, name, role)
    superset = web.superset(name, password)
    me = superset.get("/api/v1/me/roles/").json()["result"]["roles"]
    assert list(me) == [ROLES[role].web]
    airflow = web.airflow(name, password)
    log = "/api/v2/dags/d/dagRuns/r/taskInstances/t/logs/1"
    for path, roles in {"/api/v2/dags": DAGS, log: LOGS}.items():
        assert (airflow.get(path).status_code != 403) is (role in roles), path
    mlflow = web.mlflow(name, password)
    found = mlflow.post("/api/2.0/mlflow/experiments/search", json={"max_results": 10})
    assert found.status_code == 200
    shown = [e["name"] for e in found.json().get("experiments", [])]
    may = role in ("admin", "data_engineer", "ml_engineer")
    assert ("Default" in shown) is may and (may or not shown)
    made = mlflow.post("/api/2.0/mlflow/users/create", json={"username": "x", "password": "y"})
    assert made.status_code == (400 if role == "admin" else 403)  # too short a password
    servers = ["Superset", "Airflow", "MLflow"] + ["PostgreSQL"] * ROLES[role].sql
    assert role_on_servers(web, name) == people.Person(name, role, servers)
    if ROLES[role].sql:
        assert sql(web, name, password, "select current_user") == [(name,)]


def test_another_role_replaces_the_one_before_everywhere(web):
    first = add(web, "carla", "ml_engineer")
    second = add(web, "carla", "cio")
    assert role_on_servers(web, "carla") == people.Person(
        "carla", "cio", ["Superset", "Airflow", "MLflow"]
    )
    superset = web.superset("carla", second)
    assert list(superset.get("/api/v1/me/roles/").json()["result"]["roles"]) == ["cio"]
    mlflow = web.mlflow("carla", second)
    found = mlflow.post("/api/2.0/mlflow/experiments/search", json={"max_results": 10})
    assert found.json().get("experiments", []) == []
    for login in (web.superset, web.airflow):
        with pytest.raises(httpx.HTTPStatusError):
            login("carla", first)


def test_a_head_has_the_login_of_the_own_department(web):
    password = add(web, "dora", "department_head", department=("demo", "parks"))
    head = department_role("demo", "parks")
    superset = web.superset("dora", password)
    roles = superset.get("/api/v1/me/roles/").json()["result"]["roles"]
    assert sorted(roles) == ["department_head", head]
    assert role_on_servers(web, "dora").role == head
    rows = sql(web, head, web.secret(head), "select * from access.my_department")
    assert rows == [("demo", "parks")]


def test_a_new_password_replaces_the_old_one_everywhere_and_removing_removes(web):
    old = add(web, "emil", "analyst")
    new = people.change_password(web.clients, web.admin_url, "emil")
    logins = (
        web.superset,
        web.airflow,
        lambda name, password: (
            web.mlflow(name, password)
            .post("/api/2.0/mlflow/experiments/search", json={"max_results": 1})
            .raise_for_status()
        ),
        lambda name, password: sql(web, name, password, "select 1"),
    )
    refusals = (httpx.HTTPStatusError, psycopg.OperationalError)
    for login in logins:
        login("emil", new)
        with pytest.raises(refusals):
            login("emil", old)
    people.remove(web.clients, web.admin_url, "emil")
    assert role_on_servers(web, "emil") is None
    for login in logins:
        with pytest.raises(refusals):
            login("emil", new)


@pytest.mark.parametrize(
    ("name", "role", "options", "message"),
    [
        ("frida", "boss", {}, "'boss' is no role; there are: reader_open"),
        ("Frida", "cio", {}, "'Frida' cannot be a login"),
        ("analyst", "cio", {}, "'analyst' cannot be a login"),
        ("frida", "department_head", {}, "--city and --department belong to the role"),
        ("frida", "cio", {"department": ("demo", "health")}, "--city and --department belong"),
        ("frida", "department_head", {"department": ("rome", "x")}, "no city 'rome'"),
        ("frida", "department_head", {"department": ("demo", "x")}, "no department 'x' in demo"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(web, name, role, options, message):
    before = role_on_servers(web, name)
    with pytest.raises(AccountError, match=message):
        add(web, name, role, **options)
    assert role_on_servers(web, name) == before


def remove(web, name):
    folder = web.settings.home / "secrets"
    people.remove(
        web.clients,
        web.admin_url,
        name,
        forget=lambda role: (folder / f"postgres_{role}").unlink(),
    )


def test_who_made_things_in_superset_is_shut_out_and_what_is_left_is_named(web):
    """A query in SQL Lab and a link keep the entry; an edited profile does not."""
    password = add(web, "gina", "analyst")
    superset = web.superset("gina", password)
    superset.put("/api/v1/me/", json={"first_name": "Gina"}).raise_for_status()
    with psycopg.connect(role_url(web.admin_url, "superset", web.secret("superset"))) as connection:
        connection.execute(
            "insert into key_value (resource, value, created_by_fk) "
            "select 'superset', ''::bytea, id from ab_user where username = 'gina'"
        )
    airflow, mlflow = web.airflow("gina", password), web.mlflow("gina", password)
    left = "'gina' something is left:\nSuperset: Superset keeps the entry"
    with pytest.raises(AccountError, match=re.escape(left)) as refused:
        remove(web, "gina")
    assert role_on_servers(web, "gina") == people.Person("gina", "", [], ["Superset"])
    assert superset.get("/api/v1/me/").status_code == 401  # the session of before has ended
    assert superset.get("/api/v1/dataset/").status_code in (401, 403)
    assert airflow.get("/api/v2/dags").status_code in (401, 403)
    asked = mlflow.post("/api/2.0/mlflow/experiments/search", json={"max_results": 1})
    assert asked.status_code == 401
    for login in (web.superset, web.airflow):
        with pytest.raises(httpx.HTTPStatusError):
            login("gina", password)
    with pytest.raises(AccountError, match="closed; `cityloom users add` opens it again"):
        people.change_password(web.clients, web.admin_url, "gina")
    again = add(web, "gina", "cio")
    assert web.superset("gina", again).get("/api/v1/me/").is_success
    assert role_on_servers(web, "gina").role == "cio"
    # the remedy that was named is one
    (remedy,) = re.findall("`(update .*?)`", str(refused.value))
    with psycopg.connect(role_url(web.admin_url, "superset", web.secret("superset"))) as connection:
        connection.execute(remedy)
    remove(web, "gina")
    assert role_on_servers(web, "gina") is None


def test_an_edited_profile_does_not_keep_an_entry(web):
    superset = web.superset("hugo", add(web, "hugo", "analyst"))
    superset.put("/api/v1/me/", json={"first_name": "Hugo"}).raise_for_status()
    remove(web, "hugo")
    assert role_on_servers(web, "hugo") is None


def test_a_server_that_does_not_answer_keeps_no_login_elsewhere_open(web, monkeypatch):
    password = add(web, "ines", "analyst")
    airflow = next(server for server in web.clients if server.name == "Airflow")

    def refuse(user):
        raise AccountError("Airflow does not answer")

    monkeypatch.setattr(airflow, "close", refuse)
    monkeypatch.setattr(airflow, "remove", refuse)
    with pytest.raises(AccountError, match="Airflow does not answer"):
        remove(web, "ines")
    assert role_on_servers(web, "ines").servers == ["Airflow"]
    for login in (web.superset, lambda *who: sql(web, *who, "select 1")):
        with pytest.raises((httpx.HTTPStatusError, psycopg.OperationalError)):
            login("ines", password)
    monkeypatch.undo()
    remove(web, "ines")
    assert role_on_servers(web, "ines") is None


@pytest.mark.parametrize("how", ["removed", "other role"])
def test_a_departments_login_goes_with_its_last_head(web, how):
    head = department_role("demo", "health")
    for name in ("jana", "karl"):
        add(web, name, "department_head", department=("demo", "health"))
    secret = web.settings.home / "secrets" / f"postgres_{head}"

    def end(name):
        if how == "removed":
            remove(web, name)
        else:
            people.add(
                *(web.clients, web.admin_url, name, "cio"),
                secret=web.secret,
                forget=lambda role: (secret.parent / f"postgres_{role}").unlink(),
            )

    end("jana")
    assert head in people.people.departments(web.admin_url) and secret.is_file()
    end("karl")
    assert head not in people.people.departments(web.admin_url) and not secret.is_file()
    superset = web.superset(web.settings.admin_user, web.settings.admin_password)
    found = superset.get("/api/v1/security/roles/?q=(page_size:100)").json()["result"]
    assert head not in [role["name"] for role in found]


def test_the_administrator_is_no_person_to_remove(web):
    for action in (people.remove, people.change_password):
        with pytest.raises(AccountError, match="no login 'admin' of a person"):
            action(web.clients, web.admin_url, "admin")
