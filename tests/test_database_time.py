"""Leases and due times follow the database's clock, even if the host's clock is wrong."""

import time
from datetime import datetime, timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from aiinfra import database_time

pytestmark = pytest.mark.django_db

WRONG_BY = timedelta(minutes=5)
on_postgres_only = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite uses the host's clock")


@pytest.fixture(autouse=True)
def _new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_time, "_clock", database_time._Clock())


def set_clock(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    """Shift the host's clock."""
    read, now = time.time, timezone.now
    monkeypatch.setattr(time, "time", lambda: read() + by.total_seconds())
    monkeypatch.setattr(timezone, "now", lambda: now() + by)


def is_near(moment: datetime, other: datetime) -> bool:
    return abs(moment - other) < WRONG_BY / 2


def test_a_correct_host_clock_is_used_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: moment)
    assert database_time.now() == moment


@on_postgres_only
@pytest.mark.parametrize("by", [WRONG_BY, -WRONG_BY])
def test_a_wrong_host_clock_is_corrected(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    right = timezone.now()
    set_clock(monkeypatch, by)
    assert is_near(database_time.now(), right)


@on_postgres_only
def test_a_change_of_the_host_clock_is_detected_immediately(monkeypatch: pytest.MonkeyPatch) -> None:
    right = database_time.now()
    set_clock(monkeypatch, WRONG_BY)
    assert is_near(database_time.now(), right)
    monkeypatch.undo()
    assert is_near(database_time.now(), right)


@on_postgres_only
def test_the_last_offset_is_used_while_the_database_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    right = timezone.now()
    set_clock(monkeypatch, WRONG_BY)
    database_time.now()

    def fail() -> float:
        raise OperationalError

    monkeypatch.setattr(database_time, "_read", fail)
    monkeypatch.setattr(database_time, "MEASURED_EVERY_S", 0)
    assert is_near(database_time.now(), right)


@on_postgres_only
def test_the_offset_is_not_measured_on_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    database_time.now()
    monkeypatch.setattr(database_time, "measure", pytest.fail)
    database_time.now()
