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
