"""Parsing of `Retry-After` headers."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx2
import pytest

from aiinfra.providers.backoff import RETRY_AFTER_MAX_S
from aiinfra.retry_after import retry_after_s


def seconds(value: str, name: str = "retry-after") -> float | None:
    return retry_after_s(httpx2.Headers([(name.encode(), value.encode())]), RETRY_AFTER_MAX_S)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("1.5", 1.5),
        (" 3 ", 3.0),
        ("+4", 4.0),
        ("1500ms", 1.5),
        ("20 s", 20.0),
        ("2 seconds", 2.0),
        ("1 minute", 60.0),
        ("1m30s", 90.0),
        ("0.5e1", 5.0),
        (".5", 0.5),
        ("-3", 0.0),
        ("-3s", 0.0),
        ("2h", RETRY_AFTER_MAX_S),
        ("1e9", RETRY_AFTER_MAX_S),
        ("1e999", RETRY_AFTER_MAX_S),
        ("inf", RETRY_AFTER_MAX_S),
        ("9" * 5000, RETRY_AFTER_MAX_S),
        ("1795729960", RETRY_AFTER_MAX_S),
    ],
)
def test_numbers_with_units_are_parsed_and_bounded(value: str, expected: float) -> None:
    assert seconds(value) == expected


def test_dates_are_parsed_and_bounded() -> None:
    def date(delta: timedelta) -> str:
        return format_datetime(datetime.now(UTC) + delta, usegmt=True)

    soon = seconds(date(timedelta(seconds=60)))
    assert soon is not None
    assert 0 < soon <= 60
    assert seconds(date(timedelta(seconds=-60))) == 0
    assert seconds(date(timedelta(days=3650))) == RETRY_AFTER_MAX_S


def test_the_milliseconds_header_takes_precedence() -> None:
    assert seconds("250", "retry-after-ms") == 0.25
    assert retry_after_s({"retry-after-ms": "250", "retry-after": "9"}, RETRY_AFTER_MAX_S) == 0.25
    assert retry_after_s({"retry-after-ms": "soon", "retry-after": "9"}, RETRY_AFTER_MAX_S) == 9


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "nan",
        "5 fortnights",
        "Mon, 99 Nov 2026 00:00:00 GMT",
        "1s" * 60,
        "\u0663",
        "1.2.3",
        "s",
        "1e999s -1e999s",
    ],
)
def test_an_invalid_retry_after_is_none(value: str) -> None:
    assert seconds(value) is None
