"""The list of sessions, remote logout, and session timeouts."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra.tenants.login import sessions
from aiinfra.tenants.models import PersonSession, User
from tests.support.logged_in import is_logged_in

PASSWORD = "a long password"
Browser = Callable[[User], Client]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_url")]


def test_page_lists_sessions_and_marks_the_current_one(owner: User, client_of: Browser) -> None:
    here = client_of(owner)
    agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
    Client(headers={"User-Agent": agent}).post(reverse("login"), {"username": "owner", "password": PASSWORD})
    page = here.get(reverse("mfa_index")).text
    assert page.count(">this one<") == 1
    assert "Firefox on Windows" in page


def test_one_session_can_be_logged_out_remotely(owner: User, client_of: Browser) -> None:
    here, elsewhere = client_of(owner), client_of(owner)
    other = PersonSession.objects.exclude(pk=here.session[sessions.SESSION_KEY]).get()
    assert is_logged_in(elsewhere)
    assert here.post(reverse("session_end", args=[other.pk])).status_code == 302
    assert not is_logged_in(elsewhere)
    assert is_logged_in(here)


def test_all_other_sessions_can_be_logged_out(owner: User, client_of: Browser) -> None:
    here, *others = (client_of(owner) for _ in range(4))
    assert "3 other sessions logged out" in here.post(reverse("sessions_end"), follow=True).text
    assert [is_logged_in(client) for client in others] == [False] * 3
    assert is_logged_in(here)


def test_users_cannot_end_sessions_of_other_users(owner: User, viewer: User, client_of: Browser) -> None:
    victim = client_of(owner)
    row = PersonSession.objects.get(user=owner)
    assert client_of(viewer).post(reverse("session_end", args=[row.pk])).status_code == 404
    assert is_logged_in(victim)


@pytest.fixture
def advance_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Advances the clock."""
    real, moved = timezone.now, timedelta()

    def now() -> datetime:
        return real() + moved

    def move(time: timedelta) -> None:
        nonlocal moved
        moved += time

    monkeypatch.setattr(timezone, "now", now)
    return move


def test_unused_session_ends_at_the_idle_timeout(
    owner: User, client_of: Browser, settings: Settings, advance_clock: Callable[[timedelta], None]
) -> None:
    client = client_of(owner)
    for _ in range(3):
        advance_clock(timedelta(hours=settings.SESSION_IDLE_HOURS - 1))
        assert is_logged_in(client)
    advance_clock(timedelta(hours=settings.SESSION_IDLE_HOURS + 1))
    assert not is_logged_in(client)


def test_polling_does_not_extend_the_session(
    owner: User, client_of: Browser, settings: Settings, advance_clock: Callable[[timedelta], None]
) -> None:
    client = client_of(owner)
    advance_clock(timedelta(hours=settings.SESSION_IDLE_HOURS - 1))
    assert client.get(reverse("members"), headers={"HX-Request": "true"}).status_code == 200
    advance_clock(timedelta(hours=2))
    assert not is_logged_in(client)


def test_session_in_use_ends_at_the_absolute_timeout(
    owner: User, client_of: Browser, settings: Settings, advance_clock: Callable[[timedelta], None]
) -> None:
    client = client_of(owner)
    for _ in range(settings.SESSION_MAX_HOURS // 6):
        assert is_logged_in(client)
        advance_clock(timedelta(hours=6))
    advance_clock(timedelta(minutes=1))
    assert not is_logged_in(client)


def test_logout_removes_the_session_from_the_list(owner: User, client_of: Browser) -> None:
    client = client_of(owner)
    client.post(reverse("logout"))
    assert not PersonSession.objects.exists()


def test_session_without_its_row_is_logged_out(owner: User, client_of: Browser) -> None:
    client = client_of(owner)
    session = client.session
    del session[sessions.SESSION_KEY]
    session.save()
    assert not is_logged_in(client)


def test_password_change_ends_all_other_sessions(owner: User, client_of: Browser) -> None:
    here, elsewhere = client_of(owner), client_of(owner)
    new = {"old_password": PASSWORD, "new_password1": "another long password", "new_password2": "another long password"}
    assert here.post(reverse("password"), new).status_code == 302
    assert (is_logged_in(here), is_logged_in(elsewhere)) == (True, False)
    assert PersonSession.objects.count() == 1


def test_checking_a_session_takes_one_query(
    owner: User, client_of: Browser, django_assert_num_queries: Callable[..., object]
) -> None:
    from django.contrib.auth import get_user
    from django.http import HttpRequest, HttpResponse

    request = HttpRequest()
    request.session = client_of(owner).session
    request.user = get_user(request)
    with django_assert_num_queries(1):  # type: ignore[attr-defined]
        sessions.check_session(lambda _: HttpResponse())(request)
    assert request.user.is_authenticated
