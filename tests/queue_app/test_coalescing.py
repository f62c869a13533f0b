"""Equal requests at once: who leads, who follows, and how followers end."""

from collections.abc import Callable
from contextvars import Context
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db.models import F
from django.utils import timezone

from aiinfra.providers.base import ChatAnswer
from aiinfra.redis import redis_client
from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope, system_scope
from cache_app.facade import CacheKey
from cache_app.models import CacheHit, Layer
from cost_app.budgets.windows import windows_now
from cost_app.ledger import admission
from cost_app.models import Attempt, Budget, BudgetWindow, LedgerEntry, LedgerKind
from cost_app.prices.lookup import ModelNotPricedError
from queue_app import control, events
from queue_app.caching import coalescing
from queue_app.models import AIRequest, Priority, RequestContent, Status
from queue_app.ordering import index
from queue_app.ordering.claims import Claim, claim_next
from queue_app.ordering.index import IndexEntry
from queue_app.packing import pack, unpack
from queue_app.processing.provider_call import process
from queue_app.repair import index_repair
from queue_app.repair.index_repair import IndexRepair
from queue_app.submission.intake import Submission
from queue_app.submission.submit import submit
from tests.queue_app.conftest import ScriptedProvider, answer, refusal

Ask = Callable[..., AIRequest]
COST = 20 * 140 + 10 * 280
MS = timedelta(milliseconds=1)
pytestmark = pytest.mark.usefixtures("scoped")


@pytest.fixture
def send(queue: None, organization: Organization) -> Ask:
    """Asks the same question each time; the arguments are the fields of `Submission`."""

    def make(**fields: object) -> AIRequest:
        messages = [{"role": "user", "content": "How do I plan a garden?"}]
        defaults = {"organization_id": organization.pk, "provider": "deepseek", "model": "deepseek-chat"}
        submission = Submission(**{**defaults, "messages": messages, **fields})  # type: ignore[arg-type]
        with organization_scope(submission.organization_id):
            return submit(submission)

    return make


def claimed() -> Claim:
    claim = claim_next("worker")
    assert claim
    return claim


def now(request: AIRequest) -> AIRequest:
    """The row as it is now."""
    return AIRequest.objects.get(id=request.id)


def statuses(*requests: AIRequest) -> list[str]:
    return [now(request).status for request in requests]


def response_of(request: AIRequest) -> str | None:
    packed = RequestContent.objects.get(request_id=request.id).response
    return unpack(packed)["content"] if packed else None


def spend_everything(organization: Organization, left: int = 0) -> None:
    """A budget that blocks, with so much left."""
    Budget.objects.create(organization=organization, period="daily", limit_nano=left, enforcement="block")
    windows_now(organization.pk)


def test_an_equal_request_follows_without_an_attempt(send: Ask) -> None:
    leader, follower = send(), send()
    assert (leader.leader_id, follower.leader_id) == (None, leader.id)
    assert (now(leader).flight is not None, now(follower).flight) == (True, None)
    assert [attempt.request_id for attempt in Attempt.objects.all()] == [leader.id]
    assert index.size() == 1


@pytest.mark.parametrize(
    "other", [{"priority": Priority.HIGH}, {"cache_mode": "bypass"}, {"cache_mode": "refresh"}, {"temperature": 0.5}]
)
def test_more_urgent_or_different_requests_do_not_follow(send: Ask, other: dict[str, object]) -> None:
    send()
    assert send(**other).leader_id is None
    assert Attempt.objects.count() == 2


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
    """One that a worker took has no attempt to book its call on."""
    leader, *followers = [send() for _ in range(3)]
    mender = IndexRepair()
    mender.run()
    rebuilt: list[bool] = []
    with monkeypatch.context() as patched:
        patched.setattr(index_repair, "rebuild_index", lambda: rebuilt.append(True))
        for _ in range(3):
            mender.run()
    assert rebuilt == [], "followers were missed in the index"
    index_repair.rebuild_index()
    assert index.size() == 1
    redis_client().flushall()
    IndexRepair().run()
    assert index.size() == 1
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


