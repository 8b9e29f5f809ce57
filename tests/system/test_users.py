"""`cityloom users` on the running stack: a person's page shows what the role may see."""

from __future__ import annotations

import json

import httpx
import pytest

from dashboards.browser import look, open_dashboard, problems
from dashboards.chromium import ensure

pytestmark = pytest.mark.usefixtures("demo")


def password_of(output: str) -> str:
    return output.split("password: ")[1].split()[0]


def log_in(stack, user: str, password: str) -> None:
    """Log in to Superset's API; raise `httpx.HTTPStatusError` when it refuses."""
    login = {"username": user, "password": password, "provider": "db"}
    url = stack.settings.url("superset") + "/api/v1/security/login"
    httpx.post(url, json=login, timeout=120).raise_for_status()


def test_a_person_sees_the_page_of_open_figures_and_no_more(stack):
    output = stack.command("users", "add", "zoe", "--role", "reader_open").stdout
    address, slug = stack.settings.url("superset"), "city-overview"
    login = ("zoe", password_of(output))
    with open_dashboard(address, *login, slug, executable=ensure()) as page:
        charts = look(page)
    assert len(charts) > 10
    # of the demo city's sources none is a sample or old
    assert problems(charts) == ["Before you quote a figure: shows no data"]
    listed = json.loads(stack.command("users", "list", "--json").stdout)
    (found,) = [one for one in listed if one["name"] == "zoe"]
    assert found == {
        "name": "zoe",
        "role": "reader_open",
        "servers": ["Superset", "Airflow", "MLflow"],
        "closed": [],
    }
    assert "admin" in [one["name"] for one in listed]

    new = stack.command("users", "passwd", "zoe").stdout.strip()
    with pytest.raises(httpx.HTTPStatusError):
        log_in(stack, "zoe", password_of(output))
    log_in(stack, "zoe", new)
    stack.command("users", "remove", "zoe")
    with pytest.raises(httpx.HTTPStatusError):
        log_in(stack, "zoe", new)
    refused = stack.command("users", "add", "zoe", "--role", "boss", succeeds=False)
    assert "'boss' is no role" in refused.stderr


def test_a_head_has_the_own_department_on_its_page_and_an_open_reader_none(stack):
    """Without choosing anything: the database gives each reader the own rows."""
    head = ("--role", "department_head", "--city", "demo", "--department", "sanitation")
    people = {"dora": head, "zack": ("--role", "reader_open")}
    address, seen = stack.settings.url("superset"), {}
    for name, role in people.items():
        password = password_of(stack.command("users", "add", name, *role).stdout)
        with open_dashboard(address, name, password, "department", executable=ensure()) as page:
            seen[name] = {chart.title: chart for chart in look(page)}
        stack.command("users", "remove", name)
    (others,) = stack.sql(
        "select array_agg(department_name) from reporting.rpt_department "
        "where city_id = 'demo' and department_id <> 'sanitation'"
    )
    shown = " ".join(chart.text for chart in seen["dora"].values())
    assert problems(list(seen["dora"].values())) == []
    assert "Missed collection" in seen["dora"]["The cases"].text
    assert "Sanitation" in shown and not [name for name in others[0] if name in shown]
    cards = {title: chart for title, chart in seen["zack"].items() if title != "The city"}
    assert len(cards) > 5 and all(chart.empty for chart in cards.values())


def test_doctor_finds_roles_and_rights_as_they_should_be(stack):
    findings = json.loads(stack.command("doctor", "--json").stdout)
    assert [f for f in findings if f["check"] == "roles"] == [
        {
            "check": "roles",
            "verdict": "ok",
            "found": "logins, rights and limits are as they should be",
            "remedy": "",
        }
    ]
