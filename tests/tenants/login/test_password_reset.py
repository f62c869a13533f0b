"""Resetting a forgotten password by email."""

import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra.logs import JsonFormatter
from aiinfra.tenants.login.resets import GIVE_UP_AFTER, send_links
from aiinfra.tenants.models import ResetRequest, User
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.models import SecurityEvent

NEW = "another long password"


class Refusing(BaseEmailBackend):
    """A mail server that is away."""

    def send_messages(self, email_messages: Any) -> int:  # noqa: ARG002 - Django's signature
        """Never."""
        raise ConnectionRefusedError


Browser = Callable[[User], Client]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_url")]


@pytest.fixture(autouse=True)
def _mail_server(settings: Settings) -> None:
    settings.EMAIL_HOST = "mail.example.com"
    settings.AIINFRA_PUBLIC_URL = "http://testserver/"


def ask(email: str, **extra: Any) -> Any:
    """Ask for a link; the scheduler sends it."""
    answer = Client().post(reverse("account_reset_password"), {"email": email}, **extra)
    send_links()
    return answer


def link() -> str:
    """The address in the email."""
    (message,) = mail.outbox
    return re.findall(r"http://testserver(/password/reset/\S+)", str(message.body))[0]


def test_the_link_sets_a_new_password_and_ends_all_sessions(owner: User, client_of: Browser) -> None:
    elsewhere = client_of(owner)
    assert ask(owner.email).headers["Location"] == reverse("account_reset_password_done")
    client = Client()
    page = client.get(link())
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Location"].endswith("-set-password/")
    form = client.get(page.headers["Location"])
    assert "Set a new password" in form.text
    assert form.headers["Referrer-Policy"] == "same-origin"  # without a referrer, browsers send no Origin
    done = client.post(page.headers["Location"], {"password1": NEW, "password2": NEW}, follow=True)
    assert "Log in with the new one" in done.text
    owner.refresh_from_db()
    assert owner.check_password(NEW)
    assert elsewhere.get(reverse("members")).status_code == 302
    assert "This link no longer works" in Client().get(link()).text


def test_an_unknown_address_gets_the_same_answer_and_no_message(owner: User) -> None:
    known, unknown = ask(owner.email), ask("nobody@example.com")
    assert (known.status_code, known.headers["Location"]) == (unknown.status_code, unknown.headers["Location"])
    assert len(mail.outbox) == 1


def work_of(email: str) -> tuple[int, list[str]]:
    """The status of a request, and what it did in the database."""
    with CaptureQueriesContext(connection) as found:
        answer = Client().post(reverse("account_reset_password"), {"email": email})
    return answer.status_code, [each["sql"].replace(email, "").split(" VALUES")[0] for each in found.captured_queries]


@pytest.mark.parametrize("other", ["nobody@example.com", "inactive@example.com", "shared@example.com"])
def test_a_request_does_the_same_work_whether_an_address_has_accounts_or_not(owner: User, other: str) -> None:
    User.objects.create_user("inactive", "inactive@example.com", is_active=False)
    for name in ("one", "two"):
        User.objects.create_user(name, "shared@example.com")
    work_of("warm@example.com")
    assert work_of(owner.email) == work_of(other)
    assert mail.outbox == []


def test_a_link_that_the_mail_server_refused_is_sent_later(owner: User, settings: Settings) -> None:
    backend, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, "tests.tenants.login.test_password_reset.Refusing"
    ask(owner.email)
    assert send_links() == 0
    settings.EMAIL_BACKEND = backend
    ResetRequest.objects.update(due_at=timezone.now())
    send_links()
    assert (len(mail.outbox), ResetRequest.objects.count()) == (1, 0)


def test_a_request_that_nobody_waits_for_any_more_is_dropped(owner: User) -> None:
    Client().post(reverse("account_reset_password"), {"email": owner.email})
    ResetRequest.objects.update(asked_at=timezone.now() - GIVE_UP_AFTER)
    send_links()
    assert (mail.outbox, ResetRequest.objects.count()) == ([], 0)


def test_the_log_names_who_asked_and_from_where(owner: User) -> None:
    ask(owner.email, REMOTE_ADDR="192.0.2.7", headers={"X-Request-Id": "request-4711"})
    row = SecurityEvent.objects.get(event=Event.PASSWORD_RESET_REQUESTED)
    assert (row.target, row.ip_address, row.request_id) == ("owner", "192.0.2.7", "request-4711")


def test_the_link_has_the_public_address_whatever_the_host_header_says(owner: User, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    ask(owner.email, headers={"Host": "evil.example"})
    assert "http://testserver/password/reset/" in str(mail.outbox[0].body)
    assert "evil.example" not in str(mail.outbox[0].body)


def test_an_inactive_account_gets_no_link(owner: User) -> None:
    owner.is_active = False
    owner.save()
    ask(owner.email)
    assert mail.outbox == []


def test_a_weak_password_is_refused(owner: User) -> None:
    ask(owner.email)
    client = Client()
    page = client.get(link()).headers["Location"]
    assert "errorlist" in client.post(page, {"password1": "short", "password2": "short"}).text
    owner.refresh_from_db()
    assert not owner.check_password("short")


def test_asking_again_and_again_ends_with_429(owner: User) -> None:
    statuses = [ask(owner.email).status_code for _ in range(7)]
    assert statuses == [302] * 5 + [429] * 2
    assert len(mail.outbox) == 5


def test_without_a_mail_server_the_page_says_who_can_help(owner: User, settings: Settings) -> None:
    settings.EMAIL_HOST = ""
    assert "no mail server is configured" in Client().get(reverse("account_reset_password")).text
    assert "manage.py changepassword" in ask(owner.email).text
    assert mail.outbox == []


@pytest.mark.parametrize(
    "path",
    [
        "/invitations/s3cr3t-token/",
        "/password/reset/1-s3cr3t-token/",
        "/INVITATIONS/s3cr3t-token",
        "//password//Reset//1-s3cr3t-token/",
    ],
)
def test_logs_contain_no_token(path: str) -> None:
    record = logging.LogRecord("django.request", logging.WARNING, "", 0, "Not Found: %s", (path,), None)
    line = JsonFormatter().format(record)
    assert "s3cr3t" not in line
    assert path.strip("/").split("/")[0] in line
