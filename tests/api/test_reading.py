"""`/api/ai/queue`: stats and status."""

import json
from collections.abc import Callable
from datetime import datetime
from uuid import uuid4

import pytest
from django.utils import timezone

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.models import SecurityEvent
from cost_app.models import Attempt
from queue_app.models import AIRequest, Status
from tests.api.requests import enqueue, read
from tests.api.support import QUEUE, Caller, error_of, queries_of, refused

# Stats


def test_stats_of_an_empty_queue(program: Caller) -> None:
    assert read(program, action="stats") == {
        "queueSize": 0,
        "processing": 0,
        "totalProcessed": 0,
        "totalFailed": 0,
        "totalCancelled": 0,
        "byPriority": {"critical": 0, "high": 0, "normal": 0, "low": 0},
        "heldForRetry": 0,
        "waitingForProviderLimit": 0,
        "oldestPendingSeconds": None,
        "averageWaitMs": None,
        "averageProcessingMs": None,
        "throughputPerMinute": 0.0,
        "errorRate": None,
        "workers": [],
    }


def test_stats_count_only_requests_of_the_organization(program: Caller, other_program: Caller) -> None:
    for priority in ("critical", "low", "low"):
        enqueue(program, priority=priority)
    enqueue(other_program)
    stats = read(program, action="stats")
    assert (stats["queueSize"], stats["byPriority"]) == (3, {"critical": 1, "high": 0, "normal": 0, "low": 2})
    assert stats["oldestPendingSeconds"] >= 0
    assert read(other_program, action="stats")["queueSize"] == 1


def test_every_role_can_read(key_of: Callable[..., Caller]) -> None:
    for role in Role:
        read(key_of(role), action="stats")
        read(key_of(role, ["queue:read"]), action="list")


def test_key_without_the_scope_cannot_read(key_of: Callable[..., Caller]) -> None:
    program = key_of(Role.OWNER, ["queue:write", "content:read"])
    for query in ({"action": "stats"}, {"action": "list"}, {"action": "status", "requestId": str(uuid4())}):
        assert "queue:read" in refused(program.get(QUEUE, **query), 403)["message"]


def test_session_reads_without_a_csrf_token(browser: Caller) -> None:
    browser.client.handler.enforce_csrf_checks = True
    for action in ("stats", "list"):
        read(browser, action=action)


def test_stats_run_the_same_number_of_queries_with_more_requests(program: Caller) -> None:
    enqueue(program)
    read(program, action="stats")
    one = queries_of(lambda: read(program, action="stats"))
    for _ in range(9):
        enqueue(program)
    assert queries_of(lambda: read(program, action="stats")) == one


# Status


def test_status_of_a_pending_request(program: Caller) -> None:
    enqueue(program)
    request_id = enqueue(program, priority="low", tags=["a"])
    status = read(program, action="status", requestId=request_id)
    assert datetime.fromisoformat(status.pop("createdAt")) <= timezone.now()
    attempt = {
        "provider": "deepseek",
        "model": "deepseek-chat",
        "status": "reserved",
        "latencyMs": None,
        "cost": "0.00",
        "error": None,
    }
    assert status == {
        "requestId": request_id,
        "status": "pending",
        "priority": "low",
        "provider": "deepseek",
        "model": "deepseek-chat",
        "startedAt": None,
        "completedAt": None,
        "cost": "0.00",
        "cached": False,
        "error": None,
        "position": 2,
        "attempts": [attempt],
        "response": None,
        "usage": None,
    }


def test_times_are_in_utc(program: Caller) -> None:
    assert read(program, action="status", requestId=enqueue(program))["createdAt"].endswith("Z")


def test_request_of_another_organization_is_not_found(program: Caller, other_program: Caller) -> None:
    theirs = enqueue(other_program)
    answers = set()
    for request_id in (theirs, str(uuid4()), "not-an-id", "", "x" * 5_000, theirs.upper(), "{" + theirs + "}"):
        error = refused(program.get(QUEUE, action="status", requestId=request_id), 404)
        answers.add((error["type"], error["message"], error["param"]))
    assert len(answers) == 1
    read(other_program, action="status", requestId=theirs)


def test_contents_require_permission(
    program: Caller, key_of: Callable[..., Caller], completed: Callable[[str], None]
) -> None:
    request_id = enqueue(program)
    completed(request_id)
    seen = read(program, action="status", requestId=request_id)
    assert seen["response"] == {"role": "assistant", "content": "A line.", "finishReason": "stop", "toolCalls": None}
    readers = [key_of(Role.VIEWER), key_of(Role.FINANCE), key_of(Role.OWNER, ["queue:read"])]
    for reader in readers:
        response = reader.get(QUEUE, action="status", requestId=request_id)
        assert b"A line." not in response.content and b"What is a queue" not in response.content
        assert json.loads(response.content) == {**seen, "response": None}


def test_retry_response_hides_contents_without_permission(
    program: Caller, key_of: Callable[..., Caller], completed: Callable[[str], None], organization: Organization
) -> None:
    writer = key_of(Role.OWNER, ["queue:write"])
    request_id = enqueue(program)
    completed(request_id)
    with organization_scope(organization.pk):
        AIRequest.objects.update(status=Status.FAILED)
    response = writer.post(QUEUE, {"action": "retry", "requestId": request_id})
    assert response.status_code == 200
    assert b"A line." not in response.content


def test_status_runs_the_same_number_of_queries_with_more_attempts(program: Caller, organization: Organization) -> None:
    request_id = enqueue(program)
    with organization_scope(organization.pk):
        attempt = Attempt.objects.get()
        one = queries_of(lambda: read(program, action="status", requestId=request_id))
        for number in range(2, 11):
            attempt.pk, attempt.number = uuid4(), number
            attempt.save(force_insert=True)
    assert len(read(program, action="status", requestId=request_id)["attempts"]) == 10
    assert queries_of(lambda: read(program, action="status", requestId=request_id)) == one


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_other_methods_return_405(program: Caller, method: str) -> None:
    assert error_of(program.method(method, f"{QUEUE}?action=list"))["type"] == "method_not_allowed"


def test_reading_another_caller_s_content_is_logged(
    program: Caller, browser: Caller, key_of: Callable[..., Caller], completed: Callable[[str], None]
) -> None:
    request_id = enqueue(program)
    completed(request_id)
    readings = SecurityEvent.objects.filter(event=Event.CONTENT_READ)
    assert read(program, action="status", requestId=request_id)["response"]
    assert not readings.exists()
    other = key_of(Role.OPERATOR)
    for _ in range(3):
        assert read(other, action="status", requestId=request_id)["response"]
    assert 1 <= readings.count() <= 2
    assert read(browser, action="status", requestId=request_id)["response"]
    assert readings.filter(actor="user:operator", target=f"request {request_id}").count() == 1
