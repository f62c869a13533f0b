"""Identical concurrent requests: which one leads, and which ones follow."""

from contextvars import Context
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from aiinfra.redis import redis_client
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import system_scope
from cache_app.facade import CacheKey
from cache_app.models import Layer
from cost_app.models import Attempt, LedgerEntry
from queue_app.caching import coalescing
from queue_app.models import AIRequest, Priority, RequestContent, Status
from queue_app.ordering import index
from queue_app.ordering.claims import claim_next
from queue_app.ordering.index import IndexEntry
from queue_app.packing import pack
from queue_app.processing.provider_call import process
from queue_app.repair import index_repair
from queue_app.repair.index_repair import IndexRepair
from tests.queue_app.conftest import ScriptedProvider, refusal
from tests.queue_app.flights import Ask, claimed, now, statuses

MS = timedelta(milliseconds=1)
pytestmark = pytest.mark.usefixtures("scoped")


def test_an_equal_request_follows_without_an_attempt(send: Ask) -> None:
    leader, follower = send(), send()
    assert (leader.leader_id, follower.leader_id) == (None, leader.id)
    assert (now(leader).flight is not None, now(follower).flight) == (True, None)
    assert [attempt.request_id for attempt in Attempt.objects.all()] == [leader.id]
    assert index.state().size == 1


@pytest.mark.parametrize(
    "other", [{"priority": Priority.HIGH}, {"cache_mode": "bypass"}, {"cache_mode": "refresh"}, {"temperature": 0.5}]
)
def test_more_urgent_or_different_requests_do_not_follow(send: Ask, other: dict[str, object]) -> None:
    send()
    assert send(**other).leader_id is None
    assert Attempt.objects.count() == 2


@pytest.mark.parametrize("mode", ["bypass", "refresh"])
def test_no_request_follows_one_that_does_not_use_the_cache(send: Ask, mode: str) -> None:
    send(cache_mode=mode)
    assert send().leader_id is None


def test_another_organizations_equal_request_does_not_follow(send: Ask, other_organization: Organization) -> None:
    send()
    assert send(organization_id=other_organization.pk).leader_id is None


def test_a_leader_is_found_by_organization_and_flight(send: Ask, other_organization: Organization) -> None:
    leader = now(send())
    assert leader.flight
    assert coalescing.leader_of(leader.organization_id, leader.flight) == leader
    assert coalescing.leader_of(leader.organization_id, "another question") is None
    with system_scope():
        assert coalescing.leader_of(other_organization.pk, leader.flight) is None


@pytest.mark.parametrize(
    ("priority", "delay", "may"),
    [
        (Priority.NORMAL, timedelta(0), True),
        (Priority.LOW, timedelta(0), True),
        (Priority.HIGH, timedelta(0), False),
        (Priority.NORMAL, coalescing.ORPHANED_AFTER, True),
        (Priority.NORMAL, coalescing.ORPHANED_AFTER + MS, False),
    ],
)
def test_requests_never_follow_a_less_urgent_or_delayed_leader(
    monkeypatch: pytest.MonkeyPatch, priority: Priority, delay: timedelta, may: bool
) -> None:
    moment = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: moment)
    leader = AIRequest(priority=Priority.NORMAL, not_before=moment + delay)
    assert coalescing.may_follow(leader, priority) is may


@pytest.mark.parametrize("status", list(Status))
def test_a_request_joins_a_live_leader(send: Ask, status: Status) -> None:
    leader, made = send(), []
    ended_at = None if status in {Status.PENDING, Status.PROCESSING} else timezone.now()
    AIRequest.objects.filter(id=leader.id).update(status=status, completed_at=ended_at)
    joined = coalescing.join(leader, lambda leader_id: (made.append(leader_id), leader)[1])
    assert (joined, made) == ((leader, [leader.id]) if ended_at is None else (None, []))


