"""The settings of single sign-on, and what `cityloom doctor` says of them."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from infra.home import ROOT
from infra.local import doctor, services
from infra.local.settings import load_settings
from infra.local.sign_in import asked
from infra.local.sign_in.provider import SignInError, SingleSignOn, is_safe
from infra.local.state import StackError, decide_state, read_state, state_file
from infra.local.supervise import inherited

WHOLE = {
    "CITYLOOM_OIDC_ISSUER": "https://id.example/realms/city",
    "CITYLOOM_OIDC_CLIENT_ID": "cityloom",
    "CITYLOOM_OIDC_CLIENT_SECRET": "env:CITY_CLIENT",
    "CITY_CLIENT": "very-secret",
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CITYLOOM_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CITYLOOM_DATABASE_URL", raising=False)
    for name in (*asked.REQUIRED, *asked.OPTIONAL):
        monkeypatch.delenv(asked.PREFIX + name, raising=False)
    return tmp_path / "home"


@pytest.fixture
def ask(home, monkeypatch):
    """Set the variables, without those that are None; return what the installation then is."""

    def set_variables(**changed):
        for name, value in {**WHOLE, **changed}.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, value)

    return set_variables


def test_without_the_variables_nothing_is_changed(home):
    assert "single_sign_on" not in decide_state()
    settings = load_settings()
    assert settings.single_sign_on is None
    services.airflow_environment(settings)
    config = (home / "airflow" / "airflow.cfg").read_text()
    assert f"config_file = {home}/airflow/webserver_config.py\n" in config
    assert list(doctor._single_sign_on()) == []


def test_what_is_given_once_is_kept_and_the_secret_only_among_secrets(home, ask, monkeypatch):
    ask(CITYLOOM_OIDC_LABEL="the City", CITYLOOM_OIDC_DOMAIN="city.example")
    decide_state()
    for name in WHOLE:
        monkeypatch.delenv(name)
    monkeypatch.delenv("CITYLOOM_OIDC_LABEL")
    monkeypatch.delenv("CITYLOOM_OIDC_DOMAIN")
    decide_state()
    settings = load_settings()
    assert settings.single_sign_on == SingleSignOn(
        "https://id.example/realms/city", "cityloom", domain="city.example", label="the City"
    )
    assert settings.kept(asked.SECRET) == "very-secret"
    assert (home / "secrets" / asked.SECRET).stat().st_mode & 0o777 == 0o600
    assert "very-secret" not in state_file().read_text()
    assert "very-secret" not in repr(services.airflow_environment(settings))
    config = (home / "airflow" / "airflow.cfg").read_text()
    assert "sign_in/airflow_config.py" in config and "very-secret" not in config


def test_another_secret_or_label_starts_the_servers_anew(home, ask):
    ask()
    decide_state()
    made = (services.superset_environment, services.airflow_environment)
    before = [environment(load_settings())["CITYLOOM_CONFIG"] for environment in made]
    for changed in ({"CITY_CLIENT": "another"}, {"CITYLOOM_OIDC_LABEL": "another name"}):
        ask(**changed)
        decide_state()
        after = [environment(load_settings())["CITYLOOM_CONFIG"] for environment in made]
        assert all(old != new for old, new in zip(before, after, strict=True)), changed
        before = after


def test_off_ends_it_and_removes_the_secret(home, ask, monkeypatch):
    ask()
    decide_state()
    ask(CITYLOOM_OIDC_ISSUER="off", CITYLOOM_OIDC_CLIENT_ID=None, CITYLOOM_OIDC_CLIENT_SECRET=None)
    assert "single_sign_on" not in decide_state()
    assert not (home / "secrets" / asked.SECRET).exists()
    assert load_settings().single_sign_on is None


def test_a_discovery_address_is_taken_for_its_issuer(ask):
    issuer = WHOLE["CITYLOOM_OIDC_ISSUER"]
    ask(CITYLOOM_OIDC_ISSUER=f"{issuer}/.well-known/openid-configuration")
    assert asked.asked().issuer == issuer


def test_the_secret_may_be_in_a_file_of_the_home(home, ask):
    home.mkdir()
    (home / "client").write_text("in-a-file\n")
    ask(CITYLOOM_OIDC_CLIENT_SECRET="file:client")
    decide_state()
    assert load_settings().kept(asked.SECRET) == "in-a-file"


def test_a_file_of_the_persons_home_may_be_named_by_a_tilde(home, ask, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "client").write_text("of-a-person\n")
    ask(CITYLOOM_OIDC_CLIENT_SECRET="file:~/client")
    decide_state()
    assert load_settings().kept(asked.SECRET) == "of-a-person"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"CITYLOOM_OIDC_CLIENT_ID": None}, "CITYLOOM_OIDC_CLIENT_ID missing beside"),
        (
            {
                "CITYLOOM_OIDC_ISSUER": None,
                "CITYLOOM_OIDC_CLIENT_ID": None,
                "CITYLOOM_OIDC_CLIENT_SECRET": None,
                "CITYLOOM_OIDC_LABEL": "x",
            },
            "CITYLOOM_OIDC_ISSUER, CITYLOOM_OIDC_CLIENT_ID, CITYLOOM_OIDC_CLIENT_SECRET missing",
        ),
        ({"CITYLOOM_OIDC_ISSUER": "http://id.example"}, "must begin with https"),
        ({"CITYLOOM_OIDC_CLIENT_SECRET": "very-secret"}, "a reference, file:PATH or env:NAME"),
        ({"CITYLOOM_OIDC_CLIENT_SECRET": "file:none"}, "none cannot be read"),
        ({"CITY_CLIENT": None}, "the variable CITY_CLIENT is not set"),
        ({"CITY_CLIENT": " "}, "leads to an empty secret"),
    ],
    ids=["half", "label-alone", "http", "secret-itself", "no-file", "no-variable", "empty"],
)
def test_a_wrong_description_stops_up_and_is_a_finding(ask, changed, message):
    ask(**changed)
    with pytest.raises(StackError, match=message) as stopped:
        decide_state()
    assert "very-secret" not in str(stopped.value)
    (finding,) = doctor._single_sign_on()
    assert finding.verdict == "bad" and finding.remedy
    assert message in finding.found


def test_what_up_has_not_taken_yet_is_a_finding(ask):
    decide_state()
    ask()
    (finding,) = doctor._single_sign_on()
    assert (finding.verdict, finding.remedy) == ("warn", "`cityloom up` takes it")


def test_another_secret_that_up_has_not_taken_yet_is_a_finding(ask):
    ask()
    decide_state()
    ask(CITY_CLIENT="rotated")
    (finding,) = doctor._single_sign_on()
    assert (finding.verdict, finding.remedy) == ("warn", "`cityloom up` takes it")
    assert "rotated" not in finding.found


def test_a_secret_that_is_gone_is_named_with_the_remedy(home, ask, monkeypatch):
    ask()
    decide_state()
    (home / "secrets" / asked.SECRET).unlink()
    monkeypatch.setattr(asked, "asked", lambda: None)
    (finding,) = doctor._single_sign_on()
    assert finding.verdict == "bad" and "secret of the client is gone" in finding.found
    with pytest.raises(StackError, match="CITYLOOM_OIDC_CLIENT_SECRET"):
        services.superset_environment(load_settings())


def test_the_servers_inherit_neither_the_variables_nor_the_secret(ask):
    ask()
    assert not WHOLE.keys() & inherited().keys()
    assert "PATH" in inherited()


@pytest.fixture
def provider(ask):
    """A discovery document, served; and a way to change it."""
    document = {}

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        issuer = f"http://127.0.0.1:{server.server_port}"
        document["issuer"] = issuer
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            document[name] = f"{issuer}/{name}"
        ask(CITYLOOM_OIDC_ISSUER=issuer)
        decide_state()
        yield document
        server.shutdown()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"issuer": "https://another.example"}, "names the issuer 'https://another.example'"),
        ({"token_endpoint": "http://id.example/token"}, "a token_endpoint without https"),
        ({"jwks_uri": None}, "without https"),
        ({"id_token_signing_alg_values_supported": ["HS256", "none"]}, "only the signatures HS256"),
    ],
)
def test_a_provider_that_cannot_be_used_is_a_finding(provider, changed, message):
    (finding,) = doctor._single_sign_on()
    assert finding.verdict == "ok" and "answers" in finding.found
    provider.update(changed)
    (finding,) = doctor._single_sign_on()
    assert finding.verdict == "bad" and message in finding.found
    assert "admin gets in by the password" in finding.remedy


def test_a_provider_that_does_not_answer_is_a_finding(ask):
    ask(CITYLOOM_OIDC_ISSUER="http://127.0.0.1:9")
    decide_state()
    assert read_state()["single_sign_on"]["issuer"] == "http://127.0.0.1:9"
    (finding,) = doctor._single_sign_on()
    assert finding.verdict == "bad" and "gives no discovery document" in finding.found


def test_airflow_does_not_start_by_passwords_where_the_secret_is_gone(ask, home):
    """Airflow reads its file of settings so that one that cannot be read counts as none."""
    ask()
    decide_state()
    (home / "secrets" / asked.SECRET).unlink()
    file = Path(services.HERE, "sign_in", "airflow_config.py")
    done = subprocess.run(
        [
            *(sys.executable, "-c"),
            "import sys; from flask import Flask;"
            "Flask('airflow').config.from_pyfile(sys.argv[1], silent=True)",
            str(file),
        ],
        env={**os.environ, "AIRFLOW_HOME": str(home / "airflow"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode and "RuntimeError: single sign-on" in done.stderr


CITY = SingleSignOn("https://id.example", "cityloom", domain="city.example", label="the City")
NO_DOMAIN = SingleSignOn("https://id.example", "cityloom", label="the City")


@pytest.mark.parametrize(
    ("sso", "name", "login"),
    [
        (NO_DOMAIN, "ana", "ana"),
        (NO_DOMAIN, "Ana", "Ana"),  # another login than ana, and none of ours
        (CITY, "ana@city.example", "ana"),
        (CITY, "ana@City.Example", "ana"),
        (CITY, "ana@x@city.example", "ana@x"),
    ],
)
def test_a_name_is_a_login_letter_by_letter(sso, name, login):
    assert sso.login({"preferred_username": name}) == login


@pytest.mark.parametrize(
    ("claim", "claims", "message"),
    [
        ("preferred_username", {}, "sends no preferred_username"),
        ("preferred_username", {"preferred_username": ["ana"]}, "sends no preferred_username"),
        ("preferred_username", {"preferred_username": "ana@evil.example"}, "only city.example"),
        # Else two people, ana and ana@city.example, could be one login.
        ("preferred_username", {"preferred_username": "ana"}, "only city.example"),
        (
            "preferred_username",
            {"preferred_username": "ana@city.example", "email": "ana@city.example"},
            "has not verified the address",
        ),
        ("email", {"email": "ana@city.example"}, "has not verified the address"),
        ("email", {"email": "ana@city.example", "email_verified": "true"}, "has not verified"),
        ("email", {"email": "a@sub.city.example", "email_verified": True}, "only city.example"),
    ],
)
def test_claims_that_name_no_login_say_why(claim, claims, message):
    sso = SingleSignOn(CITY.issuer, CITY.client_id, claim, CITY.domain, CITY.label)
    with pytest.raises(SignInError, match=message):
        sso.login(claims)


def test_without_a_domain_no_name_of_one_counts():
    with pytest.raises(SignInError, match="no domain counts"):
        SingleSignOn("https://id.example", "cityloom").login({"preferred_username": "a@b.example"})


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://id.example", True),
        ("http://127.0.0.1:8080/realms/x", True),
        ("http://[::1]:8080", True),
        ("http://localhost:8080", True),
        ("http://localhost.evil.example", False),
        ("http://127.0.0.1@evil.example", False),
        ("http://10.0.0.1", False),
        ("https://", False),
        ("ftp://id.example", False),
        ("https://[bad", False),
        (None, False),
    ],
)
def test_https_is_needed_but_on_this_machine(url, safe):
    assert is_safe(url) is safe
