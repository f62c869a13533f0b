"""A copy of the database opens no session."""

from collections.abc import Callable
from datetime import timedelta
from importlib import import_module

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings as django_settings
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from aiinfra.tenants.models import User
from aiinfra.tenants.sessions import SessionId, SessionIdField, SessionStore, session_id
from tests.support.logged_in import is_logged_in

COOKIE = django_settings.SESSION_COOKIE_NAME
ClientOf = Callable[[User], Client]


@pytest.fixture
def browser(owner: User, client_of: ClientOf) -> Client:
    """The browser of a logged-in user."""
    return client_of(owner)


def key_of(browser: Client) -> str:
    return browser.cookies[COOKIE].value


def browser_with(key: str) -> Client:
    client = Client()
    client.cookies[COOKIE] = key
    return client


def change_key(settings: Settings, *, keep: bool) -> None:
    fallbacks = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS] if keep else []
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = f"{settings.SECRET_KEY}-next", fallbacks


def test_settings_use_this_session_store() -> None:
    assert import_module(django_settings.SESSION_ENGINE).SessionStore is SessionStore


def test_no_column_of_a_copied_row_opens_the_session(browser: Client) -> None:
    assert is_logged_in(browser)
    row = Session.objects.get()
    assert key_of(browser) not in (row.session_key, row.session_data)
    for stolen in (row.session_key, row.session_key[:32], row.session_data):
        assert not is_logged_in(browser_with(stolen))
    assert is_logged_in(browser_with(key_of(browser)))


def test_changed_session_data_is_an_empty_session(browser: Client, viewer: User) -> None:
    row = Session.objects.get()
    data, _, signature = row.session_data.rpartition(":")
    Session.objects.update(session_data=f"{data[:-1]}{'A' if data[-1] != 'A' else 'B'}:{signature}")
    assert not is_logged_in(browser)


def test_added_row_opens_nothing(browser: Client) -> None:
    row = Session.objects.get()
    Session.objects.create(session_key="k" * 32, session_data=row.session_data, expire_date=row.expire_date)
    assert not is_logged_in(browser_with("k" * 32))


def test_logout_deletes_the_row(browser: Client) -> None:
    browser.logout()
    assert not Session.objects.exists()


def test_session_can_be_saved_again(browser: Client) -> None:
    session = browser.session
    session["theme"] = "dark"
    session.save()
    assert Session.objects.get().session_key == session_id(key_of(browser))
    assert browser.session["theme"] == "dark"


def test_cycling_the_key_keeps_the_data_and_ends_the_old_session(browser: Client) -> None:
    session = browser.session
    old = str(session.session_key)
    session.cycle_key()
    assert Session.objects.count() == 1
    assert is_logged_in(browser_with(str(session.session_key)))
    assert not is_logged_in(browser_with(old))


def test_session_survives_a_secret_key_rotation_with_fallback(browser: Client, settings: Settings) -> None:
    change_key(settings, keep=True)
    assert is_logged_in(browser)
    settings.SECRET_KEY_FALLBACKS = []
    assert is_logged_in(browser)
    assert Session.objects.count() == 1


def test_anonymous_session_survives_a_secret_key_rotation_with_fallback(db: None, settings: Settings) -> None:
    session = SessionStore()
    session["theme"] = "dark"
    session.save()
    change_key(settings, keep=True)
    again = SessionStore(session.session_key)
    again["size"] = again["theme"]
    again.save()
    settings.SECRET_KEY_FALLBACKS = []
    assert SessionStore(session.session_key)["size"] == "dark"


def test_session_ends_when_its_secret_key_is_dropped(browser: Client, settings: Settings) -> None:
    change_key(settings, keep=False)
    assert not is_logged_in(browser)


def test_lookup_takes_one_query(browser: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(1):
        SessionStore(key_of(browser)).load()


@pytest.mark.parametrize("key", ["", "short", "k" * 1000, "\0" * 32, "\ud800" * 32])
def test_malformed_cookie_opens_an_empty_session(db: None, key: str) -> None:
    assert SessionStore(key).load() == {}


def test_rows_can_be_accessed_by_session_id(browser: Client) -> None:
    """As the list of sessions does, which stores IDs in another table."""
    row = SessionId(Session.objects.get().session_key)
    assert SessionStore().exists(row)
    assert SessionStore(row)["_auth_user_id"]
    SessionStore().delete(row)
    assert not is_logged_in(browser)


def test_session_id_field_stores_ids(browser: Client) -> None:
    field, key = SessionIdField(max_length=40), key_of(browser)
    stored = field.get_prep_value(key)
    assert stored == session_id(key) != key
    read = field.from_db_value(str(stored), None, None)  # type: ignore[arg-type]
    assert isinstance(read, SessionId)
    assert field.get_prep_value(read) == stored
    assert SessionStore().exists(read)
    assert not SessionStore().exists(str(stored))


@pytest.mark.django_db(transaction=True)
def test_async_code_uses_the_same_sessions() -> None:
    async def work() -> tuple[object, bool]:
        session = SessionStore()
        await session.aset("theme", "dark")
        await session.asave()
        key = str(session.session_key)
        found = await SessionStore(key).aget("theme")
        await session.adelete()
        return found, await SessionStore().aexists(key)

    assert async_to_sync(work)() == ("dark", False)


def test_expired_sessions_are_deleted_by_clearsessions(browser: Client) -> None:
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert not is_logged_in(browser)
    call_command("clearsessions")
    assert not Session.objects.exists()
