"""Single sign-on: the real Superset and Airflow, and a real identity provider beside them."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest

from accounts import people
from dashboards.superset import Superset
from infra.local.sign_in.asked import SECRET
from tests.warehouse.accounts.conftest import Web, started
from tests.warehouse.accounts.provider import CLIENT_ID, CLIENT_SECRET, Provider, listening

LABEL = "City of Testing"
#: Where each server has its sign-in page, and what tells who is signed in.
PAGES = {"superset": "/login/", "airflow": "/auth/login/"}
BACK = {"superset": "/oauth-authorized/oidc", "airflow": "/auth/oauth-authorized/oidc"}
SERVERS = pytest.mark.parametrize("server", PAGES)


@dataclass
class SignIn:
    """The servers, the provider, and what the page said before the provider answered rightly.

    `before`: while it did not answer; `misnamed`: twice, while it said that it is another.
    """

    web: Web
    provider: Provider
    before: dict[str, str]
    misnamed: dict[str, list[str]]

    @property
    def admin(self) -> tuple[str, str]:
        """The administrator's login and password."""
        return self.web.settings.admin_user, self.web.settings.admin_password

    def browser(self, server: str) -> httpx.Client:
        """A browser that has nothing of that server yet."""
        url = self.web.settings.url(server)
        return httpx.Client(
            base_url=url, timeout=120, follow_redirects=True, headers={"Referer": url}
        )

    def tries(self, server: str) -> tuple[httpx.Client, str]:
        """Press the button; return the browser, and what the page says then."""
        browser = self.browser(server)
        return browser, message(browser.get(f"{PAGES[server]}oidc"))

    def name(self, server: str, browser: httpx.Client) -> str | None:
        """Return the login of who is signed in, if anybody is."""
        path = {"superset": "/api/v1/me/", "airflow": "/ui/auth/me"}[server]
        answer = browser.get(path)
        found = answer.json() if answer.is_success else {}
        return found.get("result", found).get("username")

    def refused(self, server: str) -> str:
        """Press the button, be refused, and return what the page says."""
        browser, said = self.tries(server)
        assert self.name(server, browser) is None
        return said

    @contextmanager
    def settings(self, **changed: str) -> Iterator[None]:
        """Have other settings of the provider for a while."""
        file = self.web.settings.home / "stack.json"
        before = file.read_text()
        state = json.loads(before)
        state["single_sign_on"] |= changed
        file.write_text(json.dumps(state))
        try:
            yield
        finally:
            file.write_text(before)


def message(answer: httpx.Response) -> str:
    """Return what the sign-in page tells."""
    found = re.findall(r'class="message" role="alert">([^<]*)', answer.text)
    return html.unescape(" ".join(found))


def by_password(browser: httpx.Client, server: str, user: str, password: str) -> httpx.Response:
    """Fill in the form of the sign-in page."""
    page = browser.get(PAGES[server])
    (token,) = re.findall(r'name="csrf_token" type="hidden" value="([^"]+)"', page.text)
    form = {"csrf_token": token, "username": user, "password": password}
    return browser.post(PAGES[server], data=form)


@pytest.fixture(scope="module")
def sign_in(postgres, secrets, tmp_path_factory) -> Iterator[SignIn]:
    provider = Provider()
    (secrets / SECRET).write_text(CLIENT_SECRET)
    described: dict[str, Any] = {
        **{"issuer": provider.issuer, "client_id": CLIENT_ID, "label": LABEL},
        **{"claim": "preferred_username", "domain": ""},
    }
    home = tmp_path_factory.mktemp("sign-in")
    names = ("superset", "airflow")
    with started(postgres, secrets, home, names, single_sign_on=described) as web:
        found = SignIn(web, provider, {}, {})
        with listening(provider):
            provider.is_down = True
            found.before = {server: found.tries(server)[1] for server in PAGES}
            provider.is_down, provider.named = False, "https://another.example"
            found.misnamed = {
                server: [found.tries(server)[1] for _ in range(2)] for server in PAGES
            }
            provider.named = provider.issuer
            yield found


@pytest.fixture(scope="module")
def ana(sign_in) -> str:
    """The password of an analyst."""
    web = sign_in.web
    return people.add(web.clients, web.admin_url, "ana", "analyst", secret=web.secret)


@SERVERS
def test_the_page_offers_the_provider_and_the_administrators_password(sign_in, server):
    page = sign_in.browser(server).get(PAGES[server])
    assert f"Sign in with {LABEL}" in page.text
    assert "Administrator's password" in html.unescape(page.text)


