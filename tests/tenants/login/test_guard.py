"""The rate limit shared by every place that checks a password: the login page, Django admin, and password changes."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import MD5PasswordHasher
from django.db import connection
from django.test import Client
from django.urls import reverse

from aiinfra.tenants.login import hashing
from aiinfra.tenants.login.attempts import TooManyAttemptsError
from aiinfra.tenants.models import User

PASSWORD = "a long password"
Browser = Callable[[User], Client]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_url")]


def guess(path: str, name: str, password: str = "") -> Any:
    return Client().post(path, {"username": name, "password": password or "wrong", "next": "/"})


@pytest.mark.parametrize("path", ["/login/", "/admin/login/"])
def test_guessing_ends_with_429_on_every_login_page(owner: User, path: str) -> None:
    assert [guess(path, f"owner{' ' * n}").status_code for n in range(10)] == [422] * 10
    answer = guess(path, "owner", PASSWORD)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 300
    assert "Try again in 5 minutes" in answer.text


def test_login_pages_share_the_failure_count(owner: User) -> None:
    for _ in range(10):
        guess("/login/", "owner")
    assert guess("/admin/login/", "owner").status_code == 429


def test_wrong_current_password_counts_as_failed_login(owner: User, client_of: Browser) -> None:
    client = client_of(owner)
    form = {"old_password": "wrong", "new_password1": "another long password", "new_password2": "another long password"}
    assert [client.post(reverse("password"), form).status_code for _ in range(10)] == [422] * 10
    answer = client.post(reverse("password"), {**form, "old_password": PASSWORD})
    assert (answer.status_code, "Retry-After" in answer.headers) == (429, True)
    assert guess("/login/", "owner", PASSWORD).status_code == 429


@pytest.mark.django_db(transaction=True)
def test_ten_of_thirty_concurrent_guesses_are_checked(owner: User) -> None:
    barrier = Barrier(30)

    def attempt(_: int) -> int:
        barrier.wait()
        try:
            return int(guess("/login/", "owner").status_code)
        finally:
            connection.close()  # returns it to the pool for the next guess

    with ThreadPoolExecutor(30) as threads:
        statuses = list(threads.map(attempt, range(30)))
    assert (statuses.count(422), statuses.count(429)) == (10, 20)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that were hashed."""
    calls: list[str] = []
    encode = MD5PasswordHasher.encode

    def counted(self: MD5PasswordHasher, password: str, salt: str) -> str:
        calls.append(password)
        return encode(self, password, salt)

    monkeypatch.setattr(MD5PasswordHasher, "encode", counted)
    return calls


@pytest.mark.parametrize("name", ["owner", "nobody", "inactive", "without-password", "nul\0", "", "x" * 500])
def test_every_failed_login_computes_one_hash(owner: User, hashed: list[str], name: str) -> None:
    User.objects.create_user("inactive", password=PASSWORD, is_active=False)
    User.objects.create_user("without-password")
    hashed.clear()
    assert authenticate(username=name, password="wrong") is None
    assert len(hashed) == 1


def test_blocked_attempt_computes_no_hash(owner: User, hashed: list[str]) -> None:
    for _ in range(10):
        authenticate(username="owner", password="wrong")
    hashed.clear()
    with pytest.raises(TooManyAttemptsError):
        authenticate(username="owner", password=PASSWORD)
    assert hashed == []


def test_login_returns_429_without_hashing_when_all_hash_slots_are_taken(
    owner: User, hashed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "TIMEOUT_S", 0)
    with hashing.one_hash(), hashing.one_hash():
        answer = guess("/login/", "owner", PASSWORD)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    assert hashed == []
    assert guess("/login/", "owner", PASSWORD).status_code == 302


@pytest.mark.parametrize("name", ["owner", " Owner ", "OWNER@example.com", "owner@example.com"])
def test_login_accepts_username_or_email_in_any_case(owner: User, name: str) -> None:
    assert guess("/login/", name, PASSWORD).status_code == 302


def test_exact_username_takes_precedence_over_case_insensitive_match(owner: User) -> None:
    User.objects.create_user("OWNER", password="the password of another person")
    assert authenticate(username="owner", password=PASSWORD) == owner
    assert authenticate(username="OWNER", password=PASSWORD) is None


def test_email_address_of_another_account_does_not_shadow_a_username(owner: User) -> None:
    User.objects.create_user("intruder", "owner", "the password of an intruder")
    assert authenticate(username="owner", password="the password of an intruder") is None
    assert authenticate(username="owner", password=PASSWORD) == owner


def test_admin_returns_403_without_a_redirect_loop_to_users_who_are_not_staff(owner: User, client_of: Browser) -> None:
    answer = client_of(owner).get("/admin/", follow=True)
    assert answer.status_code == 403
    assert Client().get("/admin/", follow=True).status_code == 200
