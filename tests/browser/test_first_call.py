"""The first-call page: from creating a key to the first call made with a copied program."""

import subprocess
import sys

import pytest
from playwright.sync_api import Page, expect

from aiinfra.tenants.models import User
from aiinfra.tenants.scope import system_scope
from queue_app.models import AIRequest
from tests.browser.conftest import NARROW, OpenPage, was_reloaded
from tests.browser.test_pages import assert_is_usable
from tests.providers.conftest import SandboxClient, sandbox, sandbox_process

__all__ = ["sandbox", "sandbox_process"]

CLIENTS = {"curl": ["sh", "-c"], "python": [sys.executable, "-c"], "anthropic": [sys.executable, "-c"]}


def run(page: Page, client: str) -> str:
    """Run the page's program for a client without changes."""
    text = page.locator(f"#snippet-{client}").text_content() or ""
    done = subprocess.run([*CLIENTS[client], text], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("client", CLIENTS)
def test_a_copied_program_makes_the_first_call_and_the_page_shows_it(
    sandbox: SandboxClient, admin: User, open_page: OpenPage, client: str
) -> None:
    page = open_page(admin, "/first-call/")
    expect(page.locator("#first-call")).to_contain_text("Waiting for your first call")
    page.get_by_role("button", name="Create a key").click()
    expect(page.get_by_text("API key First call created.")).to_be_visible()
    page.evaluate("window.isTheSamePage = true")
    assert "sandbox" in run(page, client)
    expect(page.locator("#first-call")).to_contain_text("Your first call arrived")
    assert not was_reloaded(page)
    with system_scope():
        request = AIRequest.objects.get()
    page.locator("#first-call").get_by_role("link", name="Open the request").click()
    expect(page).to_have_url(f"{page.url.partition('/queue')[0]}/queue/requests/{request.pk}/")


def test_the_first_call_page_is_usable(admin: User, open_page: OpenPage) -> None:
    page = open_page(admin, "/first-call/")
    page.get_by_role("button", name="Create a key").click()
    expect(page.get_by_text("API key First call created.")).to_be_visible()
    assert_is_usable(page)


def test_only_one_program_is_open_at_a_time(admin: User, open_page: OpenPage) -> None:
    page = open_page(admin, "/first-call/", NARROW)
    page.locator("summary", has_text="Codex").click()
    expect(page.locator("#snippet-codex")).to_be_visible()
    expect(page.locator("#snippet-curl")).to_be_hidden()
