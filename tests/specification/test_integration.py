"""The specification's integration test of queue, cache, and cost."""

import pytest

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import system_scope
from cache_app.facade import SemanticCache
from cost_app.facade import CostOptimizer
from cost_app.models import LedgerEntry
from queue_app.facade import AIRequestQueue
from tests.queue_app.conftest import ScriptedProvider

MESSAGES = [{"role": "user", "content": "How much carbon does plant 7 emit?"}]
MODEL = ("deepseek", "deepseek-chat")
RESPONSE = {
    "role": "assistant",
    "content": "42 t",
    "finishReason": "stop",
    "usage": {"promptTokens": 100, "completionTokens": 150, "totalTokens": 250},
}
pytestmark = pytest.mark.usefixtures("organization")


def test_a_request_is_processed_end_to_end_with_cost_tracking(
    queue: AIRequestQueue, cache: SemanticCache, cost: CostOptimizer
) -> None:
    request_id = queue.enqueue(*MODEL, MESSAGES, organization_id="north", priority="normal")
    assert queue.get_request_status(request_id).status == "pending"

    cache.set(MESSAGES, RESPONSE, organization_id="north")
    cost.track_request("north", *MODEL, RESPONSE["usage"], {"latency": 2000, "success": True})  # type: ignore[arg-type]

    metrics = cost.get_cost_metrics("north", "hourly", 1)
    assert metrics[0].total_requests == 1
    assert metrics[0].total_cost > 0
    assert cache.get(MESSAGES, *MODEL, organization_id="north")


def test_the_specification_s_worker_loop_works_with_the_facades(
    queue: AIRequestQueue, cache: SemanticCache, cost: CostOptimizer, provider: ScriptedProvider
) -> None:
    request_id = queue.enqueue(*MODEL, MESSAGES, organization_id="north")
    queued = queue.dequeue()
    assert queued and queued.id == request_id
    queue.process(queued)

    assert queue.get_request_status(request_id).status == "completed"
    newest = cost.get_cost_metrics("north", "daily", 1)[0]
    assert (newest.total_requests, newest.failed_requests) == (1, 0)
    assert newest.total_cost > 0
    hit = cache.get(MESSAGES, *MODEL, organization_id="north", max_tokens=None)
    assert hit and hit.entry.response["content"] == "Hello."


def test_facades_isolate_organizations(
    queue: AIRequestQueue, cache: SemanticCache, cost: CostOptimizer, other_organization: Organization
) -> None:
    queue.enqueue(*MODEL, MESSAGES, organization_id="north")
    cache.set(MESSAGES, RESPONSE, organization_id="north")
    cost.track_request("north", *MODEL, {"promptTokens": 1, "completionTokens": 1})
    assert cache.get(MESSAGES, *MODEL, organization_id="south") is None
    assert cache.get_stats("south").total_entries == 0
    assert cost.get_cost_metrics("south", "hourly", 1)[0].total_requests == 0
    with system_scope():
        assert not LedgerEntry.objects.filter(organization=other_organization).exists()
