"""Opens a dashboard in a headless browser, waits until it is drawn, and takes its picture."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from dashboards.code import Dashboard
from dashboards.layout import filter_id

if TYPE_CHECKING:
    from playwright.sync_api import Page

#: Without background requests: a browser for tests asks only the server.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
WIDTH = 1600
HEIGHT = 3000
#: Widths of a desktop, a laptop and a phone.
WIDTHS = (1440, 1280, 390)
#: Height of a picture of the first screen.
FIRST_SCREEN = 1735

#: How often to log in at most: on a busy machine an answer from before the login may still come
#: after it, and end the session.
LOGIN_ATTEMPTS = 5
#: Superset sends who has no session back to the login page at once: no need to wait for long.
FORGOTTEN_SECONDS = 15

#: Script that returns what the page shows of each chart.
READ_CHARTS = """
() => [...document.querySelectorAll('.dashboard-component-chart-holder')]
.filter(holder => !holder.closest('.dashboard-markdown')).map(holder => {
  const slice = holder.querySelector('[data-test-chart-id]');
  const alert = holder.querySelector('.ant-alert-error, [data-test="error-message"]');
  const empty = holder.querySelector('.ant-empty, [data-test="empty-state"]');
  const drawn = holder.querySelector('canvas, table, .header-line');
  return {
    chart_id: Number(slice?.dataset.testChartId ?? 0),
    title: holder.querySelector('[data-test="editable-title"], .header-title')?.innerText ?? '',
    text: holder.innerText,
    loading: Boolean(holder.querySelector('[data-test="loading-indicator"], .loading')),
    error: alert ? alert.innerText : '',
    empty: empty ? empty.innerText || 'no data' : '',
    drawn: Boolean(drawn),
  };
})
"""


#: Script that returns where the lowest card ends: the document is as tall as the window at least.
CONTENT_HEIGHT = """
() => {
  const cards = [...document.querySelectorAll('.dashboard-component-chart-holder')];
  const lowest = Math.max(...cards.map(card => card.getBoundingClientRect().bottom));
  const document_height = document.documentElement.scrollHeight;
  return Math.min(document_height, Math.ceil(lowest + window.scrollY) + 24 || document_height);
}
"""


class PageError(Exception):
    """A dashboard that was not drawn completely; names the charts and the reasons."""


@dataclass(frozen=True)
class ShownChart:
    """A chart as the page shows it."""

    chart_id: int
    title: str
    text: str
    loading: bool
    error: str
    empty: str
    drawn: bool

    @property
    def problem(self) -> str:
        """What is wrong with it, or an empty text."""
        if self.loading:
            return "is still loading"
        if self.error:
            return f"shows an error: {' '.join(self.error.split())[:300]}"
        if self.empty:
            return "shows no data"
        return "" if self.drawn else "shows nothing"


@contextmanager
def open_dashboard(
    url: str,
    user: str,
    password: str,
    slug: str,
    *,
    executable: str | Path,
    filters: str = "",
    width: int = WIDTH,
    timeout: float = 300,
) -> Iterator[Page]:
    """Log in, open the dashboard and yield its page once no chart is loading.

    `executable` is a Chromium or Chrome. `filters` is what `choose` makes. `width` is the window's,
    in pixels.
    Raises `PageError` when charts are still loading after `timeout` seconds, or nobody is logged
    in.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(executable), args=list(FLAGS))
        try:
            page = browser.new_page(
                viewport={"width": width, "height": HEIGHT}, locale="en-GB", timezone_id="UTC"
            )
            page.set_default_timeout(timeout * 1000)
            query = urlencode({"native_filters": filters}) if filters else ""
            go_to(page, url, f"/superset/dashboard/{slug}/?{query}", user, password)
            wait_until_drawn(page, timeout)
            # Superset draws only what is in view: the window becomes as tall as the page.
            tall = page.evaluate("document.documentElement.scrollHeight")
            if tall > HEIGHT:
                page.set_viewport_size({"width": width, "height": tall})
                wait_until_drawn(page, timeout)
            yield page
        finally:
            browser.close()


