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


class RefusingBackend(BaseEmailBackend):
    """A mail server that refuses connections."""

    def send_messages(self, email_messages: Any) -> int:  # noqa: ARG002 - Django's signature
        raise ConnectionRefusedError


Browser = Callable[[User], Client]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_url")]


@pytest.fixture(autouse=True)
def _mail_server(settings: Settings) -> None:
    settings.EMAIL_HOST = "mail.example.com"
    settings.AIINFRA_PUBLIC_URL = "http://testserver/"


def request_link(email: str, **extra: Any) -> Any:
    """Request a reset link and run the job that sends it."""
    answer = Client().post(reverse("account_reset_password"), {"email": email}, **extra)
    send_links()
    return answer


def emailed_path() -> str:
    """The path of the link in the email."""
    (message,) = mail.outbox
    return re.findall(r"http://testserver(/password/reset/\S+)", str(message.body))[0]


def test_link_sets_a_new_password_and_ends_all_sessions(owner: User, client_of: Browser) -> None:
    elsewhere = client_of(owner)
    assert request_link(owner.email).headers["Location"] == reverse("account_reset_password_done")
    client = Client()
    page = client.get(emailed_path())
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
    assert "This link no longer works" in Client().get(emailed_path()).text


def test_unknown_address_gets_the_same_response_and_no_email(owner: User) -> None:
    known, unknown = request_link(owner.email), request_link("nobody@example.com")
    assert (known.status_code, known.headers["Location"]) == (unknown.status_code, unknown.headers["Location"])
    assert len(mail.outbox) == 1


def status_and_queries(email: str) -> tuple[int, list[str]]:
    """The status of a request and the queries it ran."""
    with CaptureQueriesContext(connection) as found:
        answer = Client().post(reverse("account_reset_password"), {"email": email})
    return answer.status_code, [each["sql"].replace(email, "").split(" VALUES")[0] for each in found.captured_queries]


@pytest.mark.parametrize("other", ["nobody@example.com", "inactive@example.com", "shared@example.com"])
def test_request_runs_the_same_queries_for_known_and_unknown_addresses(owner: User, other: str) -> None:
    User.objects.create_user("inactive", "inactive@example.com", is_active=False)
    for name in ("one", "two"):
        User.objects.create_user(name, "shared@example.com")
    status_and_queries("warm@example.com")
    assert status_and_queries(owner.email) == status_and_queries(other)
    assert mail.outbox == []


def test_link_is_retried_when_the_mail_server_refuses_it(owner: User, settings: Settings) -> None:
    backend, settings.EMAIL_BACKEND = settings.EMAIL_BACKEND, "tests.tenants.login.test_password_reset.RefusingBackend"
    request_link(owner.email)
    assert send_links() == 0
    settings.EMAIL_BACKEND = backend
    ResetRequest.objects.update(due_at=timezone.now())
    send_links()
    assert (len(mail.outbox), ResetRequest.objects.count()) == (1, 0)


def test_expired_request_is_dropped(owner: User) -> None:
    Client().post(reverse("account_reset_password"), {"email": owner.email})
    ResetRequest.objects.update(asked_at=timezone.now() - GIVE_UP_AFTER)
    send_links()
    assert (mail.outbox, ResetRequest.objects.count()) == ([], 0)


def test_security_log_records_account_and_address(owner: User) -> None:
    request_link(owner.email, REMOTE_ADDR="192.0.2.7", headers={"X-Request-Id": "request-4711"})
    row = SecurityEvent.objects.get(event=Event.PASSWORD_RESET_REQUESTED)
    assert (row.target, row.ip_address, row.request_id) == ("owner", "192.0.2.7", "request-4711")


def test_link_uses_the_public_url_and_ignores_the_host_header(owner: User, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    request_link(owner.email, headers={"Host": "evil.example"})
    assert "http://testserver/password/reset/" in str(mail.outbox[0].body)
    assert "evil.example" not in str(mail.outbox[0].body)


def test_inactive_account_gets_no_link(owner: User) -> None:
    owner.is_active = False
    owner.save()
    request_link(owner.email)
    assert mail.outbox == []


def test_weak_password_is_rejected(owner: User) -> None:
    request_link(owner.email)
    client = Client()
    page = client.get(emailed_path()).headers["Location"]
    assert "errorlist" in client.post(page, {"password1": "short", "password2": "short"}).text
    owner.refresh_from_db()
    assert not owner.check_password("short")


def test_repeated_requests_return_429(owner: User) -> None:
    statuses = [request_link(owner.email).status_code for _ in range(7)]
    assert statuses == [302] * 5 + [429] * 2
    assert len(mail.outbox) == 5


def test_page_explains_what_to_do_without_a_mail_server(owner: User, settings: Settings) -> None:
    settings.EMAIL_HOST = ""
    assert "no mail server is configured" in Client().get(reverse("account_reset_password")).text
    assert "manage.py changepassword" in request_link(owner.email).text
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
