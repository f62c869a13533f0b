"""A real Chromium in front of a live server. It is Debian's; nothing is downloaded."""

import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from aiinfra import web_stopping
from aiinfra.gateway.feed import feed
from aiinfra.tenants.models import User
from tests.queue_app.conftest import _no_provider_keys, claimed, provider, queue, submit
from tests.support.processes import wait_until

__all__ = ["_no_provider_keys", "claimed", "provider", "queue", "submit"]

CHROMIUM = Path("/usr/bin/chromium")
WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
SOON_MS = 60_000

OpenPage = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this directory needs the browser."""
    for item in items:
        if item.nodeid.startswith("tests/browser/"):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser; without one the tests are skipped, or fail with AIINFRA_CI set."""
    if not CHROMIUM.exists():
        missing = f"{CHROMIUM} is missing: the pages are not tested in a browser"
        if os.environ.get("AIINFRA_CI"):
            pytest.fail(missing)
        warnings.warn(missing, stacklevel=1)
        pytest.skip(missing)
    with sync_playwright() as playwright, pytest.MonkeyPatch.context() as monkeypatch:
        # Playwright keeps an event loop in this thread, where Django then refuses the ORM although nothing else runs.
        monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        expect.set_options(timeout=SOON_MS)
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


ABORTED = ("htmx:sendAbort", "htmx:afterRequest")
"""What htmx logs of a poll that a click replaces (`hx-sync`). A request that failed logs a second line of its kind."""

TOASTS_STAY = """{
  const later = setTimeout;
  window.setTimeout = (act, ms, ...more) => (ms === 6000 ? 0 : later(act, ms, ...more));
}"""
"""A busy machine can take longer to look at a toast than the six seconds that it is shown."""


@pytest.fixture
def open_page(chromium: Browser, live_server: LiveServer, queue: None) -> Iterator[OpenPage]:
    """Opens an address for a person. What the console says against the page fails the test at its end."""
    problems: list[str] = []
    contexts = []

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(ABORTED):
            problems.append(message.text)

    def make(user: User, path: str, viewport: dict[str, int] = WIDE, **options: Any) -> Page:
        context = chromium.new_context(base_url=live_server.url, viewport=viewport, **options)  # type: ignore[arg-type]
        contexts.append(context)
        context.add_cookies([{**_session_of(user), "url": live_server.url}])  # type: ignore[typeddict-item]
        context.add_init_script(TOASTS_STAY)
        page = context.new_page()
        page.set_default_timeout(SOON_MS)
        page.on("console", note)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(path)
        page.evaluate("window.isTheSamePage = true")
        page.problems = problems  # type: ignore[attr-defined]
        return page

    yield make
    said = list(problems)  # closing cuts off a poll that is under way, and htmx reports that
    for context in contexts:
        context.close()
    # Streams end before the database is emptied: this server does not see that their clients have left.
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(web_stopping, "is_stopping", lambda: True)
        wait_until(lambda: feed.count() == 0, "the end of the streams")
    assert said == []


def _session_of(user: User) -> dict[str, str]:
    client = Client()
    client.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    return {"name": name, "value": client.cookies[name].value}


def was_reloaded(page: Page) -> bool:
    """Whether the page was loaded anew since it was opened."""
    return not page.evaluate("window.isTheSamePage === true")
