"""Statements, commits, and Redis round trips of a request in a process with warm caches."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from aiinfra.notifications.channels import add_channel
from aiinfra.tenants.models import Organization
from queue_app.ordering import tickets
from tests.api.support import CACHE, CHAT, QUEUE, Caller, enqueue_body
from tests.support.costs import counted_costs

pytestmark = pytest.mark.django_db(transaction=True)

QUESTION = "How can we lower the carbon emissions of our delivery vans?"
IN_OTHER_WORDS = "How can we reduce the carbon emissions of our delivery vans?"
LOCKS = 1 if connection.vendor == "postgresql" else 0
"""Statements that only take a lock against new budgets."""


def costs_of_third(call: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> tuple[int, int, int]:
    """The costs of the third call; the first two fill the process cache and leave a ticket."""
    monkeypatch.setattr(tickets, "WAITING_MAX", 1)
    call(), call()
    with counted_costs() as costs:
        call()
    return costs.counts


def hit(program: Caller, text: str) -> None:
    body = {"provider": "deepseek", "model": "deepseek-chat", "messages": [{"role": "user", "content": text}]}
    assert program.post(CHAT, body).json()["cached"] is True  # type: ignore[attr-defined]


@pytest.fixture
def stored_answer(program: Caller) -> None:
    """Stores a response to the question in the cache."""
    answer = {"role": "assistant", "content": "Drive less.", "finishReason": "stop"}
    body = enqueue_body(action="store", messages=[{"role": "user", "content": QUESTION}], response=answer)
    assert program.post(CACHE, body).status_code == 201


def test_costs_of_accepting_a_request(program: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    costs = costs_of_third(lambda: program.post(QUEUE, enqueue_body()), monkeypatch)
    assert costs == (4 + LOCKS, 1, 3)


def test_webhook_adds_one_statement_for_its_secret(
    program: Caller, organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = {"kind": "requests", "name": "programs", "target": "", "min_severity": "low", "actor": "user:admin"}
    add_channel(organization_id=organization.pk, **fields)
    body = enqueue_body(webhook="https://example.com/hook")
    assert costs_of_third(lambda: program.post(QUEUE, body), monkeypatch) == (5 + LOCKS, 1, 3)


@pytest.mark.usefixtures("stored_answer")
def test_costs_of_an_exact_hit(program: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    assert costs_of_third(lambda: hit(program, QUESTION), monkeypatch) == (8, 1, 4)


@pytest.mark.usefixtures("stored_answer")
def test_costs_of_a_semantic_hit(program: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    assert costs_of_third(lambda: hit(program, IN_OTHER_WORDS), monkeypatch) == (9, 1, 6)
