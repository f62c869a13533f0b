"""What anyone can make the server log, and what browsers keep of private data."""

import logging
from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from django.urls import reverse

from aiinfra.logs import MESSAGE_MAX, REFUSED_PER_MINUTE, FewRefused, JsonFormatter
from aiinfra.tenants.models import User


class Lines(logging.Handler):
    """The lines that would be written."""

    def __init__(self) -> None:
        super().__init__()
        self.addFilter(FewRefused())
        self.setFormatter(JsonFormatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the log has so far, in a minute that does not end."""
    monkeypatch.setattr("aiinfra.logs.time.monotonic", lambda: 60.0)
    handler = Lines()
    logging.getLogger().addHandler(handler)
    yield handler.lines
    logging.getLogger().removeHandler(handler)


@pytest.mark.django_db
def test_a_wrong_host_is_one_short_line_without_a_traceback(client: Client, lines: list[str]) -> None:
    assert client.get("/login/", headers={"Host": "evil.example" + "x" * 1_000}).status_code == 400
    assert [line for line in lines if "traceback" in line] == []
    assert 1 <= len(lines) <= 2
    assert max(map(len, lines)) < MESSAGE_MAX + 300


@pytest.mark.django_db
def test_wrong_hosts_do_not_fill_the_log_and_errors_are_still_written(client: Client, lines: list[str]) -> None:
    for _ in range(REFUSED_PER_MINUTE + 10):
        client.get("/login/", headers={"Host": "evil.example"})
    logging.getLogger("aiinfra.test").error("still here")
    assert len(lines) == REFUSED_PER_MINUTE + 1
    assert "still here" in lines[-1]


@pytest.mark.parametrize("name", ["members", "finance_invoices", "keys"])
def test_pages_of_signed_in_users_are_not_stored(owner: User, client_of: Callable[[User], Client], name: str) -> None:
    assert "no-store" in client_of(owner).get(reverse(name)).headers["Cache-Control"]


@pytest.mark.django_db
def test_responses_of_the_api_are_not_stored(client: Client) -> None:
    assert "no-store" in client.get("/api/ai/queue?action=stats").headers["Cache-Control"]
