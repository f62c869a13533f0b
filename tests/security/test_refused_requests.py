"""Limits on log entries that anyone can cause, and caching of private pages."""

import logging
from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from django.urls import reverse

from aiinfra.logs import (
    MESSAGE_MAX,
    MESSAGES_MAX,
    REFUSED_PER_MINUTE,
    SAME_PER_MINUTE,
    TEXT_MAX,
    FewRefused,
    FewRepeats,
    JsonFormatter,
)
from aiinfra.tenants.models import User


class Lines(logging.Handler):
    """Collects the lines that would be written."""

    def __init__(self) -> None:
        super().__init__()
        self.addFilter(FewRefused())
        self.addFilter(FewRepeats())
        self.setFormatter(JsonFormatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The lines written so far; the clock stands still."""
    monkeypatch.setattr("aiinfra.logs.time.monotonic", lambda: 60.0)
    handler = Lines()
    logging.getLogger().addHandler(handler)
    yield handler.lines
    logging.getLogger().removeHandler(handler)


@pytest.mark.django_db
def test_unknown_host_logs_one_short_line_without_a_traceback(client: Client, lines: list[str]) -> None:
    assert client.get("/login/", headers={"Host": "evil.example" + "x" * 1_000}).status_code == 400
    assert [line for line in lines if "traceback" in line] == []
    assert 1 <= len(lines) <= 2
    assert max(map(len, lines)) < MESSAGE_MAX + 300


@pytest.mark.django_db
def test_unknown_hosts_do_not_fill_the_log_and_errors_are_still_written(client: Client, lines: list[str]) -> None:
    for number in range(REFUSED_PER_MINUTE + 10):
        client.get("/login/", headers={"Host": f"evil{number}.example"})
    logging.getLogger("aiinfra.test").error("still here")
    assert len(lines) == REFUSED_PER_MINUTE + 1
    assert "still here" in lines[-1]


def test_repeated_error_does_not_fill_the_log(lines: list[str]) -> None:
    logger = logging.getLogger("aiinfra.test")
    for number in range(100):
        logger.error("row %s is bad", number)
    assert len(lines) == SAME_PER_MINUTE
    assert "repeats" in lines[-1]
    for error in (ValueError("x"), KeyError("x")):
        logger.error("row %s is bad", 1, exc_info=error)
    assert len(lines) == SAME_PER_MINUTE + 2


def test_repeated_error_is_written_again_in_the_next_minute(lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger("aiinfra.test")
    for _ in range(SAME_PER_MINUTE + 5):
        logger.error("bad")
    monkeypatch.setattr("aiinfra.logs.time.monotonic", lambda: 120.0)
    logger.error("bad")
    assert len(lines) == SAME_PER_MINUTE + 1


def test_unlimited_different_messages_share_one_limit(lines: list[str]) -> None:
    for number in range(MESSAGES_MAX * 2):
        logging.getLogger("aiinfra.test").error(f"made up {number}")
    assert len(lines) == MESSAGES_MAX + SAME_PER_MINUTE


def test_line_length_is_limited(lines: list[str]) -> None:
    logging.getLogger("aiinfra.test").error("x" * 100_000, exc_info=ValueError("y" * 100_000))
    assert len(lines[-1]) < 2 * TEXT_MAX + MESSAGE_MAX


@pytest.mark.parametrize("name", ["members", "finance_invoices", "keys"])
def test_pages_of_logged_in_users_are_not_stored(owner: User, client_of: Callable[[User], Client], name: str) -> None:
    assert "no-store" in client_of(owner).get(reverse(name)).headers["Cache-Control"]


@pytest.mark.django_db
def test_api_responses_are_not_stored(client: Client) -> None:
    assert "no-store" in client.get("/api/ai/queue?action=stats").headers["Cache-Control"]
