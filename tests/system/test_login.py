"""What the browser says of a login: let in, refused, or not answered in time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask, render_template_string
from flask_appbuilder.security.forms import LoginForm_db
from flask_babel import Babel
from playwright.sync_api import Page, sync_playwright

from dashboards.browser import LOGIN_ATTEMPTS, PageError, go_to, log_in
from dashboards.chromium import ensure
from infra.home import ROOT

FORM = b"""<form method=post action=/login/><input name=username><input name=password>
<button type=submit>Log in</button></form>"""


@contextmanager
def server(sends_to: str | None, form: bytes = FORM, forgets: int = 0) -> Iterator[str]:
    """A login page that sends everybody to a page, or never answers; yields its address.

    /late is answered after a second, the page behind the login after two. A dashboard sends so
    many askers back to the login first.
    """
    ended = threading.Event()
    asked = []

    class Login(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            ended.wait({"/late": 1, "/superset/welcome/": 2}.get(self.path, 0))
            is_dashboard = self.path.startswith("/superset/dashboard/")
            if is_dashboard:
                asked.append(self.path)
            sent_back = is_dashboard and len(asked) <= forgets
            self.send_response(302 if sent_back else 200)
            if sent_back:
                self.send_header("Location", "/login/")
            self.send_header("Content-Type", "text/html")
            if self.path == "/late":
                self.send_header("Set-Cookie", "session=nobody; Path=/")
            self.end_headers()
            self.wfile.write(form if self.path.startswith("/login") else b"welcome")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            if sends_to is None:
                ended.wait()
                return
            self.send_response(302)
            self.send_header("Set-Cookie", "session=admin; Path=/")
            self.send_header("Location", sends_to)
            self.end_headers()

        def log_message(self, *_) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Login)
    listening.daemon_threads = True
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.server_port}"
    finally:
        ended.set()
        listening.shutdown()
        listening.server_close()


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(ensure()), args=["--no-sandbox", "--no-proxy-server"]
        )
        page = browser.new_page()
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def test_who_is_let_in_sees_another_page(page):
    with server("/superset/welcome/") as url:
        log_in(page, url, "admin", "secret")
        assert page.url == f"{url}/superset/welcome/"


def test_the_page_of_single_sign_on_is_one_to_log_in_by(page):
    app = Flask(__name__)
    app.config["SECRET_KEY"] = "x"
    Babel(app)
    text = (ROOT / "infra" / "local" / "sign_in" / "sign_in.html").read_text()
    with app.test_request_context():
        form = LoginForm_db(meta={"csrf": False})
        shown = render_template_string(text, title="City", form=form, url_for=lambda *_, **__: "/x")
    with server("/superset/welcome/", shown.encode()) as url:
        page.goto(f"{url}/login/")
        assert page.get_by_role("link", name="Sign in with City").is_visible()
        assert Axe().run(page).response["violations"] == []
        log_in(page, url, "admin", "secret")
        assert page.url == f"{url}/superset/welcome/"


def test_what_the_login_page_asked_for_does_not_end_the_session(page):
    with server("/superset/welcome/", FORM + b"<script>fetch('/late')</script>") as url:
        log_in(page, url, "admin", "secret")
        page.wait_for_timeout(2000)
        (cookie,) = [one for one in page.context.cookies() if one["name"] == "session"]
    assert cookie["value"] == "admin"


def test_who_is_refused_is_told_so_at_once(page):
    with server("/login/?next=") as url, pytest.raises(PageError, match="refuses the login"):
        log_in(page, url, "admin", "secret")


def test_a_server_that_does_not_answer_in_time_has_refused_nobody(page):
    with server(None) as url:
        page.set_default_timeout(5_000)
        with pytest.raises(PageError, match="does not answer the login of 'admin' in time"):
            log_in(page, url, "admin", "secret")


def test_a_session_that_ends_at_once_is_begun_again(page):
    page = page.context.browser.new_page()
    path = "/superset/dashboard/page/"
    with server("/superset/welcome/", forgets=LOGIN_ATTEMPTS - 1) as url:
        go_to(page, url, path, "admin", "secret")
        assert page.url == url + path
    with (
        server("/superset/welcome/", forgets=LOGIN_ATTEMPTS) as url,
        pytest.raises(PageError, match="forgot the login of 'admin'"),
    ):
        go_to(page, url, path, "admin", "secret")


def test_a_session_that_ends_before_the_first_page_is_begun_again(page):
    """That page sends back to the login, so that waiting for another one would be in vain."""
    page = page.context.browser.new_page()
    path = "/superset/dashboard/page/"
    with server("/superset/dashboard/first/", forgets=1) as url:
        go_to(page, url, path, "admin", "secret")
        assert page.url == url + path
