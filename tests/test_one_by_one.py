"""Loops that continue after a row fails."""

import logging

import pytest
from django.db import DataError, OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError

from aiinfra.one_by_one import one_by_one
from aiinfra.tenants.models import Organization


def test_a_failing_row_is_logged_and_skipped(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []
    given_up: list[int] = []

    def work(row: int) -> None:
        if row == 2:
            raise ValueError("bad")
        done.append(row)

    with caplog.at_level(logging.ERROR):
        assert one_by_one([1, 2, 3], work, given_up.append) == [2]
    assert (done, given_up) == ([1, 3], [2])
    assert len(caplog.records) == 1


def test_an_error_in_the_give_up_callback_does_not_stop_the_loop() -> None:
    done: list[int] = []

    def fail(_row: int) -> None:
        raise ZeroDivisionError

    assert one_by_one([1, 2], fail, fail) == [1, 2]
    assert one_by_one([1, 2], done.append) == []
    assert done == [1, 2]


@pytest.mark.parametrize("error", [OperationalError(), RedisConnectionError()])
def test_a_database_error_ends_the_loop(error: Exception) -> None:
    seen: list[int] = []

    def work(row: int) -> None:
        seen.append(row)
        raise error

    with pytest.raises(type(error)):
        one_by_one([1, 2], work)
    assert seen == [1]


def test_a_failing_row_is_rolled_back_in_a_transaction(db: None) -> None:
    def add(slug: str) -> None:
        Organization.objects.create(slug=slug, name=slug)
        if slug == "bad":
            raise DataError

    assert one_by_one(["good", "bad", "fine"], add, in_transaction=True) == ["bad"]
    assert set(Organization.objects.filter(slug__in=["good", "bad", "fine"]).values_list("slug", flat=True)) == {
        "good",
        "fine",
    }
