"""What a request takes in a process that has seen its organization: statements, commits, and Redis round trips."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from redis.connection import AbstractConnection

from queue_app.ordering import tickets
from tests.api.support import CACHE, CHAT, QUEUE, Caller, enqueue_body

pytestmark = pytest.mark.django_db(transaction=True)

QUESTION = "How can we lower the carbon emissions of our delivery vans?"
IN_OTHER_WORDS = "How can we reduce the carbon emissions of our delivery vans?"
CONTROL = ("BEGIN", "SAVEPOINT", "RELEASE", "SELECT pg_advisory_xact_lock_shared")


@dataclass
class Cost:
    """Statements without those that only control a transaction or wait for a lock."""

    statements: int = 0
    commits: int = 0
    round_trips: int = 0


@pytest.fixture
def cost_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], Cost]:
    """Counts what the third call takes; the first ones let the process remember rows, and leave a ticket."""
    monkeypatch.setattr(tickets, "WAITING_MAX", 1)

    def measured(call: Callable[[], Any]) -> Cost:
        call(), call()
        cost = Cost()
        send, commit = AbstractConnection.send_packed_command, BaseDatabaseWrapper._commit

        def count_send(*args: Any, **kwargs: Any) -> Any:
            cost.round_trips += 1
            return send(*args, **kwargs)

        def count_commit(*args: Any) -> Any:
            cost.commits += 1
            return commit(*args)

        def count_statement(execute: Any, sql: str, *rest: Any) -> Any:
            cost.statements += not sql.startswith(CONTROL)
            return execute(sql, *rest)

        with monkeypatch.context() as patch, connection.execute_wrapper(count_statement):
            patch.setattr(AbstractConnection, "send_packed_command", count_send)
            patch.setattr(BaseDatabaseWrapper, "_commit", count_commit)
            call()
        return cost

    return measured


def asked(program: Caller, text: str) -> None:
    body = {"provider": "deepseek", "model": "deepseek-chat", "messages": [{"role": "user", "content": text}]}
    assert program.post(CHAT, body).json()["cached"] is True  # type: ignore[attr-defined]


@pytest.fixture
def answered(program: Caller) -> None:
    """The cache has an answer."""
    answer = {"role": "assistant", "content": "Drive less.", "finishReason": "stop"}
    body = enqueue_body(action="store", messages=[{"role": "user", "content": QUESTION}], response=answer)
    assert program.post(CACHE, body).status_code == 201


def test_accepting_a_request(program: Caller, cost_of: Callable[[Callable[[], Any]], Cost]) -> None:
    assert cost_of(lambda: program.post(QUEUE, enqueue_body())) == Cost(statements=4, commits=1, round_trips=3)


@pytest.mark.usefixtures("answered")
def test_an_exact_hit(program: Caller, cost_of: Callable[[Callable[[], Any]], Cost]) -> None:
    assert cost_of(lambda: asked(program, QUESTION)) == Cost(statements=5, commits=1, round_trips=4)


@pytest.mark.usefixtures("answered")
def test_a_semantic_hit(program: Caller, cost_of: Callable[[Callable[[], Any]], Cost]) -> None:
    assert cost_of(lambda: asked(program, IN_OTHER_WORDS)) == Cost(statements=5, commits=1, round_trips=6)
