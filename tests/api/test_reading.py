"""`/api/ai/queue`: stats, status and list."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
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
from queue_app.queries import PAGE_SIZE
from tests.api.support import QUEUE, Caller, enqueue_body, error_of, queries_of, refused


def read(caller: Caller, **query: Any) -> dict[str, Any]:
    response = caller.get(QUEUE, **query)
    assert response.status_code == 200, response.content
    body: dict[str, Any] = json.loads(response.content)
    return body


def enqueue(caller: Caller, **changes: Any) -> str:
    response = caller.post(QUEUE, enqueue_body(**changes))
    assert response.status_code == 202, response.content
    return str(json.loads(response.content)["requestId"])


# Stats


def test_an_empty_queue_has_figures(program: Caller) -> None:
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


def test_figures_are_those_of_the_organization(program: Caller, other_program: Caller) -> None:
    for priority in ("critical", "low", "low"):
        enqueue(program, priority=priority)
    enqueue(other_program)
    stats = read(program, action="stats")
    assert (stats["queueSize"], stats["byPriority"]) == (3, {"critical": 1, "high": 0, "normal": 0, "low": 2})
    assert stats["oldestPendingSeconds"] >= 0
    assert read(other_program, action="stats")["queueSize"] == 1


def test_every_role_may_read(key_of: Callable[..., Caller]) -> None:
    for role in Role:
        read(key_of(role), action="stats")
        read(key_of(role, ["queue:read"]), action="list")


def test_a_key_without_the_scope_reads_nothing(key_of: Callable[..., Caller]) -> None:
    program = key_of(Role.OWNER, ["queue:write", "content:read"])
    for query in ({"action": "stats"}, {"action": "list"}, {"action": "status", "requestId": str(uuid4())}):
        assert "queue:read" in refused(program.get(QUEUE, **query), 403)["message"]


def test_a_session_reads_without_a_csrf_token(browser: Caller) -> None:
    browser.client.handler.enforce_csrf_checks = True
    for action in ("stats", "list"):
        read(browser, action=action)


def test_stats_cost_the_same_with_one_and_ten_requests(program: Caller) -> None:
    enqueue(program)
    read(program, action="stats")
    one = queries_of(lambda: read(program, action="stats"))
    for _ in range(9):
        enqueue(program)
    assert queries_of(lambda: read(program, action="stats")) == one


# Status


def test_a_pending_request_has_a_position(program: Caller) -> None:
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


def test_times_are_utc(program: Caller) -> None:
    assert read(program, action="status", requestId=enqueue(program))["createdAt"].endswith("Z")


def test_another_organizations_request_is_not_found(program: Caller, other_program: Caller) -> None:
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


def test_a_cancelled_and_retried_requests_answer_hides_contents_too(
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


def test_status_costs_the_same_with_one_and_ten_attempts(program: Caller, organization: Organization) -> None:
    request_id = enqueue(program)
    with organization_scope(organization.pk):
        attempt = Attempt.objects.get()
        one = queries_of(lambda: read(program, action="status", requestId=request_id))
        for number in range(2, 11):
            attempt.pk, attempt.number = uuid4(), number
            attempt.save(force_insert=True)
    assert len(read(program, action="status", requestId=request_id)["attempts"]) == 10
    assert queries_of(lambda: read(program, action="status", requestId=request_id)) == one


# List


@pytest.fixture
def many(program: Caller, organization: Organization) -> list[str]:
    """Two pages and a bit of requests, oldest first, some at the same moment."""
    with organization_scope(organization.pk):
        AIRequest.objects.bulk_create(
            AIRequest(
                organization=organization,
                provider="deepseek",
                model="deepseek-chat",
                created_at=timezone.now() - timedelta(seconds=1_000 - number // 3),
            )
            for number in range(2 * PAGE_SIZE + 7)
        )
        return [str(each) for each in AIRequest.objects.order_by("created_at", "id").values_list("id", flat=True)]


def ids(page: dict[str, Any]) -> list[str]:
    return [request["requestId"] for request in page["requests"]]


def test_an_empty_list_is_a_page(program: Caller) -> None:
    assert read(program, action="list") == {"requests": [], "nextCursor": None}


def test_a_line_says_what_a_request_is(program: Caller) -> None:
    request_id = enqueue(program, priority="high")
    (line,) = read(program, action="list")["requests"]
    status = read(program, action="status", requestId=request_id)
    assert line == {name: status[name] for name in line}
    assert set(status) - set(line) == {"position", "attempts", "response", "usage"}


def test_pages_go_through_everything_once(program: Caller, many: list[str]) -> None:
    seen, cursor = [], {}
    sizes = []
    while cursor is not None:
        page = read(program, action="list", **cursor)
        seen += ids(page)
        sizes.append(len(page["requests"]))
        cursor = {"cursor": page["nextCursor"]} if page["nextCursor"] else None
    assert seen == many[::-1]
    assert sizes == [PAGE_SIZE, PAGE_SIZE, 7]


def test_a_page_is_the_same_when_new_requests_come(program: Caller, many: list[str]) -> None:
    first = read(program, action="list")
    second = read(program, action="list", cursor=first["nextCursor"])
    for _ in range(3):
        enqueue(program)
    assert read(program, action="list", cursor=first["nextCursor"]) == second


def test_a_page_goes_on_where_a_request_has_been_removed(
    program: Caller, many: list[str], organization: Organization
) -> None:
    first = read(program, action="list")
    rest = ids(read(program, action="list", cursor=first["nextCursor"]))
    with organization_scope(organization.pk):
        AIRequest.objects.filter(id=ids(first)[-1]).delete()
    assert ids(read(program, action="list", cursor=first["nextCursor"])) == rest


def test_a_list_can_be_narrowed(program: Caller) -> None:
    low = enqueue(program, priority="low")
    cancelled = enqueue(program, priority="high")
    program.post(QUEUE, {"action": "cancel", "requestId": cancelled})
    assert ids(read(program, action="list", status="cancelled")) == [cancelled]
    assert ids(read(program, action="list", priority="low")) == [low]
    assert ids(read(program, action="list", priority="high", status="pending")) == []


def test_a_list_holds_nothing_of_another_organization(program: Caller, other_program: Caller, many: list[str]) -> None:
    theirs = enqueue(other_program)
    cursor = read(program, action="list")["nextCursor"]
    assert ids(read(other_program, action="list")) == [theirs]
    assert ids(read(other_program, action="list", cursor=cursor)) == []


def test_a_list_holds_no_contents(program: Caller, completed: Callable[[str], None]) -> None:
    completed(enqueue(program))
    response = program.get(QUEUE, action="list")
    assert b"What is a queue" not in response.content and b"A line." not in response.content


AN_ID = "5f1af587-93d5-4e89-90a6-ab2296dabbdf"


def encoded(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "a" * 5_000,
        "äöü",
        "====",
        "AAAA",
        "%",
        encoded("|"),
        encoded(f"2026-01-01T00:00:00|{AN_ID}"),
        encoded(f"2026-01-01|{AN_ID}"),
        encoded("2026-01-01T00:00:00+00:00|x"),
        encoded(f"0001-01-01T00:00:00+23:59|{AN_ID}"),
        encoded(f"9999-12-31T23:59:59-23:59|{AN_ID}"),
        encoded(f"99999-01-01T00:00:00+00:00|{AN_ID}"),
    ],
)
def test_an_invalid_cursor_is_refused(program: Caller, cursor: str) -> None:
    refused(program.get(QUEUE, action="list", cursor=cursor), 400, "cursor")


def test_a_list_costs_the_same_with_one_and_ten_requests(program: Caller) -> None:
    enqueue(program)
    read(program, action="list")
    one = queries_of(lambda: read(program, action="list"))
    for _ in range(9):
        enqueue(program)
    assert queries_of(lambda: read(program, action="list")) == one


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_other_methods_are_refused(program: Caller, method: str) -> None:
    assert error_of(program.method(method, f"{QUEUE}?action=list"))["type"] == "method_not_allowed"


def test_an_answer_that_another_caller_asked_for_is_a_recorded_reading(
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
