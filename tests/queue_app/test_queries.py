"""Reading requests: pages of a list, and the details of one request."""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.keys import create_key
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from queue_app import request_lists
from queue_app.models import AIRequest, Priority, Status
from queue_app.ordering.claims import Claim
from queue_app.processing.provider_call import process
from queue_app.queries import request_by_id, status_of
from queue_app.request_lists import RequestFilter, Sums, count_newer, cursor_of, page_of
from tests.queue_app.conftest import ScriptedProvider, answer, refusal
from tests.support.processes import free_port

Submit = Callable[..., AIRequest]
pytestmark = pytest.mark.usefixtures("queue", "scoped")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def stored(organization: Organization, second: int, priority: Priority = Priority.NORMAL, **more: object) -> AIRequest:
    return AIRequest.objects.create(
        organization=organization,
        provider="openai",
        model="gpt-4",
        priority=priority,
        created_at=NOON + timedelta(seconds=second),
        **more,
    )


def all_pages(narrowed: RequestFilter, size: int) -> list[AIRequest]:
    found, cursor = [], None
    while True:
        page = page_of(narrowed, cursor, size)
        assert 0 < len(page.requests) <= size or not found
        found += page.requests
        cursor = page.next_cursor
        if cursor is None:
            return found


@limits(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(Priority)), max_size=12), size=st.integers(1, 5))
def test_pages_partition_the_requests_newest_first(
    organization: Organization, requests: list[tuple[int, Priority]], size: int
) -> None:
    """Many are of the same moment: their ids decide."""
    AIRequest.objects.all().delete()
    rows = [stored(organization, second, priority) for second, priority in requests]
    found = all_pages(RequestFilter(), size)
    assert len(found) == len(set(found)) == len(rows)
    assert set(found) == set(rows)
    assert [row.created_at for row in found] == sorted((row.created_at for row in rows), reverse=True)
    for priority in Priority:
        assert set(all_pages(RequestFilter(priority=priority), size)) == {r for r in rows if r.priority == priority}


def test_new_requests_do_not_shift_pages(organization: Organization) -> None:
    rows = [stored(organization, second) for second in range(4)]
    first = page_of(RequestFilter(), size=2)
    stored(organization, 9)
    second = page_of(RequestFilter(), first.next_cursor, size=2)
    assert first.requests + second.requests == rows[::-1]


def test_page_includes_the_costs_of_its_requests(claimed: Callable[..., Claim], provider: ScriptedProvider) -> None:
    process(claimed())
    page = page_of(RequestFilter())
    assert page.sums == {page.requests[0].id: Sums(cost_nano=5_600, tokens=30)}


@pytest.mark.parametrize(
    "narrowed",
    [
        RequestFilter(status="completed"),
        RequestFilter(priority=Priority.HIGH),
        RequestFilter(provider="deepseek"),
        RequestFilter(model="m"),
        RequestFilter(user_ref="ann"),
        RequestFilter(conversation_id="c"),
        RequestFilter(cached=True),
    ],
)
def test_each_filter_selects_matching_requests(organization: Organization, narrowed: RequestFilter) -> None:
    stored(organization, 1)
    field, value = next((field, value) for field, value in vars(narrowed).items() if value)
    wanted = stored(organization, 2)
    ended = {"completed_at": NOON} if field == "status" else {}
    AIRequest.objects.filter(id=wanted.id).update(**{field: value, **ended})
    assert page_of(narrowed).requests == [wanted]


def test_period_filter_excludes_its_end(organization: Organization) -> None:
    rows = [stored(organization, second) for second in range(4)]
    narrowed = RequestFilter(since=NOON + timedelta(seconds=1), until=NOON + timedelta(seconds=3))
    assert page_of(narrowed).requests == [rows[2], rows[1]]
    assert page_of(replace(narrowed, oldest_first=True)).requests == rows[1:3]


def test_key_filter_selects_matching_requests(organization: Organization) -> None:
    key, _ = create_key(organization=organization, name="shop", role=Role.OPERATOR, actor="command:test")
    stored(organization, 1)
    wanted = stored(organization, 2, api_key=key)
    assert page_of(RequestFilter(key_id=key.key_id)).requests == [wanted]


@pytest.mark.parametrize("tag", ["shop", 'a "quoted" \\ one', "\u00e4rger", "100%", "\U0001f600"])
def test_the_tag_filter_matches_exactly(organization: Organization, tag: str) -> None:
    stored(organization, 1, tags=[f"{tag} more", tag.upper() + "x", f"less {tag}"])
    wanted = stored(organization, 2, tags=["other", tag])
    assert page_of(RequestFilter(tag=tag)).requests == [wanted]


@pytest.mark.parametrize("oldest_first", [False, True])
def test_a_filtered_page_searches_a_limited_number_of_requests(
    organization: Organization, monkeypatch: pytest.MonkeyPatch, oldest_first: bool
) -> None:
    monkeypatch.setattr(request_lists, "SEARCHED", 3)
    seconds = range(8) if oldest_first else range(7, -1, -1)
    rows = [stored(organization, second) for second in seconds]
    wanted = [rows[2], rows[7]]
    AIRequest.objects.filter(id__in=[row.id for row in wanted]).update(user_ref="ann")
    narrowed = RequestFilter(user_ref="ann", oldest_first=oldest_first)
    found, cursor = [], None
    for _ in range(3):
        page = page_of(narrowed, cursor)
        found.append(page.requests)
        cursor = page.next_cursor
    assert found == [[rows[2]], [], [rows[7]]]
    assert cursor is None