def test_index_repair_never_adds_followers(send: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A follower has no attempt on which a worker could book its call."""
    leader, *followers = [send() for _ in range(3)]
    repair = IndexRepair()
    repair.run()
    rebuilt: list[bool] = []
    with monkeypatch.context() as patched:
        patched.setattr(index_repair, "rebuild_index", lambda: rebuilt.append(True))
        for _ in range(3):
            repair.run()
    assert rebuilt == [], "followers were reported missing from the index"
    index_repair.rebuild_index()
    assert index.state().size == 1
    redis_client().flushall()
    IndexRepair().run()
    assert index.state().size == 1
    assert claimed().request.id == leader.id
    assert claim_next("worker") is None
    assert statuses(*followers) == [Status.PENDING] * 2


def test_a_follower_in_the_index_is_skipped(send: Ask) -> None:
    leader, follower = send(), send()
    index.admit([follower])
    assert claimed().request.id == leader.id
    assert claim_next("worker") is None
    index.hold([IndexEntry.of(follower)])
    redis_client().zadd(index.PREFIX + "claims", {str(IndexEntry.of(follower)): 1})
    IndexRepair().run()
    assert (index.ready_total(), statuses(follower)) == (0, [Status.PENDING])


def test_a_request_that_arrives_at_the_leaders_end_gets_its_answer(send: Ask, provider: ScriptedProvider) -> None:
    leader = send()
    claim = claimed()
    cache_key = CacheKey.unpacked(claim.call["cache"])
    assert coalescing.shareable_hit(now(leader), cache_key) is None
    process(claim)
    hit = coalescing.shareable_hit(now(leader), cache_key)
    assert hit
    assert (hit.response["content"], hit.usage.input, hit.usage.output) == ("Hello.", 20, 10)
    assert (hit.layer, hit.entry_id, hit.lookup_ms) == (Layer.FLIGHT, cache_key.entry_id, 0)
    RequestContent.objects.all().delete()
    assert coalescing.shareable_hit(now(leader), cache_key) is None


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED])
def test_orphaned_followers_are_found(send: Ask, organization: Organization, status: Status) -> None:
    """The leader's worker died after it ended the leader and before it ended the followers."""
    leader, follower = send(), send()
    AIRequest.objects.filter(id=leader.id).update(status=status, completed_at=timezone.now())
    if status == Status.COMPLETED:
        packed = pack({"role": "assistant", "content": "Hello.", "finishReason": "stop"})
        RequestContent.objects.filter(request_id=leader.id).update(response=packed)
    coalescing.settle_orphaned_followers()
    expected = Status.COMPLETED if status == Status.COMPLETED else Status.PENDING
    assert (statuses(follower), now(follower).leader_id is None) == ([expected], status == Status.FAILED)


def test_a_follower_that_cannot_be_answered_does_not_block_others(
    send: Ask, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_hit = coalescing.book_hit

    def book(request: AIRequest, *rest: Any) -> None:
        if request.user_ref == "bad":
            raise ValueError("a row that no database accepts")
        book_hit(request, *rest)

    monkeypatch.setattr(coalescing, "book_hit", book)
    leader, first, bad, last = send(), send(), send(user_ref="bad"), send()
    process(claimed())
    assert statuses(leader, first, bad, last) == ["completed", "completed", "failed", "completed"]
    assert (now(bad).error_code, now(bad).cached) == ("INTERNAL_ERROR", False)
    assert not LedgerEntry.objects.filter(request_id=bad.id).exists()


def test_a_follower_that_cannot_start_does_not_block_others(send: Ask, provider: ScriptedProvider) -> None:
    leader, bad, next_one = send(), send(user_ref="bad"), send()
    RequestContent.objects.filter(request_id=bad.id).update(call=b"?")
    provider.script = [refusal("INVALID_REQUEST")]
    process(claimed())
    assert statuses(leader, bad, next_one) == ["failed", "failed", "pending"]
    assert (now(bad).error_code, now(next_one).leader_id) == ("INTERNAL_ERROR", None)


def test_a_flight_that_cannot_be_settled_does_not_block_others(send: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    (first, _), (second, _) = [(send(temperature=t), send(temperature=t)) for t in (0.1, 0.2)]
    AIRequest.objects.filter(leader_id=None).update(status=Status.FAILED, completed_at=timezone.now())
    attempted: list[object] = []

    def settle(leader_id: UUID) -> None:
        attempted.append(leader_id)
        raise RuntimeError

    monkeypatch.setattr(coalescing, "settle_followers", settle)
    coalescing.settle_orphaned_followers()
    assert set(attempted) == {first.id, second.id}


def test_an_unbookable_hit_falls_back_to_the_provider(
    send: Ask, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier release's cache may contain characters that PostgreSQL rejects."""
    send()
    process(claimed())
    assert send().cached
    monkeypatch.setattr(coalescing, "book_hit", lambda *_: (_ for _ in ()).throw(ValueError("NUL")))
    again = send()
    assert (again.status, again.cached) == (Status.PENDING, False)


def test_followers_of_every_organization_are_found(
    send: Ask, organization: Organization, other_organization: Organization
) -> None:
    """The scheduler searches outside any organization's scope."""
    for each in (organization, other_organization):
        send(organization_id=each.pk)
        send(organization_id=each.pk)
    with system_scope():
        AIRequest.objects.filter(leader_id=None).update(status=Status.FAILED, completed_at=timezone.now())
    Context().run(coalescing.settle_orphaned_followers)
    with system_scope():
        followers = AIRequest.objects.filter(status=Status.PENDING)
        assert list(followers.values_list("leader_id", flat=True)) == [None, None]
        assert set(Attempt.objects.filter(state="reserved").values_list("organization_id", flat=True)) == {
            organization.pk,
            other_organization.pk,
        }


def test_followers_of_a_live_leader_are_not_orphaned(send: Ask) -> None:
    leader, follower = send(), send()
    for _ in range(2):
        coalescing.settle_orphaned_followers()
        assert (statuses(follower), now(follower).leader_id) == ([Status.PENDING], leader.id)
        assert now(leader).flight is not None
        claim_next("worker")


@pytest.mark.parametrize(("ago", "left"), [(timedelta(0), False), (timedelta(seconds=1), True)])
def test_a_leader_without_cleanup_is_released_later(
    send: Ask, monkeypatch: pytest.MonkeyPatch, ago: timedelta, left: bool
) -> None:
    leader, moment = send(), timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: moment)
    ended_at = moment - coalescing.ORPHANED_AFTER - ago
    AIRequest.objects.filter(id=leader.id).update(status=Status.COMPLETED, completed_at=ended_at)
    coalescing.settle_orphaned_followers()
    assert (now(leader).flight is None) is left