@SERVERS
def test_a_listed_person_gets_in_as_herself(sign_in, ana, server):
    sign_in.provider.signs_in(preferred_username="ana", groups=["Admin"], roles=["Admin"])
    browser, said = sign_in.tries(server)
    assert (sign_in.name(server, browser), said) == ("ana", "")
    for cookie in browser.cookies.jar:
        assert len(cookie.value or "") < 3500, cookie.name


@pytest.fixture
def database(sign_in, postgres) -> Iterator[int]:
    """Superset's number of the warehouse, which has a view that says who asks."""
    uri = postgres.role_url("dashboards").split("?")[0]
    made = {
        "database_name": "sign-in",
        "sqlalchemy_uri": uri.replace("postgresql:", "postgresql+psycopg2:"),
        "expose_in_sqllab": True,
    }
    with psycopg.connect(postgres.url) as connection:
        connection.execute(
            "create view reporting.rpt_session as "
            "select session_user || ' ' || current_setting('application_name') as who"
        )
        connection.execute("select access.protect('reporting.rpt_session', 'open')")
    with Superset(sign_in.web.settings.url("superset"), *sign_in.admin) as session:
        number = session.post("database", made)
        yield number
        session.delete("database", number)
    with psycopg.connect(postgres.url) as connection:
        connection.execute("drop view reporting.rpt_session")


def test_her_queries_are_of_her_own_role_in_the_warehouse(sign_in, ana, database):
    sign_in.provider.signs_in(preferred_username="ana", roles=["data_engineer"])
    browser, _ = sign_in.tries("superset")
    token = browser.get("/api/v1/security/csrf_token/").json()["result"]
    query = "select who from reporting.rpt_session"
    answer = browser.post(
        "/api/v1/sqllab/execute/",
        json={"database_id": database, "sql": query, "runAsync": False, "queryLimit": 10},
        headers={"X-CSRFToken": token},
    )
    assert '"who": "analyst superset:ana"' in answer.text, answer.text
    assert list(browser.get("/api/v1/me/roles/").json()["result"]["roles"]) == ["analyst"]


def test_her_rights_in_airflow_are_those_of_her_role(sign_in, ana):
    sign_in.provider.signs_in(preferred_username="ana", roles=["Admin"])
    browser, _ = sign_in.tries("airflow")
    assert browser.get("/api/v2/dags").status_code == 200
    assert browser.get("/api/v2/connections").status_code == 403


def test_she_comes_back_to_the_page_that_she_asked_for(sign_in, ana):
    sign_in.provider.signs_in(preferred_username="ana")
    browser = sign_in.browser("superset")
    page = browser.get("/superset/welcome/?x=1")
    (link,) = re.findall(r'<a class="button" href="([^"]+)"', page.text)
    landed = browser.get(html.unescape(link)).url
    assert (landed.path, landed.query) == ("/superset/welcome/", b"x=1")
    elsewhere = sign_in.browser("superset").get("/login/oidc?next=https://evil.example/")
    assert elsewhere.url.host == "127.0.0.1"


@SERVERS
@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("nobody", "cityloom users add nobody --role ROLE"),
        ("Ana", "CITYLOOM_OIDC_CLAIM"),
        ("ana@city.example", "CITYLOOM_OIDC_DOMAIN"),
        ("$(ana)", "CITYLOOM_OIDC_CLAIM"),
        ("admin", "opens by its password only"),
    ],
)
def test_whom_the_list_does_not_name_is_refused_with_the_remedy(sign_in, ana, server, name, remedy):
    before = sign_in.web.clients[0].users().keys(), sign_in.web.clients[1].users().keys()
    sign_in.provider.signs_in(preferred_username=name)
    said = sign_in.refused(server)
    assert remedy in said and name in said
    assert "Invalid login" not in said
    after = sign_in.web.clients[0].users().keys(), sign_in.web.clients[1].users().keys()
    assert before == after


@SERVERS
def test_who_was_removed_is_refused_although_the_provider_knows_her(sign_in, server):
    web = sign_in.web
    people.add(web.clients, web.admin_url, "rosa", "cio", secret=web.secret)
    sign_in.provider.signs_in(preferred_username="rosa")
    browser, _ = sign_in.tries(server)
    assert sign_in.name(server, browser) == "rosa"
    client = web.clients[list(PAGES).index(server)]
    client.close("rosa")
    assert "no login of exactly that name is open here" in sign_in.refused(server)
    people.remove(web.clients, web.admin_url, "rosa")
    assert "no login of exactly that name is open here" in sign_in.refused(server)
    until = time.monotonic() + 300  # Airflow keeps what it read of a user for half a minute
    while sign_in.name(server, browser) == "rosa":
        assert time.monotonic() < until
        time.sleep(2)


