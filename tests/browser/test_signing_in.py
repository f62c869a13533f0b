"""Logging in with a real browser: second factor, passkey, password reset, and single sign-on."""

import re
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from aiosmtpd.controller import Controller
from allauth.mfa.totp.internal import auth as totp
from playwright.sync_api import Browser, Page
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from aiinfra.tenants.login.resets import send_links
from aiinfra.tenants.models import Membership, Organization, User
from aiinfra.tenants.scope import organization_scope
from aiinfra.tenants.sso.models import IdentityProvider
from tests.support.oidc import CLIENT_ID, CLIENT_SECRET, oidc_provider
from tests.support.processes import free_port

PASSWORD, NEW = "a long password", "another long password"
SOON_MS = 60_000


@pytest.fixture
def page(chromium: Browser, live_server: LiveServer, queue: None) -> Iterator[Page]:
    """A page without a logged-in user."""
    context = chromium.new_context(base_url=live_server.url)
    page = context.new_page()
    page.set_default_timeout(SOON_MS)
    yield page
    context.close()


def log_in(page: Page, password: str = "") -> None:
    page.goto("/login/")
    page.get_by_label("Email or username").fill("owner@example.com")
    page.get_by_label("Password", exact=True).fill(password or PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()


def confirm(page: Page) -> None:
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()


def code_of(secret: str) -> str:
    """A code that has not been used yet."""
    return totp.format_hotp_value(totp.hotp_value(secret, next(totp.yield_hotp_counters_from_time()) + 2))


def test_an_authenticator_app_is_added_and_required_at_login(owner: User, page: Page) -> None:
    log_in(page)
    page.wait_for_url("**/queue/**")
    page.goto("/settings/security/")
    page.get_by_role("link", name="Add authenticator app").click()
    confirm(page)
    secret = page.locator("#totp-secret").inner_text()
    page.get_by_label("Authenticator code").fill(code_of(secret))
    page.get_by_role("button", name="Add app").click()
    codes = page.locator("#recovery-codes").inner_text().split()
    assert len(codes) == 10
    page.context.clear_cookies()
    log_in(page)
    page.get_by_label("Code").fill(codes[0])
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/queue/**")


def test_a_passkey_replaces_the_password(owner: User, page: Page) -> None:
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    authenticator = {**options, "isUserVerified": True, "automaticPresenceSimulation": True}
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": authenticator})
    log_in(page)
    page.wait_for_url("**/queue/**")
    page.goto("/settings/security/passkeys/add/")
    confirm(page)
    page.get_by_label("Log in without a password").check()
    page.get_by_role("button", name="Add passkey").click()
    page.locator("#recovery-codes").wait_for()
    page.context.clear_cookies()
    page.goto("/login/")
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/queue/**")


class Sink:
    """The handler of an SMTP server, which stores received messages."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: object) -> str:  # noqa: N802 - aiosmtpd's
        content = envelope.content  # type: ignore[attr-defined]
        self.messages.append(message_from_bytes(content, policy=policy.default))  # type: ignore[arg-type]
        return "250 OK"


@pytest.fixture
def sink(settings: Settings) -> Iterator[Sink]:
    """An SMTP server on localhost."""
    sink, port = Sink(), free_port()
    controller = Controller(sink, hostname="127.0.0.1", port=port)
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", port, False
    yield sink
    controller.stop()


def test_a_forgotten_password_is_reset_by_email(
    owner: User, page: Page, sink: Sink, settings: Settings, live_server: LiveServer
) -> None:
    settings.AIINFRA_PUBLIC_URL = f"{live_server.url}/"
    page.goto("/login/")
    page.get_by_role("link", name="Forgot your password?").click()
    page.get_by_label("Email").fill("owner@example.com")
    page.get_by_role("button", name="Send the link").click()
    page.get_by_role("heading", name="Check your email").wait_for()
    assert send_links() == 1
    (message,) = sink.messages
    assert message["To"] == "owner@example.com"
    found = re.search(r"http://\S+/password/reset/\S+", message.get_content())
    assert found
    page.goto(found[0])
    assert page.url.endswith("-set-password/")
    page.get_by_label("New Password", exact=True).fill(NEW)
    page.get_by_label("New Password (again)").fill(NEW)
    page.get_by_role("button", name="Set password").click()
    page.wait_for_url("**/login/")
    log_in(page, NEW)
    page.wait_for_url("**/queue/**")


@pytest.fixture
def configured(
    organization: Organization, settings: Settings, live_server: LiveServer
) -> Iterator[Callable[[], Organization]]:
    """An identity provider for the organization, with one user."""
    settings.SSO_TRUSTED_HOSTS = frozenset({"127.0.0.1"})
    settings.AIINFRA_PUBLIC_URL = f"{live_server.url}/"
    with oidc_provider() as provider, organization_scope(organization.pk):
        IdentityProvider.objects.create(
            organization=organization,
            issuer=provider.issuer,
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            domains=["corp.example"],
            default_role="viewer",
        )
        yield lambda: organization


def test_single_sign_on_redirects_to_the_provider_and_back(configured: Callable[[], Organization], page: Page) -> None:
    page.goto("/login/?next=/settings/members/")
    page.get_by_role("link", name="Single sign-on").click()
    page.get_by_label("Organization").fill("north")
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("link", name="Continue").click()
    page.wait_for_url("**/settings/members/")
    assert page.get_by_role("heading", name="Members").is_visible()
    assert Membership.objects.get().user.username == "ada@corp.example"
