"""The list of sessions, ending them from elsewhere, and the time after which they end."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra.tenants.login import sessions
from aiinfra.tenants.models import PersonSession, User

PASSWORD = "a long password"
Browser = Callable[[User], Client]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_url")]


def is_in(client: Client) -> bool:
    return client.get(reverse("members")).status_code == 200


def test_the_page_lists_the_sessions_and_marks_the_current_one(owner: User, client_of: Browser) -> None:
    here = client_of(owner)
    agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
    Client(headers={"User-Agent": agent}).post(reverse("login"), {"username": "owner", "password": PASSWORD})
    page = here.get(reverse("mfa_index")).text
    assert page.count(">this one<") == 1
    assert "Firefox on Windows" in page


def test_a_session_is_ended_from_elsewhere(owner: User, client_of: Browser) -> None:
    here, elsewhere = client_of(owner), client_of(owner)
    other = PersonSession.objects.exclude(pk=here.session[sessions.SESSION_KEY]).get()
    assert is_in(elsewhere)
    assert here.post(reverse("session_end", args=[other.pk])).status_code == 302
    assert not is_in(elsewhere)
    assert is_in(here)


def test_all_other_sessions_are_ended_at_once(owner: User, client_of: Browser) -> None:
    here, *others = (client_of(owner) for _ in range(4))
    assert "3 other sessions logged out" in here.post(reverse("sessions_end"), follow=True).text
    assert [is_in(client) for client in others] == [False] * 3
    assert is_in(here)


def test_nobody_ends_the_session_of_another_person(owner: User, viewer: User, client_of: Browser) -> None:
    victim = client_of(owner)
    row = PersonSession.objects.get(user=owner)
    assert client_of(viewer).post(reverse("session_end", args=[row.pk])).status_code == 404
    assert is_in(victim)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Moves the clock forward."""
    real, moved = timezone.now, timedelta()

    def now() -> datetime:
        return real() + moved

    def move(time: timedelta) -> None:
        nonlocal moved
        moved += time

    monkeypatch.setattr(timezone, "now", now)
    return move


def test_a_session_that_nobody_uses_ends(
    owner: User, client_of: Browser, settings: Settings, later: Callable[[timedelta], None]
) -> None:
    client = client_of(owner)
    for _ in range(3):
        later(timedelta(hours=settings.SESSION_IDLE_HOURS - 1))
        assert is_in(client)
    later(timedelta(hours=settings.SESSION_IDLE_HOURS + 1))
    assert not is_in(client)


def test_polls_of_an_open_page_do_not_count_as_use(
    owner: User, client_of: Browser, settings: Settings, later: Callable[[timedelta], None]
) -> None:
    client = client_of(owner)
    later(timedelta(hours=settings.SESSION_IDLE_HOURS - 1))
    assert client.get(reverse("members"), headers={"HX-Request": "true"}).status_code == 200
    later(timedelta(hours=2))
    assert not is_in(client)


def test_even_a_session_in_use_ends_some_day(
    owner: User, client_of: Browser, settings: Settings, later: Callable[[timedelta], None]
) -> None:
    client = client_of(owner)
    for _ in range(settings.SESSION_MAX_HOURS // 6):
        assert is_in(client)
        later(timedelta(hours=6))
    later(timedelta(minutes=1))
    assert not is_in(client)


def test_logging_out_removes_the_session_from_the_list(owner: User, client_of: Browser) -> None:
    client = client_of(owner)
    client.post(reverse("logout"))
    assert not PersonSession.objects.exists()


def test_a_session_without_its_row_is_nobodys(owner: User, client_of: Browser) -> None:
    client = client_of(owner)
    session = client.session
    del session[sessions.SESSION_KEY]
    session.save()
    assert not is_in(client)


def test_a_new_password_ends_the_sessions_elsewhere_and_the_list_says_so(owner: User, client_of: Browser) -> None:
    here, elsewhere = client_of(owner), client_of(owner)
    new = {"old_password": PASSWORD, "new_password1": "another long password", "new_password2": "another long password"}
    assert here.post(reverse("password"), new).status_code == 302
    assert (is_in(here), is_in(elsewhere)) == (True, False)
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
