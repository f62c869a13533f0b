"""An outage from start to recovery, as seen by an operator's browser and an on-call webhook."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import SOON_MS, chromium  # noqa: F401 - a fixture
from tests.faults.databases import Sqlite
from tests.faults.stack import MODEL, PROVIDER, Stack
from tests.support.processes import wait_until
from tests.support.receiver import Receiver, receiving

HEALTHY = {"provider": "openai", "model": "gpt-3.5-turbo"}
FAILING = 6
ALERT_TIMEOUT_MS = 180_000
"""The alert manager checks every 30 seconds, and two checks decide. The machine may be busy."""
PASSWORD = "an operator's password"
SETUP = """
from aiinfra.notifications.channels import add_channel
from aiinfra.tenants.models import Membership, Organization, User
from aiinfra.tenants.scope import installation_scope, organization_scope
from cost_app.fallback.manage import use_defaults
north = Organization.objects.get(slug="north")
staff = User.objects.create_user("operator", "operator@example.com", {password!r}, is_staff=True, is_superuser=True)
Membership.objects.create(organization=north, user=staff, role="operator")
with organization_scope(north.pk):
    use_defaults(organization_id=north.pk, enabled=False, actor="test")
with installation_scope():
    add_channel(organization_id=None, kind="webhook", name="on call", target={url!r}, min_severity="high", actor="test")
"""


@pytest.fixture
def on_call() -> Iterator[Receiver]:
    """The on-call webhook."""
    with receiving() as found:
        yield found


@pytest.fixture
def watched(tmp_path: Path, on_call: Receiver) -> Iterator[Stack]:
    """A product whose circuits stay open for at least two checks, and whose requests have no fallback."""
    stack = Stack(tmp_path, Sqlite(tmp_path), BREAKER_OPEN_S="20")
    try:
        stack.prepare()
        stack.manage("collectstatic", "--noinput", "--verbosity", "0")
        stack.manage("shell", "-c", SETUP.format(url=on_call.url, password=PASSWORD))
        stack.revive()
        yield stack
    finally:
        stack.shut_down()


@pytest.fixture
def queue_page(watched: Stack, chromium: Browser) -> Iterator[Page]:  # noqa: F811
    """An operator's open queue page."""
    context = chromium.new_context(base_url=watched.url)
    page = context.new_page()
    page.set_default_timeout(SOON_MS)
    page.goto("/queue/")
    page.get_by_label("Username").fill("operator")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{watched.url}/queue/")
    yield page
    context.close()


@pytest.mark.timeout(900)
def test_outage_alerts_once_and_ends_with_recovery(watched: Stack, queue_page: Page, on_call: Receiver) -> None:
    watched.behave(faults=[{"kind": "status", "status": 500, "model": MODEL}])
    affected = [watched.enqueue(f"Affected {number}", maxRetries=10) for number in range(FAILING)]
    outage = queue_page.locator(".queue-outage")
    expect(outage).to_contain_text(f"{PROVIDER}/{MODEL}", timeout=ALERT_TIMEOUT_MS)
    expect(outage).to_contain_text("SERVER_ERROR")
    expect(outage).to_contain_text("waiting for a retry", timeout=ALERT_TIMEOUT_MS)
    expect(outage).to_contain_text("The circuit is open", timeout=ALERT_TIMEOUT_MS)

    unaffected = [watched.enqueue(f"Unaffected {number}", **HEALTHY) for number in range(FAILING)]
    assert set(watched.wait_until_ended(unaffected).values()) == {"completed"}
    assert watched.open_circuits() == [f"{PROVIDER}/{MODEL}"]
    wait_until(lambda: _alerts(on_call, "alert.opened") == ["provider_down", "system_health"], "the alerts")

    watched.behave()
    assert set(watched.wait_until_ended(affected).values()) == {"completed"}
    assert watched.open_circuits() == []
    expect(outage).to_have_count(0, timeout=ALERT_TIMEOUT_MS)
    wait_until(lambda: _alerts(on_call, "alert.resolved") == ["provider_down", "system_health"], "the resolved alerts")
    assert _alerts(on_call, "alert.opened") == ["provider_down", "system_health"]


def _alerts(receiver: Receiver, kind: str) -> list[str]:
    """The outage's alerts of this kind. A busy machine also raises `queue_latency`, because requests wait longer."""
    found = sorted(message["data"]["type"] for message in receiver.messages() if message["type"] == kind)
    return [each for each in found if each != "queue_latency"]