@SERVERS
@pytest.mark.parametrize(
    "fault",
    [
        *("signature", "unknown key", "public key as secret", "no signature", "nonce", "no nonce"),
        *("audience", "audience, we are its party", "issuer", "expired", "no ID token"),
    ],
)
def test_an_id_token_that_is_not_for_this_sign_in_is_refused(sign_in, ana, server, fault):
    sign_in.provider.signs_in(fault, preferred_username="ana")
    said = sign_in.refused(server)
    assert "denied" in said or "no ID token" in said
    sign_in.provider.signs_in(preferred_username="ana")
    browser, _ = sign_in.tries(server)
    assert sign_in.name(server, browser) == "ana"


@SERVERS
def test_an_answer_that_this_browser_did_not_ask_for_is_refused(sign_in, ana, server):
    """Else somebody could sign another one in as oneself."""
    sign_in.provider.signs_in(preferred_username="ana")
    attacker = sign_in.browser(server)
    attacker.follow_redirects = False
    asking = attacker.get(f"{PAGES[server]}oidc").headers["location"]
    answer = httpx.get(asking).headers["location"]
    victim = sign_in.browser(server)
    assert "denied" in message(victim.get(answer))
    assert sign_in.name(server, victim) is None


@SERVERS
def test_an_address_counts_once_the_provider_has_verified_it(sign_in, ana, server):
    with sign_in.settings(claim="email", domain="city.example"):
        for verified in ({}, {"email_verified": False}, {"email_verified": "true"}):
            sign_in.provider.signs_in(email="ana@city.example", **verified)
            assert "has not verified the address ana@city.example" in sign_in.refused(server)
        sign_in.provider.signs_in(email="ana@evil.example", email_verified=True)
        assert "only city.example counts here" in sign_in.refused(server)
        sign_in.provider.signs_in(email="ana@city.example", email_verified=True)
        browser, _ = sign_in.tries(server)
        assert sign_in.name(server, browser) == "ana"


@SERVERS
def test_a_claim_may_come_from_the_userinfo_endpoint_for_the_same_person(sign_in, ana, server):
    sign_in.provider.signs_in(more={"preferred_username": "ana"})
    browser, _ = sign_in.tries(server)
    assert sign_in.name(server, browser) == "ana"
    sign_in.provider.signs_in(more={"preferred_username": "ana", "sub": "s-2"})
    assert "sends no preferred_username" in sign_in.refused(server)


@SERVERS
def test_the_administrator_gets_in_by_the_password_and_nobody_else_does(sign_in, ana, server):
    browser = sign_in.browser(server)
    by_password(browser, server, *sign_in.admin)
    assert sign_in.name(server, browser) == "admin"
    refused = sign_in.browser(server)
    said = message(by_password(refused, server, "admin", "wrong"))
    assert "Invalid login" in said and sign_in.name(server, refused) is None
    assert "Invalid login" in message(by_password(refused, server, "ana", ana))
    assert sign_in.name(server, refused) is None
    login = {"superset": sign_in.web.superset, "airflow": sign_in.web.airflow}[server]
    login(*sign_in.admin)
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        login("ana", ana)


@SERVERS
def test_a_provider_that_does_not_answer_is_named_with_the_way_in(sign_in, server):
    assert f"{LABEL} cannot be used now" in sign_in.before[server]
    assert "by the password below" in sign_in.before[server]


@SERVERS
def test_a_provider_that_says_it_is_another_is_refused_each_time(sign_in, server):
    """Not the first time only: what was fetched and refused is not kept."""
    assert all(f"{LABEL} cannot be used now" in said for said in sign_in.misnamed[server])


@SERVERS
def test_sign_ins_that_were_begun_fit_into_a_cookie(sign_in, server):
    browser = sign_in.browser(server)
    for _ in range(12):
        answer = browser.get(f"{PAGES[server]}oidc", follow_redirects=False)
        assert answer.is_redirect
        assert sum(len(one.value or "") for one in browser.cookies.jar) < 3500


def test_the_clients_secret_and_tokens_are_in_no_log_or_description(sign_in, ana):
    sign_in.provider.signs_in(preferred_username="ana")
    for server in PAGES:
        sign_in.tries(server)
    home = sign_in.web.settings.home
    files = [*home.glob("*.json"), *home.glob("logs/*.log"), *home.glob("airflow/*.cfg")]
    texts = {path: path.read_text() for path in files}
    assert len(texts) >= 4
    assert not [
        path
        for path, text in texts.items()
        if CLIENT_SECRET in text or sign_in.provider.access_token in text
    ]
