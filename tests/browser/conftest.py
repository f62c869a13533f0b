"""Debian's Chromium in front of a live server."""

import os
import warnings
from collections.abc import Callable, Iterator
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
from tests.support.chromium import ARGUMENTS, chromium_path
from tests.support.processes import wait_until

__all__ = ["_no_provider_keys", "claimed", "provider", "queue", "submit"]

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
SOON_MS = 60_000

OpenPage = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests in this directory `browser`."""
    for item in items:
        if item.nodeid.startswith("tests/browser/"):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser. If it is not installed, tests are skipped, or fail if AIINFRA_CI is set."""
    path = chromium_path()
    if path is None:
        missing = "Chromium is not installed: the pages are not tested in a browser"
        if os.environ.get("AIINFRA_CI"):
            pytest.fail(missing)
        warnings.warn(missing, stacklevel=1)
        pytest.skip(missing)
    with sync_playwright() as playwright, pytest.MonkeyPatch.context() as monkeypatch:
        # Playwright runs an event loop in this thread, so Django would refuse to use the ORM.
        monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        expect.set_options(timeout=SOON_MS)
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


ABORTED = ("htmx:sendAbort", "htmx:afterRequest")
"""htmx logs these for a poll that a click replaces (`hx-sync`). A failed request also logs another message."""

TOASTS_STAY = """{
  const later = setTimeout;
  window.setTimeout = (act, ms, ...more) => (ms === 6000 ? 0 : later(act, ms, ...more));
}"""
"""Keeps toasts open: on a busy machine, a test can check one later than the six seconds for which it is shown."""


@pytest.fixture
def open_page(chromium: Browser, live_server: LiveServer, queue: None) -> Iterator[OpenPage]:
    """Opens a path as a user. Console errors and warnings fail the test at its end."""
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
    said = list(problems)  # closing aborts polls in progress, which htmx reports
    for context in contexts:
        context.close()
    # End streams before the database is emptied, because this server does not detect disconnected clients.
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
    """Whether the page was reloaded since it was opened."""
    return not page.evaluate("window.isTheSamePage === true")
