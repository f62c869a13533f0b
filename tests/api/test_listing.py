"""`/api/ai/queue`: list."""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from queue_app.models import AIRequest
from queue_app.request_lists import PAGE_SIZE
from tests.api.requests import enqueue, read
from tests.api.support import QUEUE, Caller, queries_of, refused


@pytest.fixture
def many(program: Caller, organization: Organization) -> list[str]:
    """More than two pages of requests, oldest first, some with the same creation time."""
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


def test_empty_list_has_no_cursor(program: Caller) -> None:
    assert read(program, action="list") == {"requests": [], "nextCursor": None}


def test_list_item_has_the_fields_of_the_status(program: Caller) -> None:
    request_id = enqueue(program, priority="high")
    (item,) = read(program, action="list")["requests"]
    status = read(program, action="status", requestId=request_id)
    assert item == {name: status[name] for name in item}
    assert set(status) - set(item) == {"position", "attempts", "response", "usage"}


def test_pages_return_every_request_once(program: Caller, many: list[str]) -> None:
    seen, cursor = [], {}
    sizes = []
    while cursor is not None:
        page = read(program, action="list", **cursor)
        seen += ids(page)
        sizes.append(len(page["requests"]))
        cursor = {"cursor": page["nextCursor"]} if page["nextCursor"] else None
    assert seen == many[::-1]
    assert sizes == [PAGE_SIZE, PAGE_SIZE, 7]


def test_page_does_not_change_when_requests_are_added(program: Caller, many: list[str]) -> None:
    first = read(program, action="list")
    second = read(program, action="list", cursor=first["nextCursor"])
    for _ in range(3):
        enqueue(program)
    assert read(program, action="list", cursor=first["nextCursor"]) == second


def test_cursor_works_after_its_request_was_deleted(
    program: Caller, many: list[str], organization: Organization
) -> None:
    first = read(program, action="list")
    rest = ids(read(program, action="list", cursor=first["nextCursor"]))
    with organization_scope(organization.pk):
        AIRequest.objects.filter(id=ids(first)[-1]).delete()
    assert ids(read(program, action="list", cursor=first["nextCursor"])) == rest


def test_list_can_be_filtered(program: Caller) -> None:
    low = enqueue(program, priority="low")
    cancelled = enqueue(program, priority="high")
    program.post(QUEUE, {"action": "cancel", "requestId": cancelled})
    assert ids(read(program, action="list", status="cancelled")) == [cancelled]
    assert ids(read(program, action="list", priority="low")) == [low]
    assert ids(read(program, action="list", priority="high", status="pending")) == []


def test_list_shows_only_requests_of_the_organization(program: Caller, other_program: Caller, many: list[str]) -> None:
    theirs = enqueue(other_program)
    cursor = read(program, action="list")["nextCursor"]
    assert ids(read(other_program, action="list")) == [theirs]
    assert ids(read(other_program, action="list", cursor=cursor)) == []


def test_list_contains_no_contents(program: Caller, completed: Callable[[str], None]) -> None:
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
def test_invalid_cursor_is_rejected(program: Caller, cursor: str) -> None:
    refused(program.get(QUEUE, action="list", cursor=cursor), 400, "cursor")


def test_list_runs_the_same_number_of_queries_with_more_requests(program: Caller) -> None:
    enqueue(program)
    read(program, action="list")
    one = queries_of(lambda: read(program, action="list"))
    for _ in range(9):
        enqueue(program)
    assert queries_of(lambda: read(program, action="list")) == one
