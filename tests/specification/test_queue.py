"""The specification's unit tests of the queue."""

from dataclasses import replace

import pytest

from aiinfra.providers.base import ErrorCode, ProviderError
from queue_app.facade import AIRequestQueue, InvalidValueError, RequestNotFoundError, UnknownOrganizationError
from tests.api.support import rows
from tests.queue_app.conftest import ScriptedProvider, answer

MESSAGES = [{"role": "user", "content": "Which of our sites emits most?"}]
MODEL = ("deepseek", "deepseek-chat")
pytestmark = pytest.mark.usefixtures("organization")


def process_all(queue: AIRequestQueue) -> None:
    """Process requests in order until none is left, as a worker does."""
    while queued := queue.dequeue():
        queue.process(queued)


def test_high_priority_is_processed_first(queue: AIRequestQueue) -> None:
    low = queue.enqueue(*MODEL, MESSAGES, organization_id="north", priority="low")
    high = queue.enqueue(*MODEL, MESSAGES, organization_id="north", priority="high")
    first, second = queue.dequeue(), queue.dequeue()
    assert first and second
    assert (first.id, second.id) == (high, low)
    assert queue.dequeue() is None


def test_requests_are_dequeued_by_priority_regardless_of_arrival_order(queue: AIRequestQueue) -> None:
    for priority in ("normal", "low", "critical", "high"):
        queue.enqueue(*MODEL, MESSAGES, organization_id="north", priority=priority)
    taken = [queued.priority for _ in range(4) if (queued := queue.dequeue())]
    assert taken == ["critical", "high", "normal", "low"]


def test_a_provider_error_fails_the_request_with_the_provider_s_message(
    queue: AIRequestQueue, provider: ScriptedProvider
) -> None:
    provider.script = [ProviderError(ErrorCode.SERVER_ERROR, "Provider down", may_be_billed=False)]
    request_id = queue.enqueue(*MODEL, MESSAGES, organization_id="north", max_retries=0)
    process_all(queue)
    status = queue.get_request_status(request_id)
    assert status.status == "failed"
    assert status.error and "Provider down" in status.error
    assert queue.get_queue_stats().total_failed == 1


def test_an_unknown_provider_is_refused_before_anything_is_stored(queue: AIRequestQueue) -> None:
    before = rows()
    with pytest.raises(InvalidValueError, match="invalid-provider") as refusal:
        queue.enqueue("invalid-provider", "chat", MESSAGES, organization_id="north")
    assert refusal.value.field == "provider"
    assert rows() == before


def test_status_and_statistics_follow_a_request(queue: AIRequestQueue, provider: ScriptedProvider) -> None:
    provider.script = [replace(answer(), content="Lyon.")]
    request_id = queue.enqueue(*MODEL, MESSAGES, organization_id="north")
    assert (queue.get_request_status(request_id).status, queue.get_queue_stats().queue_size) == ("pending", 1)
    queued = queue.dequeue()
    assert queued
    assert queue.get_request_status(request_id).status == "processing"
    queue.process(queued)
    status, stats = queue.get_request_status(request_id), queue.get_queue_stats()
    assert status.status == "completed"
    assert status.response and status.response["content"] == "Lyon."
    assert (stats.queue_size, stats.total_processed, stats.total_failed) == (0, 1, 0)


def test_an_unknown_request_or_organization_raises_a_lookup_error(queue: AIRequestQueue) -> None:
    with pytest.raises(RequestNotFoundError):
        queue.get_request_status("00000000-0000-0000-0000-000000000000")
    with pytest.raises(UnknownOrganizationError, match="nowhere"):
        queue.enqueue(*MODEL, MESSAGES, organization_id="nowhere")


def test_a_repeated_idempotency_key_returns_the_first_request(queue: AIRequestQueue) -> None:
    ids = {queue.enqueue(*MODEL, MESSAGES, organization_id="north", idempotency_key="k-1") for _ in range(2)}
    assert len(ids) == 1
    assert queue.get_queue_stats().queue_size == 1