def choose(dashboard: Dashboard, **choices: str) -> str:
    """Return the `filters` that open a dashboard with these values chosen, by filter's name."""
    chosen = []
    filters = {item.name: item for item in dashboard.filters}
    for name, value in choices.items():
        key, text = filter_id(dashboard, name), value.replace("!", "!!").replace("'", "!'")
        data = f"filters:!((col:{filters[name].column},op:IN,val:!('{text}')))"
        state = f"label:'{text}',value:!('{text}')"
        if filters[name].type == "time_range":
            data, state = f"time_range:'{text}'", f"value:'{text}'"
        chosen.append(f"{key}:(extraFormData:({data}),filterState:({state}),id:{key},ownState:())")
    return f"({','.join(chosen)})"


def go_to(page: Page, url: str, path: str, user: str, password: str) -> None:
    """Log in and go to a page; again where the session has ended before. Raises `PageError`."""
    for _ in range(LOGIN_ATTEMPTS):
        log_in(page, url, user, password)
        page.goto(f"{url}{path}")
        if "/login" not in page.url:
            return
    raise PageError(f"Superset at {url} forgot the login of {user!r}; try again")


def log_in(page: Page, url: str, user: str, password: str) -> None:
    """Log in by Superset's own form; raise `PageError` when it refuses, or does not answer."""
    from playwright.sync_api import Response, TimeoutError

    def is_answer(response: Response) -> bool:
        return response.request.method == "POST" and "/login" in response.url

    try:
        # An answer to a request of the login page itself that comes after the login would replace
        # the session's cookie by that of nobody.
        page.goto(f"{url}/login/", wait_until="networkidle")
        page.locator("input[name=username], #username").first.fill(user)
        page.locator("input[name=password], #password").first.fill(password)
        with page.expect_response(is_answer) as answer:
            page.locator("button[type=submit], input[type=submit]").first.click()
        # Who is let in is sent to another page.
        if "/login" in answer.value.headers.get("location", "/login"):
            raise PageError(f"Superset at {url} refuses the login of {user!r} in the browser")
        with suppress(TimeoutError):  # a session that has ended already: `go_to` begins another
            page.wait_for_url(
                lambda now: "/login" not in now,
                wait_until="commit",
                timeout=FORGOTTEN_SECONDS * 1000,
            )
    except TimeoutError as error:
        raise PageError(
            f"Superset at {url} does not answer the login of {user!r} in time; "
            "`cityloom status` shows whether it is up; try again when the machine is less busy"
        ) from error


def look(page: Page) -> list[ShownChart]:
    """Return every chart on the page."""
    return [ShownChart(**item) for item in page.evaluate(READ_CHARTS)]


def wait_until_drawn(page: Page, timeout: float = 300) -> list[ShownChart]:
    """Wait until no chart has been loading three times in a row; return them."""
    from playwright.sync_api import TimeoutError

    try:
        page.wait_for_selector(".dashboard-component-chart-holder", timeout=timeout * 1000)
    except TimeoutError as error:
        raise PageError(
            f"after {timeout:.0f} s the page shows no chart; `cityloom status` shows whether "
            "Superset is up; try again when the machine is less busy"
        ) from error
    deadline = time.monotonic() + timeout
    quiet = 0
    while True:
        charts = look(page)
        quiet = quiet + 1 if charts and not any(c.loading or _blank(c) for c in charts) else 0
        if quiet >= 3:
            return charts
        if time.monotonic() > deadline:
            waiting = [c.title or str(c.chart_id) for c in charts if c.loading or _blank(c)]
            raise PageError(f"after {timeout:.0f} s still loading: {', '.join(waiting)}")
        page.wait_for_timeout(400)


def _blank(chart: ShownChart) -> bool:
    return not (chart.drawn or chart.error or chart.empty)


def problems(charts: list[ShownChart]) -> list[str]:
    """Return a line for each chart that shows an error or no data."""
    return [f"{c.title or c.chart_id}: {c.problem}" for c in charts if c.problem]


def save_picture(page: Page, path: Path, *, whole: bool = True) -> None:
    """Save the page as PNG: all of it, or its first screen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height = page.evaluate(CONTENT_HEIGHT)
    if not whole:
        height = min(height, FIRST_SCREEN)
    width = page.evaluate("window.innerWidth")
    page.screenshot(
        path=str(path),
        clip={"x": 0, "y": 0, "width": width, "height": height},
        animations="disabled",
    )