def test_newer_matching_requests_are_counted_up_to_a_limit(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [stored(organization, second, user_ref="ann" if second % 2 else "bob") for second in range(7)]
    cursor = cursor_of(rows[2])
    assert count_newer(RequestFilter(), cursor) == 4
    assert count_newer(RequestFilter(user_ref="ann"), cursor) == 2
    assert count_newer(RequestFilter(), "") == 7
    monkeypatch.setattr(request_lists, "NEWER_MAX", 3)
    assert count_newer(RequestFilter(), cursor) == 3
    with pytest.raises(ValueError):
        count_newer(RequestFilter(), "nonsense")


INDEXED = "request_by_age"


@pytest.mark.parametrize(
    "narrowed",
    [
        RequestFilter(),
        RequestFilter(user_ref="ann"),
        RequestFilter(key_id="k" * 12),
        RequestFilter(tag="shop"),
        RequestFilter(cached=True, oldest_first=True),
        RequestFilter(status="failed", since=NOON),
    ],
)
def test_each_list_uses_an_index(organization: Organization, narrowed: RequestFilter) -> None:
    stored(organization, 1)
    with CaptureQueriesContext(connection) as queries_sent:
        page_of(narrowed, cursor_of(stored(organization, 2)))
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    selects = [each["sql"] for each in queries_sent if 'FROM "queue_app_airequest"' in each["sql"]]
    assert selects
    for sql in selects:
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
            cursor.execute(f"{explain} {sql}")
            plan = "\n".join(str(line) for line in cursor.fetchall())
        assert INDEXED in plan, plan
        assert "TEMP B-TREE" not in plan


def test_an_invalid_id_finds_no_request(organization: Organization) -> None:
    wanted = stored(organization, 1)
    assert page_of(RequestFilter(request_id=f" {wanted.id} ")).requests == [wanted]
    assert page_of(RequestFilter(request_id="nonsense")).requests == []
    assert page_of(RequestFilter(request_id=str(uuid4()))).requests == []


def encoded(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "nonsense",
        "ä",
        "====",
        encoded("2026-01-01T12:00:00+00:00"),
        encoded(f"2026-01-01T12:00:00|{UUID(int=1)}"),
        encoded(f"0001-01-01T00:00:00+14:00|{UUID(int=1)}"),
        encoded(f"9999-12-31T23:59:59-14:00|{UUID(int=1)}"),
        encoded("2026-01-01T12:00:00+00:00|\0"),
    ],
)
def test_an_invalid_cursor_is_refused(organization: Organization, cursor: str) -> None:
    stored(organization, 1)
    with pytest.raises(ValueError):
        page_of(RequestFilter(), cursor)


def test_another_organizations_request_is_not_found(
    organization: Organization, other_organization: Organization
) -> None:
    mine = stored(organization, 1)
    with organization_scope(other_organization.pk):
        assert request_by_id(mine.id) is None
        assert page_of(RequestFilter()).requests == []
    assert request_by_id(str(mine.id)) == mine
    assert request_by_id("nonsense") is None


def test_status_includes_attempts_cost_and_answer(claimed: Callable[..., Claim], provider: ScriptedProvider) -> None:
    provider.script = [refusal("SERVER_ERROR"), answer()]
    claim = claimed()
    process(claim)
    status = status_of(AIRequest.objects.get(), with_content=True)
    assert (status.status, status.usage, status.response, status.position) == ("pending", None, None, 1)
    AIRequest.objects.update(not_before=NOON)
    from queue_app.ordering.claims import claim_next
    from queue_app.repair.index_repair import rebuild_index

    rebuild_index()
    again = claim_next("worker")
    assert again
    process(again)
    status = status_of(AIRequest.objects.get(), with_content=True)
    assert (status.status, status.cost_nano, len(status.attempts), status.error) == ("completed", 5_600, 2, None)
    assert status.usage and (status.usage.input, status.usage.output) == (20, 10)
    assert status.response and status.response["content"] == "Hello."
    assert status.messages == [{"role": "user", "content": "Hi"}]


def test_contents_require_permission(submit: Submit) -> None:
    status = status_of(submit(), with_content=False)
    assert (status.messages, status.response) == (None, None)


def test_the_position_is_within_the_organization_and_unknown_without_redis(submit: Submit, settings: Settings) -> None:
    submit()
    second = submit()
    assert status_of(second, with_content=False).position == 2
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    assert status_of(second, with_content=False).position is None


def test_the_error_is_the_message_or_the_code(submit: Submit) -> None:
    request = submit()
    request.status, request.error_code = Status.FAILED, "TIMEOUT"
    assert status_of(request, with_content=False).error == "TIMEOUT"
    request.error_message = "too slow"
    assert status_of(request, with_content=False).error == "too slow"


def test_a_page_takes_two_queries(organization: Organization) -> None:
    for rows in (1, 10):
        for second in range(rows):
            stored(organization, second)
        with CaptureQueriesContext(connection) as queries:
            page_of(RequestFilter())
        assert len(queries) == 2
