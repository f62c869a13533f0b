"""The Python API, as in the specification's examples."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from django.db import connections
from hypothesis import given
from hypothesis import strategies as st

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import system_scope
from cost_app.facade import ModelNotPricedError
from queue_app import create_ai_request_queue
from queue_app.facade import RequestNotFoundError, UnknownOrganizationError
from queue_app.models import AIRequest, Priority, Status
from queue_app.payloads import priority_name
from tests.queue_app.conftest import ScriptedProvider

MESSAGES = [{"role": "user", "content": "What is the capital of France?"}]
pytestmark = pytest.mark.usefixtures("queue", "organization")


def enqueue(priority: str = "normal", **more: object) -> str:
    queue = create_ai_request_queue()
    return queue.enqueue("deepseek", "deepseek-chat", MESSAGES, priority=priority, organization_id="north", **more)  # type: ignore[arg-type]


def test_the_specifications_example() -> None:
    queue = create_ai_request_queue()
    request_id = queue.enqueue(
        "deepseek",
        "deepseek-chat",
        MESSAGES,
        priority="normal",
        user_id="user-1",
        organization_id="north",
        conversation_id="conversation-1",
        max_retries=3,
        timeout=30_000,
    )
    assert UUID(request_id)
    assert queue.get_request_status(request_id).status == "pending"
    assert queue.get_queue_stats().queue_size == 1
    with system_scope():
        row = AIRequest.objects.get()
    assert (row.user_ref, row.conversation_id, row.max_retries, row.timeout_ms) == (
        "user-1",
        "conversation-1",
        3,
        30_000,
    )


def test_dequeue_returns_the_highest_priority_first() -> None:
    ids = {priority: enqueue(priority) for priority in ("low", "normal", "high", "critical")}
    queue = create_ai_request_queue()
    for priority in ("critical", "high", "normal", "low"):
        queued = queue.dequeue()
        assert queued is not None
        assert (queued.id, queued.priority, queued.organization_id) == (ids[priority], priority, "north")
        assert (queued.provider, queued.model, queued.messages) == ("deepseek", "deepseek-chat", MESSAGES)
        assert queue.get_request_status(queued.id).status == "processing"
    assert queue.dequeue() is None


def test_a_dequeued_request_is_processed_or_returned(provider: ScriptedProvider) -> None:
    request_id, queue = enqueue(), create_ai_request_queue()
    queued = queue.dequeue()
    assert queued
    queue.give_back(queued)
    assert queue.get_request_status(request_id).status == "pending"
    again = queue.dequeue()
    assert again and again.id == request_id
    queue.process(again)
    status = queue.get_request_status(request_id)
    assert (status.status, status.cost_nano) == ("completed", 5_600)
    assert status.response and status.response["content"] == "Hello."
    stats = queue.get_queue_stats()
    assert (stats.queue_size, stats.total_processed, stats.total_failed) == (0, 1, 0)


def test_all_submission_fields_can_be_set() -> None:
    enqueue(tags=["a"], metadata={"k": 1}, max_tokens=5)
    with system_scope():
        assert AIRequest.objects.get().tags == ["a"]


def test_unknown_values_raise_errors() -> None:
    queue = create_ai_request_queue()
    for wrong in ("nonsense", "00000000-0000-0000-0000-000000000000"):
        with pytest.raises(RequestNotFoundError):
            queue.get_request_status(wrong)
    with pytest.raises(UnknownOrganizationError, match="nowhere"):
        queue.enqueue("deepseek", "deepseek-chat", MESSAGES, organization_id="nowhere")
    with pytest.raises(ModelNotPricedError):
        queue.enqueue("deepseek", "gpt-nonsense", MESSAGES, organization_id="north")


def test_cleanup_and_disconnect_can_be_called_at_any_time() -> None:
    queue = create_ai_request_queue()
    enqueue()
    queue.disconnect()
    assert queue.cleanup() == 0
    assert queue.get_queue_stats().queue_size == 1


@given(st.sampled_from(Priority))
def test_a_priority_has_one_name(priority: Priority) -> None:
    assert Priority[priority_name(priority.value).upper()] is priority


@pytest.mark.django_db(transaction=True)
def test_100_concurrent_enqueues_give_100_ids(organization: Organization) -> None:
    def enqueue_and_leave(_number: int) -> str:
        try:
            return enqueue()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(20) as threads:
        ids = set(threads.map(enqueue_and_leave, range(100)))
    assert len(ids) == 100
    assert create_ai_request_queue().get_queue_stats().queue_size == 100
    with system_scope():
        assert AIRequest.objects.filter(status=Status.PENDING).count() == 100
