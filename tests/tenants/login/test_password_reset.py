"""Resetting a forgotten password by email."""

import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from aiinfra.logs import JsonFormatter
from aiinfra.tenants.models import User

NEW = "another long password"
Browser = Callable[[User], Client]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_url")]


@pytest.fixture(autouse=True)
def _mail_server(settings: Settings) -> None:
    settings.EMAIL_HOST = "mail.example.com"
    settings.AIINFRA_PUBLIC_URL = "http://testserver/"


def ask(email: str, **extra: Any) -> Any:
    return Client().post(reverse("account_reset_password"), {"email": email}, **extra)


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
    assert "This link does not work" in Client().get(link()).text


def test_an_unknown_address_gets_the_same_answer_and_no_message(owner: User) -> None:
    known, unknown = ask(owner.email), ask("nobody@example.com")
    assert (known.status_code, known.headers["Location"]) == (unknown.status_code, unknown.headers["Location"])
    assert len(mail.outbox) == 1


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


@pytest.mark.parametrize("path", ["/invitations/s3cr3t-token/", "/password/reset/1-s3cr3t-token/"])
def test_logs_contain_no_token(path: str) -> None:
    record = logging.LogRecord("django.request", logging.WARNING, "", 0, "Not Found: %s", (path,), None)
    line = JsonFormatter().format(record)
    assert "s3cr3t" not in line
    assert path.split("/")[1] in line
