"""The order in which requests start: by priority and age, and fair between organizations."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import UUID

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from aiinfra.redis import redis_client
from queue_app.models import AIRequest, Priority, QueuePolicy
from queue_app.ordering import index
from queue_app.ordering.index import IndexEntry

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LOW, NORMAL, HIGH, CRITICAL = Priority.LOW, Priority.NORMAL, Priority.HIGH, Priority.CRITICAL
pytestmark = pytest.mark.usefixtures("redis_url")
_numbers = count(1)


def request_of(organization: int = 1, priority: Priority = NORMAL, at_s: float = 0) -> AIRequest:
    """A pending request accepted `at_s` seconds after noon."""
    at = NOON + timedelta(seconds=at_s)
    number = next(_numbers)
    return AIRequest(
        id=UUID(int=number), organization_id=organization, priority=priority.value, created_at=at, not_before=at
    )


def claims() -> Iterator[IndexEntry]:
    """Claims and releases one request after another until none is left."""
    while entry := index.claim():
        yield entry
        index.release([entry])


def order_of(*requests: AIRequest) -> list[AIRequest]:
    by_entry = {IndexEntry.of(request): request for request in requests}
    index.admit(requests)
    return [by_entry[entry] for entry in claims()]


def test_an_entry_round_trips() -> None:
    entry = IndexEntry(7, 100, UUID(int=5))
    assert IndexEntry.parse(str(entry)) == entry


def test_requests_with_equal_times_are_ordered_by_priority() -> None:
    low, normal, high, critical = (request_of(priority=priority) for priority in (LOW, NORMAL, HIGH, CRITICAL))
    assert order_of(low, normal, high, critical) == [critical, high, normal, low]


def test_requests_of_one_priority_are_ordered_by_age() -> None:
    third, first, second = request_of(at_s=3), request_of(at_s=1), request_of(at_s=2)
    assert order_of(third, first, second) == [first, second, third]


@pytest.mark.parametrize(("above", "lead_s"), [(NORMAL, 30), (HIGH, 120), (CRITICAL, 300)])
def test_a_low_request_is_overtaken_only_during_a_head_start(above: Priority, lead_s: int) -> None:
    low = request_of(priority=LOW)
    stream = [request_of(priority=above, at_s=second) for second in range(0, 2 * lead_s, 10)]
    order = order_of(low, *stream)
    overtaking = order[: order.index(low)]
    assert overtaking
    assert overtaking == [request for request in stream if request.created_at <= NOON + timedelta(seconds=lead_s)]


@given(st.lists(st.tuples(st.sampled_from(Priority), st.integers(0, 1000)), unique_by=lambda one: one[1], max_size=20))
def test_one_organizations_order_is_age_plus_head_start(accepted: list[tuple[Priority, int]]) -> None:
    redis_client().flushall()
    requests = [
        request_of(priority=priority, at_s=at_s + 0.001 * place) for place, (priority, at_s) in enumerate(accepted)
    ]
    assert order_of(*requests) == sorted(requests, key=index.score_of)


def test_a_flood_of_one_organization_does_not_delay_another_by_more_than_one_claim() -> None:
    index.admit(request_of(organization=1) for _ in range(3_000))
    running = [index.claim() for _ in range(10)]
    assert {entry.organization_id for entry in running if entry} == {1}
    late = [request_of(organization=2, at_s=60), request_of(organization=3, at_s=60)]
    index.admit(late)
    assert [index.claim(), index.claim()] == [IndexEntry.of(request) for request in late]


def test_the_older_of_two_floods_gets_more_slots() -> None:
    now_s = (datetime.now(UTC) - NOON).total_seconds()
    index.admit(request_of(organization=1, at_s=now_s - 150) for _ in range(200))
    index.admit(request_of(organization=2, at_s=now_s - 50) for _ in range(200))
    started = [entry.organization_id for entry in (index.claim() for _ in range(50)) if entry]
    # The first has waited 100 s longer, which equals the penalty of ten requests in flight.
    assert (started.count(1), started.count(2)) == (30, 20)


def test_two_floods_beyond_the_age_horizon_share_equally() -> None:
    index.admit(request_of(organization=1, at_s=-10_000) for _ in range(200))
    index.admit(request_of(organization=2) for _ in range(200))
    started = [entry.organization_id for entry in (index.claim() for _ in range(50)) if entry]
    assert (started.count(1), started.count(2)) == (25, 25)


def test_with_one_slot_old_backlogs_take_turns() -> None:
    index.admit(request_of(organization=1, at_s=-10_000) for _ in range(5))
    index.admit(request_of(organization=2) for _ in range(5))
    assert [entry.organization_id for entry in claims()] == [1, 2] * 5


def test_weight_is_the_share_of_the_slots() -> None:
    index.set_policy(QueuePolicy(organization_id=2, weight=3))
    index.admit(request_of(organization=organization) for _ in range(100) for organization in (1, 2))
    started = [entry.organization_id for entry in (index.claim() for _ in range(40)) if entry]
    assert (started.count(1), started.count(2)) == (10, 30)


def test_an_organization_at_its_limit_is_skipped_until_it_has_room() -> None:
    index.set_policy(QueuePolicy(organization_id=1, max_in_flight=2))
    first, second, third = (request_of(at_s=second) for second in range(3))
    index.admit([first, second, third])
    running = [index.claim(), index.claim()]
    assert running == [IndexEntry.of(first), IndexEntry.of(second)]
    assert index.claim() is None
    index.release([IndexEntry.of(first)])
    assert index.claim() == IndexEntry.of(third)


def test_a_paused_priority_does_not_block_others() -> None:
    high, low = request_of(priority=HIGH), request_of(priority=LOW)
    index.set_policy(QueuePolicy(organization_id=1, paused_priorities=[HIGH.value]))
    assert order_of(high, low) == [low]
    index.set_policy(QueuePolicy(organization_id=1))
    assert index.claim() == IndexEntry.of(high)


def test_the_penalty_reorders_only_the_64_best_heads() -> None:
    """A claim looks at 64 organizations only, so a busy crowd of older ones goes first."""
    crowd = range(1, 65)
    index.hold(IndexEntry(organization, NORMAL.value, UUID(int=next(_numbers))) for organization in crowd)
    index.admit(request_of(organization=organization) for organization in crowd)
    idle = request_of(organization=65, at_s=1)
    index.admit([idle])
    assert index.claim() != IndexEntry.of(idle)
    assert index.claim() == IndexEntry.of(idle)


def test_a_retry_waits_until_it_is_due() -> None:
    request = request_of()
    request.not_before = datetime(2999, 1, 1, tzinfo=UTC)
    index.admit([request])
    assert (index.claim(), index.state().size, index.ready_total()) == (None, 1, 0)
    redis_client().zadd(index.PREFIX + "delayed", dict.fromkeys(redis_client().zrange("{aiq}:delayed", 0, -1), 1))
    assert index.promote() == 1
    assert index.claim() == IndexEntry.of(request)


def test_removing_deletes_ready_and_delayed_requests() -> None:
    ready, delayed = request_of(), request_of()
    delayed.not_before = datetime(2999, 1, 1, tzinfo=UTC)
    index.admit([ready, delayed])
    for request in (ready, delayed, ready):
        index.remove(request)
    assert (index.state().size, index.claim()) == (0, None)


def test_the_position_counts_earlier_requests_of_the_organization() -> None:
    first, second = request_of(priority=HIGH, at_s=10), request_of()
    index.admit([first, second, request_of(organization=2, at_s=-50)])
    assert (index.position_of(first), index.position_of(second)) == (1, 2)


def test_room_is_the_limit_minus_the_depth() -> None:
    index.admit([request_of(), request_of(priority=LOW), request_of(organization=2)])
    assert index.room_of(1) == ({10: 1, 100: 1, 500: 0, 1000: 0}, QueuePolicy.DEPTH_LIMIT)
    index.set_policy(QueuePolicy(organization_id=1, depth_limit=7))
    assert index.room_of(1)[1] == 7


def test_only_claims_beyond_the_age_are_old() -> None:
    index.admit([request_of()])
    entry = index.claim()
    assert index.old_claims(60) == []
    assert index.old_claims(-1) == [entry]


def test_an_emptied_redis_is_not_marked_complete() -> None:
    assert not index.state().is_complete
    index.mark_complete()
    assert index.state().is_complete
    redis_client().flushall()
    assert not index.state().is_complete


def test_every_priority_has_a_head_start() -> None:
    assert set(settings.QUEUE_HEAD_START_S) == {priority.name.lower() for priority in Priority}
