"""Leases and due times follow the database's clock, whatever the clock of the host says."""

import time
from datetime import datetime, timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from aiinfra import database_time

pytestmark = pytest.mark.django_db

WRONG_BY = timedelta(minutes=5)
on_postgres_only = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no clock of its own")


@pytest.fixture(autouse=True)
def _new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_time, "_clock", database_time._Clock())


def set_clock(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    """Set the clock of this host forward or back."""
    read, now = time.time, timezone.now
    monkeypatch.setattr(time, "time", lambda: read() + by.total_seconds())
    monkeypatch.setattr(timezone, "now", lambda: now() + by)


def is_near(moment: datetime, other: datetime) -> bool:
    return abs(moment - other) < WRONG_BY / 2


def test_a_clock_that_agrees_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: moment)
    assert database_time.now() == moment


@on_postgres_only
@pytest.mark.parametrize("by", [WRONG_BY, -WRONG_BY])
def test_a_wrong_clock_is_corrected(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    right = timezone.now()
    set_clock(monkeypatch, by)
    assert is_near(database_time.now(), right)


@on_postgres_only
def test_a_clock_that_is_set_is_noticed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    right = database_time.now()
    set_clock(monkeypatch, WRONG_BY)
    assert is_near(database_time.now(), right)
    monkeypatch.undo()
    assert is_near(database_time.now(), right)


@on_postgres_only
def test_while_the_database_is_away_the_last_answer_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    right = timezone.now()
    set_clock(monkeypatch, WRONG_BY)
    database_time.now()

    def fail() -> float:
        raise OperationalError

    monkeypatch.setattr(database_time, "_read", fail)
    monkeypatch.setattr(database_time, "MEASURED_EVERY_S", 0)
    assert is_near(database_time.now(), right)


@on_postgres_only
def test_the_database_is_not_asked_again_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    database_time.now()
    monkeypatch.setattr(database_time, "measure", pytest.fail)
    database_time.now()
