"""`/api/ai/queue`: cancel, retry, pause, resume, and cleanup."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import AuditEvent, Organization, User
from aiinfra.tenants.scope import organization_scope
from cost_app.facade import Attempt
from queue_app.models import AIRequest, QueuePolicy, RequestContent, Status
from tests.api.support import QUEUE, Caller, enqueue_body, queries_of, refused, rows


def enqueue(caller: Caller, **changes: Any) -> str:
    response = caller.post(QUEUE, enqueue_body(**changes))
    return str(json.loads(response.content)["requestId"])


def body_of(response: HttpResponse) -> dict[str, Any]:
    assert response.status_code == 200, response.content
    body: dict[str, Any] = json.loads(response.content)
    return body


@pytest.fixture
def end(organization: Organization) -> Callable[..., None]:
    """Ends a request with this status, some days ago."""

    def make(request_id: str, status: Status, days_ago: float = 0) -> None:
        ended_at = timezone.now() - timedelta(days=days_ago)
        with organization_scope(organization.pk):
            AIRequest.objects.filter(id=request_id).update(status=status, completed_at=ended_at)

    return make


def events(organization: Organization) -> list[tuple[str, str]]:
    with organization_scope(organization.pk):
        found = AuditEvent.objects.exclude(verb="api_key.created").order_by("at")
        return [(event.verb, event.target) for event in found]


# Cancel


def test_cancel_ends_a_pending_request(program: Caller, organization: Organization) -> None:
    request_id = enqueue(program)
    status = body_of(program.post(QUEUE, {"action": "cancel", "requestId": request_id}))
    assert (status["requestId"], status["status"], status["position"]) == (request_id, "cancelled", None)
    assert status["completedAt"] is not None
    assert [attempt["status"] for attempt in status["attempts"]] == ["released"]
    assert events(organization) == [("request.cancelled", request_id)]


def test_session_can_cancel(browser: Caller) -> None:
    assert body_of(browser.post(QUEUE, {"action": "cancel", "requestId": enqueue(browser)}))["status"] == "cancelled"


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.CANCELLED])
def test_ended_request_cannot_be_cancelled(program: Caller, end: Callable[..., None], status: Status) -> None:
    request_id = enqueue(program)
    end(request_id, status)
    before = rows()
    error = refused(program.post(QUEUE, {"action": "cancel", "requestId": request_id}), 409, "requestId")
    assert error["type"] == "wrong_status"
    assert rows() == before


# Retry


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED])
def test_retry_queues_the_request_again(
    program: Caller, end: Callable[..., None], organization: Organization, status: Status
) -> None:
    request_id = enqueue(program)
    end(request_id, status)
    body = body_of(program.post(QUEUE, {"action": "retry", "requestId": request_id}))
    assert (body["status"], body["position"], body["error"]) == ("pending", 1, None)
    assert len(body["attempts"]) == 2
    assert events(organization) == [("request.retried", request_id)]


@pytest.mark.parametrize("status", [None, Status.COMPLETED])
def test_completed_or_pending_request_cannot_be_retried(
    program: Caller, end: Callable[..., None], status: Status | None
) -> None:
    request_id = enqueue(program)
    if status:
        end(request_id, status)
    before = rows()
    refused(program.post(QUEUE, {"action": "retry", "requestId": request_id}), 409, "requestId")
    assert rows() == before


def test_request_without_content_cannot_be_retried(
    program: Caller, end: Callable[..., None], organization: Organization
) -> None:
    request_id = enqueue(program)
    end(request_id, Status.FAILED)
    with organization_scope(organization.pk):
        RequestContent.objects.all().delete()
    refused(program.post(QUEUE, {"action": "retry", "requestId": request_id}), 409, "requestId")


# Both


@pytest.mark.parametrize("action", ["cancel", "retry"])
def test_request_of_another_organization_is_not_found(program: Caller, other_program: Caller, action: str) -> None:
    theirs = enqueue(other_program)
    before = rows()
    answers = set()
    for request_id in (theirs, str(uuid4()), "not-an-id", ""):
        error = refused(program.post(QUEUE, {"action": action, "requestId": request_id}), 404)
        answers.add((error["type"], error["message"], error["param"]))
    assert len(answers) == 1
    assert rows() == before
    status = json.loads(other_program.get(QUEUE, action="status", requestId=theirs).content)
    assert status["status"] == "pending"


@pytest.mark.parametrize("action", ["cancel", "retry", "pause", "resume"])
@pytest.mark.parametrize("role", [Role.VIEWER, Role.FINANCE])
def test_viewer_and_finance_cannot_change_the_queue(
    program: Caller, key_of: Callable[..., Caller], action: str, role: Role
) -> None:
    request_id = enqueue(program)
    reader = key_of(role)
    before = rows()
    body = {"action": action, **({"requestId": request_id} if action in ("cancel", "retry") else {})}
    refused(reader.post(QUEUE, body), 403)
    assert rows() == before


@pytest.mark.parametrize(("action", "scope"), [("cancel", "queue:admin"), ("pause", "queue:write")])
def test_key_requires_the_scope(key_of: Callable[..., Caller], action: str, scope: str) -> None:
    program = key_of(Role.OWNER, ["queue:read", scope])
    before = rows()
    refused(program.post(QUEUE, {"action": action, **({"requestId": "x"} if action == "cancel" else {})}), 403)
    assert rows() == before


@pytest.mark.parametrize("action", ["cancel", "retry", "pause", "resume", "cleanup"])
def test_session_requires_a_csrf_token(owner: User, action: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    before = rows()
    assert refused(Caller(client).post(QUEUE, {"action": action}), 403)["type"] == "csrf_failed"
    assert rows() == before


def test_cancel_runs_the_same_number_of_queries_with_more_requests(program: Caller) -> None:
    def cancel(request_id: str) -> int:
        return queries_of(lambda: body_of(program.post(QUEUE, {"action": "cancel", "requestId": request_id})))

    one = cancel(enqueue(program))
    assert cancel([enqueue(program) for _ in range(10)][-1]) == one


# Pause and resume


def test_priorities_can_be_paused_and_resumed(program: Caller, organization: Organization) -> None:
    def change(action: str, **more: str) -> list[str]:
        paused: list[str] = body_of(program.post(QUEUE, {"action": action, **more}))["paused"]
        return paused

    assert change("pause", priority="low") == ["low"]
    assert change("pause", priority="high") == ["low", "high"]
    assert change("pause", priority="low") == ["low", "high"]
    assert change("resume", priority="low") == ["high"]
    assert change("pause") == ["low", "normal", "high", "critical"]
    assert change("resume") == []
    assert len(events(organization)) == 6


def test_paused_priority_accepts_requests(program: Caller, organization: Organization) -> None:
    body_of(program.post(QUEUE, {"action": "pause"}))
    enqueue(program)
    with organization_scope(organization.pk):
        assert AIRequest.objects.get().status == Status.PENDING


def test_pause_applies_only_to_its_organization(
    program: Caller, other_program: Caller, organization: Organization
) -> None:
    body_of(program.post(QUEUE, {"action": "pause", "priority": None}))
    assert body_of(other_program.post(QUEUE, {"action": "resume"})) == {"paused": []}
    with organization_scope(organization.pk):
        assert QueuePolicy.objects.get().paused_priorities == [10, 100, 500, 1000]


def test_pause_works_without_redis(browser: Caller, settings: Settings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert body_of(browser.post(QUEUE, {"action": "pause", "priority": "low"})) == {"paused": ["low"]}
    assert body_of(browser.post(QUEUE, {"action": "resume", "priority": "low"})) == {"paused": []}


# Cleanup


def test_cleanup_applies_the_retention(
    admin_program: Caller, other_program: Caller, end: Callable[..., None], organization: Organization
) -> None:
    kept, old, older, theirs = (enqueue(each) for each in (*[admin_program] * 3, other_program))
    end(kept, Status.COMPLETED, days_ago=8)
    end(old, Status.COMPLETED, days_ago=31)
    end(older, Status.CANCELLED, days_ago=400)
    assert body_of(admin_program.post(QUEUE, {"action": "cleanup"})) == {"removed": 2}
    assert body_of(admin_program.get(QUEUE, action="cleanup")) == {"removed": 0}
    with organization_scope(organization.pk):
        assert [str(each.id) for each in AIRequest.objects.all()] == [kept]
        assert RequestContent.objects.count() == 0
        assert Attempt.objects.count() == 3
    assert other_program.get(QUEUE, action="status", requestId=theirs).status_code == 200


def test_session_can_clean_up_only_with_post(admin_browser: Caller) -> None:
    before = rows()
    assert "POST" in refused(admin_browser.get(QUEUE, action="cleanup"), 403)["message"]
    assert rows() == before
    assert body_of(admin_browser.post(QUEUE, {"action": "cleanup"})) == {"removed": 0}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.FINANCE])
def test_only_admins_can_clean_up(key_of: Callable[..., Caller], role: Role) -> None:
    program = key_of(role)
    refused(program.get(QUEUE, action="cleanup"), 403)
    refused(program.post(QUEUE, {"action": "cleanup"}), 403)


def test_cleanup_requires_the_scope(key_of: Callable[..., Caller]) -> None:
    program = key_of(Role.OWNER, ["queue:read", "queue:write", "queue:admin"])
    refused(program.get(QUEUE, action="cleanup"), 403)
    refused(program.post(QUEUE, {"action": "cleanup"}), 403)
