"""`Idempotency-Key`: a repeated request gets the first response and stores no row."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.utils import timezone

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from queue_app.models import AIRequest, QueuePolicy
from queue_app.ordering import index
from tests.api.support import CHAT, MESSAGES, QUEUE, Caller, enqueue_body, new_key, refused, rows

KEY = {"Idempotency-Key": "order-4711"}


def answer_of(response: HttpResponse) -> dict[str, Any]:
    assert response.status_code == 202, response.content
    body: dict[str, Any] = json.loads(response.content)
    return body


def test_repeat_gets_the_first_response_and_stores_no_row(program: Caller) -> None:
    first = answer_of(program.post(QUEUE, enqueue_body(), **KEY))
    program.post(QUEUE, enqueue_body(priority="critical"))
    before = rows()
    assert answer_of(program.post(QUEUE, enqueue_body(), **KEY)) == first
    assert rows() == before


def test_repeat_gets_the_first_response_after_a_status_change(program: Caller) -> None:
    first = answer_of(program.post(QUEUE, enqueue_body(), **KEY))
    program.post(QUEUE, {"action": "cancel", "requestId": first["requestId"]})
    assert answer_of(program.post(QUEUE, enqueue_body(), **KEY)) == first


@pytest.mark.parametrize(
    "changes",
    [
        {"priority": "high"},
        {"messages": [*MESSAGES, *MESSAGES]},
        {"provider": "openai", "model": "gpt-4"},
        {"timeout": 5_000},
        {"maxRetries": 1},
        {"temperature": 0.5},
        {"maxTokens": 5},
        {"tags": ["a"]},
        {"metadata": {"a": 1}},
        {"userId": "u"},
        {"conversationId": "c"},
        {"cache": "bypass"},
        {"model": "no-such-model"},
    ],
)
def test_reusing_the_key_with_a_different_body_returns_409(program: Caller, changes: dict[str, Any]) -> None:
    answer_of(program.post(QUEUE, enqueue_body(), **KEY))
    before = rows()
    error = refused(program.post(QUEUE, enqueue_body(**changes), **KEY), 409, "Idempotency-Key")
    assert error["type"] == "idempotency_conflict"
    assert rows() == before


def test_order_of_body_members_does_not_matter(program: Caller) -> None:
    body = enqueue_body(metadata={"a": 1, "b": 2}, temperature=1)
    first = answer_of(program.post(QUEUE, body, **KEY))
    reordered = dict(reversed(body.items())) | {"metadata": {"b": 2, "a": 1}, "temperature": 1.0}
    assert answer_of(program.post(QUEUE, reordered, **KEY)) == first


def test_key_can_be_reused_in_another_organization(program: Caller, other_program: Caller) -> None:
    ours = answer_of(program.post(QUEUE, enqueue_body(), **KEY))
    theirs = answer_of(other_program.post(QUEUE, enqueue_body(priority="low"), **KEY))
    assert ours["requestId"] != theirs["requestId"]
    assert rows()["AIRequest"] == 2


def test_requests_without_a_key_are_separate(program: Caller) -> None:
    answers = [answer_of(program.post(QUEUE, enqueue_body())) for _ in range(2)]
    assert answers[0]["requestId"] != answers[1]["requestId"]


def test_rejected_request_does_not_use_up_its_key(program: Caller) -> None:
    refused(program.post(QUEUE, enqueue_body(model="no"), **KEY), 422)
    answer_of(program.post(QUEUE, enqueue_body(), **KEY))


def test_repeat_is_accepted_when_the_queue_is_full(program: Caller, organization: Organization) -> None:
    with organization_scope(organization.pk):
        policy = QueuePolicy.objects.create(organization=organization, depth_limit=1)
    index.set_policy(policy)
    first = answer_of(program.post(QUEUE, enqueue_body(), **KEY))
    assert answer_of(program.post(QUEUE, enqueue_body(), **KEY)) == first


def test_chat_supports_idempotency_keys(program: Caller) -> None:
    first = answer_of(program.post(CHAT, {"messages": MESSAGES}, **KEY))
    assert answer_of(program.post(CHAT, {"messages": MESSAGES}, **KEY)) == first
    refused(program.post(CHAT, {"messages": MESSAGES * 2}, **KEY), 409, "Idempotency-Key")
    assert rows()["AIRequest"] == 1


def concurrently(number: int, call: Callable[[int], HttpResponse]) -> list[HttpResponse]:
    """The responses of concurrent calls, each with its own database connection."""
    barrier = threading.Barrier(number)

    def run(position: int) -> HttpResponse:
        barrier.wait()
        try:
            return call(position)
        finally:
            connection.close()

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("attempt", range(3))
def test_concurrent_repeats_store_one_row(organization: Organization, attempt: int) -> None:
    text = new_key(organization, Role.OPERATOR)
    responses = concurrently(4, lambda _: Caller(key=text).post(QUEUE, enqueue_body(), **KEY))
    answers = [answer_of(response) for response in responses]
    assert len({answer["requestId"] for answer in answers}) == 1
    assert all(answer == answers[0] for answer in answers)
    assert (rows()["AIRequest"], rows()["RequestContent"], rows()["Attempt"]) == (1, 1, 1)


@pytest.mark.django_db(transaction=True)
def test_one_of_several_concurrent_bodies_is_accepted(organization: Organization) -> None:
    text = new_key(organization, Role.OPERATOR)
    responses = concurrently(
        4, lambda number: Caller(key=text).post(QUEUE, enqueue_body(timeout=1_000 + number), **KEY)
    )
    assert sorted(response.status_code for response in responses) == [202, 409, 409, 409]
    assert rows()["AIRequest"] == 1


@pytest.mark.parametrize(("hours", "has_ended", "is_repeat"), [(23, True, True), (25, True, False), (25, False, True)])
def test_key_of_an_ended_chat_can_be_reused_after_24_hours(
    program: Caller,
    organization: Organization,
    completed: Callable[[str], None],
    hours: int,
    has_ended: bool,
    is_repeat: bool,
) -> None:
    body = {"messages": MESSAGES, "cache": "bypass"}
    first = answer_of(program.post(CHAT, body, **KEY))["requestId"]
    if has_ended:
        completed(first)
    with organization_scope(organization.pk):
        AIRequest.objects.filter(id=first).update(created_at=timezone.now() - timedelta(hours=hours))
    if is_repeat:
        refused(program.post(CHAT, {**body, "priority": "high"}, **KEY), 409, "Idempotency-Key")
    else:
        second = answer_of(program.post(CHAT, {**body, "priority": "high"}, **KEY))["requestId"]
        assert second != first
        assert answer_of(program.post(CHAT, {**body, "priority": "high"}, **KEY))["requestId"] == second
    assert rows()["AIRequest"] == (1 if is_repeat else 2)
