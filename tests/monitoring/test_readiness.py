"""Readiness of a process, and checks that hang or fail."""

import threading

import pytest
from django.db import OperationalError, connection, transaction

from aiinfra.monitoring import readiness


@pytest.mark.django_db
def test_process_is_not_ready_until_migrations_are_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_migrated", False)
    needed = readiness._needed()
    monkeypatch.setattr(readiness, "_needed", lambda: needed | {("queue_app", "9999_of_the_next_release")})
    assert readiness.check_now() == "migrations are missing: run manage.py release"
    monkeypatch.setattr(readiness, "_needed", lambda: needed)
    assert readiness.check_now() == ""


@pytest.mark.django_db
def test_process_is_ready_with_migrations_of_a_newer_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_migrated", False)
    fewer = frozenset(sorted(readiness._needed())[:-1])
    monkeypatch.setattr(readiness, "_needed", lambda: fewer)
    assert readiness.check_now() == ""


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("postgresql" not in connection.vendor, reason="SQLite has no read-only servers")
def test_process_is_not_ready_on_a_read_only_server_until_it_reconnects() -> None:
    _make_read_only()
    assert readiness.check_now() == "the database is read-only"
    connection.close()
    _make_read_only()
    with pytest.raises(OperationalError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("CREATE TABLE never (id integer)")
    connection.close()
    assert readiness.check_now() == ""  # on a new connection


def _make_read_only() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")


def test_hanging_check_is_started_once_and_not_awaited() -> None:
    started, may_end = threading.Semaphore(0), threading.Event()

    def hang() -> str:
        started.release()
        may_end.wait(60)
        return ""

    check = readiness._Check(hang)
    assert [check.answer(0), check.answer(0)] == [readiness.NO_ANSWER] * 2
    assert started.acquire(timeout=60)
    assert not started.acquire(blocking=False)
    may_end.set()
    assert check.answer(60) == ""


def test_failing_check_makes_the_process_unready() -> None:
    def fail() -> str:
        raise RuntimeError

    assert readiness._Check(fail).answer(60) == readiness.NO_ANSWER