def test_followers_get_the_leaders_answer_and_are_booked_as_hits(
    send: Ask, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    leader = send()
    key, _ = keys.create_key(organization=leader.organization, name="bot", role=Role.OPERATOR, actor="command:test")
    followers = [send(user_ref="ann", tags=["red"], api_key_id=key.pk), send(priority=Priority.LOW)]
    monkeypatch.setattr(events, "publish_changes", lambda *requests: told.extend(request.id for request in requests))
    process(claimed())
    assert {leader.id, *(follower.id for follower in followers)} == set(told)
    assert len(provider.calls) == 1
    for follower in map(now, followers):
        assert (follower.status, follower.cached, response_of(follower)) == (Status.COMPLETED, True, "Hello.")
        entry, hit = LedgerEntry.objects.get(request_id=follower.id), CacheHit.objects.get(id=follower.id)
        waited_ms = (follower.completed_at - follower.created_at) // MS  # type: ignore[operator]
        assert (entry.kind, entry.nano, entry.saved_nano, entry.calls) == (LedgerKind.CACHE_HIT, 0, COST, 1)
        assert (entry.provider, entry.model, entry.latency_ms) == ("deepseek", "deepseek-chat", waited_ms)
        assert (entry.input_tokens, entry.output_tokens) == (20, 10)
        for booked in (entry, hit):
            assert (booked.user_ref, booked.api_key_id) == (follower.user_ref, follower.api_key_id)
        assert (entry.tags, entry.priority) == (follower.tags, follower.priority)
        assert (hit.layer, hit.saved_nano, hit.lookup_ms) == (Layer.FLIGHT, COST, waited_ms)
        assert hit.question == hit.cached_question == "How do I plan a garden?"
        assert (hit.provider, hit.model, hit.similarity) == ("deepseek", "deepseek-chat", 1.0)
    assert now(leader).flight is None


def test_any_number_of_followers_is_answered(
    send: Ask, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coalescing, "BATCH", 2)
    send()
    followers = [send() for _ in range(5)]
    process(claimed())
    assert statuses(*followers) == [Status.COMPLETED] * 5


def test_settling_twice_books_each_follower_once(send: Ask, provider: ScriptedProvider) -> None:
    leader, follower = send(), send()
    process(claimed())
    for _ in range(2):
        coalescing.settle_followers(leader.id)
    assert LedgerEntry.objects.filter(request_id=follower.id).count() == 1


def test_settling_before_the_leader_ends_changes_nothing(send: Ask) -> None:
    leader, follower = send(), send()
    for _ in range(2):
        coalescing.settle_followers(leader.id)
        coalescing.finish_leader(leader)
        assert (statuses(follower), now(follower).leader_id) == ([Status.PENDING], leader.id)
        assert now(leader).flight is not None
        claim_next("worker")


def test_a_cancelled_follower_gets_no_answer(send: Ask, provider: ScriptedProvider) -> None:
    _, follower, other = send(), send(), send()
    control.cancel(follower, actor="user:x")
    process(claimed())
    assert statuses(follower, other) == [Status.CANCELLED, Status.COMPLETED]
    assert not LedgerEntry.objects.filter(request_id=follower.id).exists()


@pytest.mark.parametrize("how", ["failed", "cancelled"])
def test_the_oldest_follower_replaces_a_failed_leader(send: Ask, provider: ScriptedProvider, how: str) -> None:
    leader, young, old = send(), send(), send()
    AIRequest.objects.filter(id=old.id).update(created_at=young.created_at - timedelta(seconds=1))
    if how == "cancelled":
        control.cancel(leader, actor="user:x")
    else:
        provider.script = [refusal("INVALID_REQUEST"), answer("From the second.")]
        process(claimed())
    assert (now(old).leader_id, now(young).leader_id) == (None, old.id)
    assert [attempt.request_id for attempt in Attempt.objects.exclude(request_id=leader.id)] == [old.id]
    provider.script = [answer("From the second.")]
    claim = claimed()
    assert claim.request.id == old.id
    process(claim)
    assert statuses(old, young) == [Status.COMPLETED] * 2
    assert [response_of(each) for each in (old, young)] == ["From the second."] * 2
    assert (now(old).cached, now(young).cached) == (False, True)


def test_a_follower_from_a_host_with_a_fast_clock_is_answered(send: Ask, provider: ScriptedProvider) -> None:
    _, follower = send(), send()
    AIRequest.objects.filter(id=follower.id).update(created_at=F("created_at") + timedelta(seconds=9))
    process(claimed())
    assert statuses(follower) == [Status.COMPLETED]
    assert LedgerEntry.objects.get(request_id=follower.id).latency_ms == 0


@pytest.mark.parametrize(
    ("left", "code"), [(0, "BUDGET_EXCEEDED"), (1_000_000_000, "NOT_ADMITTED")], ids=["spent", "busy"]
)
def test_followers_without_budget_fail_with_the_reason(
    send: Ask, provider: ScriptedProvider, organization: Organization, left: int, code: str
) -> None:
    provider.script = [refusal("INVALID_REQUEST")]
    _, *followers = [send() for _ in range(3)]
    spend_everything(organization, left)
    BudgetWindow.objects.update(reserved_nano=left)
    process(claimed())
    for follower in map(now, followers):
        assert (follower.status, follower.error_code) == (Status.FAILED, code)
        assert "budget" in follower.error_message
        assert follower.completed_at
    assert not Attempt.objects.filter(request_id__in=[follower.id for follower in followers]).exists()
    assert claim_next("worker") is None


def test_if_the_oldest_follower_is_refused_the_next_one_leads(
    send: Ask, provider: ScriptedProvider, organization: Organization
) -> None:
    Budget.objects.create(
        organization=organization, period="daily", limit_nano=0, enforcement="block", scope="user", scope_value="ann"
    )
    provider.script = [refusal("INVALID_REQUEST"), answer()]
    _, poor, next_one, last = send(), send(user_ref="ann"), send(user_ref="bob"), send(user_ref="cid")
    process(claimed())
    assert statuses(poor, next_one, last) == [Status.FAILED, Status.PENDING, Status.PENDING]
    assert (now(next_one).leader_id, now(last).leader_id) == (None, next_one.id)
    process(claimed())
    assert statuses(poor, next_one, last) == [Status.FAILED, Status.COMPLETED, Status.COMPLETED]


def test_a_follower_of_a_model_without_a_price_is_not_admitted(
    send: Ask, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpriced(*_: object) -> None:
        raise ModelNotPricedError("deepseek/deepseek-chat is not in the price book")

    provider.script = [refusal("INVALID_REQUEST")]
    _, follower = send(), send()
    claim = claimed()
    monkeypatch.setattr(admission, "price_of", unpriced)
    process(claim)
    assert (now(follower).status, now(follower).error_code) == (Status.FAILED, "NOT_ADMITTED")
    assert "price book" in now(follower).error_message


def test_a_request_at_the_leaders_end_gets_its_answer(send: Ask, provider: ScriptedProvider) -> None:
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
    """Their leader's worker died between the end of its request and theirs."""
    leader, follower = send(), send()
    AIRequest.objects.filter(id=leader.id).update(status=status, completed_at=timezone.now())
    if status == Status.COMPLETED:
        packed = pack({"role": "assistant", "content": "Hello.", "finishReason": "stop"})
        RequestContent.objects.filter(request_id=leader.id).update(response=packed)
    coalescing.settle_orphaned_followers()
    expected = Status.COMPLETED if status == Status.COMPLETED else Status.PENDING
    assert (statuses(follower), now(follower).leader_id is None) == ([expected], status == Status.FAILED)


@pytest.mark.parametrize(
    "given",
    [
        replace(answer("Cut of"), finish_reason="length"),
        replace(answer(""), finish_reason="length"),
        replace(answer("Half"), finish_reason="content_filter"),
        replace(answer(), finish_reason="other"),
        replace(answer(), tool_calls=[{"id": "c1"}]),
        replace(answer(), parts=[{"type": "thinking"}]),
        replace(answer("I can't help with that."), refused=True),
    ],
)
def test_an_unshareable_answer_goes_neither_to_followers_nor_to_the_cache(
    send: Ask, provider: ScriptedProvider, given: ChatAnswer
) -> None:
    leader, *followers = [send() for _ in range(4)]
    provider.script = [given]
    begun = timezone.now()
    claim = claimed()
    process(claim)
    assert coalescing.shareable_hit(now(leader), CacheKey.unpacked(claim.call["cache"])) is None
    assert send().cached is False, "a latecomer, while the answer is on its way"
    for number, follower in enumerate(map(now, followers)):
        assert (follower.status, follower.leader_id, follower.cached) == (Status.PENDING, None, False)
        assert follower.not_before >= begun + number * coalescing.SPREAD
        assert Attempt.objects.get(request_id=follower.id).state == "reserved"
    provider.script = [answer("A whole one.")]
    process(claimed())
    assert response_of(followers[0]) == "A whole one."


def test_a_fallback_answer_is_not_shared(send: Ask, provider: ScriptedProvider) -> None:
    leader, follower = send(max_retries=0), send()
    provider.script = [refusal("MODEL_NOT_FOUND"), answer("From another model.")]
    process(claimed())
    process(claimed())
    assert (now(leader).status, response_of(leader)) == (Status.COMPLETED, "From another model.")
    assert (now(follower).status, now(follower).leader_id, now(follower).cached) == (Status.PENDING, None, False)


def test_a_follower_that_cannot_be_answered_does_not_block_others(
    send: Ask, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_hit = coalescing.book_hit

    def book(request: AIRequest, *rest: Any) -> None:
        if request.user_ref == "bad":
            raise ValueError("a row that no database holds")
        book_hit(request, *rest)

    monkeypatch.setattr(coalescing, "book_hit", book)
    leader, first, bad, last = send(), send(), send(user_ref="bad"), send()
    process(claimed())
    assert statuses(leader, first, bad, last) == ["completed", "completed", "failed", "completed"]
    assert (now(bad).error_code, now(bad).cached) == ("INTERNAL_ERROR", False)
    assert not LedgerEntry.objects.filter(request_id=bad.id).exists()


def test_a_follower_that_cannot_start_does_not_block_others(
    send: Ask, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    leader, bad, next_one = send(), send(user_ref="bad"), send()
    RequestContent.objects.filter(request_id=bad.id).update(call=b"?")
    provider.script = [refusal("INVALID_REQUEST")]
    process(claimed())
    assert statuses(leader, bad, next_one) == ["failed", "failed", "pending"]
    assert (now(bad).error_code, now(next_one).leader_id) == ("INTERNAL_ERROR", None)


def test_a_flight_that_cannot_be_settled_does_not_block_others(send: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    (first, _), (second, _) = [(send(temperature=t), send(temperature=t)) for t in (0.1, 0.2)]
    AIRequest.objects.filter(leader_id=None).update(status=Status.FAILED, completed_at=timezone.now())
    landed: list[object] = []

    def settle(leader_id: UUID) -> None:
        landed.append(leader_id)
        raise RuntimeError

    monkeypatch.setattr(coalescing, "settle_followers", settle)
    coalescing.settle_orphaned_followers()
    assert set(landed) == {first.id, second.id}


def test_an_unbookable_hit_falls_back_to_the_provider(
    send: Ask, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache of an earlier release may hold characters that PostgreSQL does not."""
    send()
    process(claimed())
    assert send().cached
    monkeypatch.setattr(coalescing, "book_hit", lambda *_: (_ for _ in ()).throw(ValueError("NUL")))
    again = send()
    assert (again.status, again.cached) == (Status.PENDING, False)


def test_followers_of_every_organization_are_found(
    send: Ask, organization: Organization, other_organization: Organization
) -> None:
    """As the scheduler looks for them: in no organization's scope."""
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
