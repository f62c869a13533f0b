"""Authenticator apps, recovery codes, and the setting that requires a second factor for staff."""

from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from aiinfra.tenants.login.factor_rotation import rotate_factors
from aiinfra.tenants.models import User
from aiinfra.tenants.security_log.models import SecurityEvent

PASSWORD = "a long password"
Browser = Callable[[User], Client]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_url")]


def code_of(secret: str) -> str:
    """The code that the authenticator app shows."""
    return totp.format_hotp_value(totp.hotp_value(secret, next(totp.yield_hotp_counters_from_time()) + 1))


@pytest.fixture
def secret(owner: User) -> Iterator[str]:
    """The secret of the owner's authenticator app."""
    text = totp.generate_totp_secret()
    totp.TOTP.activate(owner, text)
    return text


def log_in(client: Client) -> Any:
    return client.post(reverse("login"), {"username": "owner", "password": PASSWORD, "next": "/costs/"})


def test_login_requires_a_code_after_the_password(secret: str, client: Client) -> None:
    assert log_in(client).headers["Location"] == reverse("mfa_authenticate")
    assert client.get(reverse("members")).status_code == 302
    assert "Second factor" in client.get(reverse("mfa_authenticate")).text
    response = client.post(reverse("mfa_authenticate"), {"code": code_of(secret)})
    assert response.headers["Location"] == "/costs/"
    assert client.get(reverse("members")).status_code == 200


def test_code_works_once(secret: str, client: Client) -> None:
    code = code_of(secret)
    log_in(client)
    client.post(reverse("mfa_authenticate"), {"code": code})
    other = Client()
    log_in(other)
    assert "Incorrect code" in other.post(reverse("mfa_authenticate"), {"code": code}).text
    assert other.get(reverse("members")).status_code == 302


def test_login_is_blocked_after_five_wrong_codes(secret: str, client: Client) -> None:
    log_in(client)
    for _ in range(5):
        assert "Incorrect code" in client.post(reverse("mfa_authenticate"), {"code": "000000"}).text
    answer = client.post(reverse("mfa_authenticate"), {"code": code_of(secret)})
    assert "Too many" in answer.text
    assert client.get(reverse("members")).status_code == 302


def test_recovery_code_works_once_in_place_of_the_app(owner: User, secret: str, client: Client) -> None:
    code = RecoveryCodes.activate(owner).generate_codes()[0]
    log_in(client)
    assert client.post(reverse("mfa_authenticate"), {"code": code}).status_code == 302
    other = Client()
    log_in(other)
    assert "Incorrect code" in other.post(reverse("mfa_authenticate"), {"code": code}).text


def test_secrets_are_encrypted_in_the_database(secret: str) -> None:
    stored = Authenticator.objects.get().data["secret"]
    assert secret not in stored
    assert len(stored) > 2 * len(secret)


def reauthenticate(client: Client) -> None:
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})


def test_adding_an_app_requires_the_password_and_creates_recovery_codes(owner: User, client_of: Browser) -> None:
    client = client_of(owner)
    assert client.get(reverse("mfa_activate_totp")).headers["Location"].startswith(reverse("account_reauthenticate"))
    reauthenticate(client)
    page = client.get(reverse("mfa_activate_totp"))
    secret = page.context["form"].secret
    assert secret in page.text
    response = client.post(reverse("mfa_activate_totp"), {"code": code_of(secret)})
    assert response.headers["Location"] == reverse("mfa_view_recovery_codes")
    assert "10 of 10 codes are unused" in client.get(reverse("mfa_view_recovery_codes")).text
    assert "Authenticator app" in client.get(reverse("mfa_index")).text
    events = SecurityEvent.objects.values_list("event", flat=True)
    assert "second_factor.added" in events


def test_removing_the_app_requires_the_password(owner: User, secret: str, client_of: Browser) -> None:
    client = client_of(owner)
    client.post(reverse("mfa_deactivate_totp"))
    assert Authenticator.objects.exists()
    reauthenticate(client)
    assert client.post(reverse("mfa_deactivate_totp")).status_code == 302
    assert not Authenticator.objects.exists()


@pytest.fixture
def administrator(owner: User, settings: Settings) -> User:
    """A superuser of an installation that requires a second factor for staff."""
    settings.STAFF_SECOND_FACTOR = True
    owner.is_staff = owner.is_superuser = True
    owner.save()
    return owner


@pytest.mark.parametrize("page", ["/costs/", "/admin/", "/settings/members/", "/installation/alerts/"])
def test_staff_without_a_second_factor_can_only_add_one(administrator: User, client_of: Browser, page: str) -> None:
    client = client_of(administrator)
    response = client.get(page, follow=True)
    assert response.redirect_chain == [(reverse("mfa_index"), 302)]
    assert "need a second factor" in response.text
    assert client.post(page).status_code == 403
    totp.TOTP.activate(administrator, totp.generate_totp_secret())
    assert client.get(page).status_code == 200


def test_staff_cannot_remove_their_last_second_factor(administrator: User, secret: str, client_of: Browser) -> None:
    client = client_of(administrator)
    reauthenticate(client)
    assert "cannot deactivate" in client.post(reverse("mfa_deactivate_totp")).text
    assert Authenticator.objects.filter(type=Authenticator.Type.TOTP).exists()


def test_users_who_are_not_staff_need_no_second_factor(viewer: User, settings: Settings, client_of: Browser) -> None:
    settings.STAFF_SECOND_FACTOR = True
    assert client_of(viewer).get("/costs/").status_code == 200


def test_command_removes_lost_second_factors(owner: User, secret: str, client_of: Browser) -> None:
    before = client_of(owner)
    call_command("removesecondfactors", owner.email, stdout=StringIO())
    assert not Authenticator.objects.exists()
    assert before.get(reverse("members")).status_code == 302
    assert log_in(Client()).headers["Location"] == "/costs/"
    with pytest.raises(CommandError, match="nobody"):
        call_command("removesecondfactors", "nobody")


def test_secret_key_rotation_keeps_apps_and_recovery_codes(owner: User, secret: str, settings: Settings) -> None:
    codes = RecoveryCodes.activate(owner).generate_codes()
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "the next key of this installation"
    assert rotate_factors() == 2
    assert rotate_factors() == 0
    settings.SECRET_KEY_FALLBACKS = []
    app, recovery = (Authenticator.objects.get(type=kind).wrap() for kind in ("totp", "recovery_codes"))
    assert app.validate_code(code_of(secret))
    assert recovery.generate_codes() == codes
