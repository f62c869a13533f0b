"""What happens to followers when their leader ends."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from aiinfra.providers.base import ChatAnswer
from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization
from cache_app.facade import CacheKey
from cache_app.models import CacheHit, Layer
from cache_app.store import entries
from cost_app.ledger import admission
from cost_app.models import Attempt, Budget, BudgetWindow, LedgerEntry, LedgerKind
from cost_app.prices.lookup import ModelNotPricedError
from queue_app import control, events
from queue_app.caching import coalescing
from queue_app.models import AIRequest, Priority, Status
from queue_app.ordering import index
from queue_app.ordering.claims import claim_next
from queue_app.processing.provider_call import process
from tests.queue_app.conftest import ScriptedProvider, answer, refusal
from tests.queue_app.flights import COST, Ask, claimed, now, response_of, spend_everything, statuses

MS = timedelta(milliseconds=1)
pytestmark = pytest.mark.usefixtures("scoped")


def test_followers_get_the_leaders_answer_and_are_booked_as_hits(
    send: Ask, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[object] = []
    leader = send()
    key, _ = keys.create_key(organization=leader.organization, name="bot", role=Role.OPERATOR, actor="command:test")
    followers = [send(user_ref="ann", tags=["red"], api_key_id=key.pk), send(priority=Priority.LOW)]
    monkeypatch.setattr(
        events, "publish_changes", lambda *requests, **_also: published.extend(request.id for request in requests)
    )
    process(claimed())
    assert {leader.id, *(follower.id for follower in followers)} == set(published)
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


@pytest.mark.parametrize(
    "reply",
    [
        replace(answer("Cut of"), finish_reason="length"),
        replace(answer(""), finish_reason="length"),
        answer(" "),
        replace(answer("Half"), finish_reason="content_filter"),
        replace(answer(), finish_reason="other"),
        replace(answer(), tool_calls=[{"id": "c1"}]),
        replace(answer(), parts=[{"type": "thinking"}]),
        replace(answer("I can't help with that."), refused=True),
    ],
)
def test_an_unshareable_answer_goes_neither_to_followers_nor_to_the_cache(
    send: Ask, provider: ScriptedProvider, reply: ChatAnswer
) -> None:
    leader, *followers = [send() for _ in range(4)]
    provider.script = [reply]
    begun = timezone.now()
    claim = claimed()
    process(claim)
    assert coalescing.shareable_hit(now(leader), CacheKey.unpacked(claim.call["cache"])) is None
    assert send().cached is False, "a request that arrives before the answer is stored"
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


@pytest.mark.skipif(connection.vendor == "postgresql", reason="PostgreSQL updates its statistics itself")
def test_follower_lookup_uses_the_index_without_statistics(send: Ask) -> None:
    """Otherwise, SQLite would read all requests of the organization whenever one ends."""
    leader, _ = send(), send()
    with CaptureQueriesContext(connection) as asked:
        assert coalescing._oldest_follower.run(leader_id=leader.id)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {asked[0]['sql']}")
        plan = "\n".join(row[3] for row in cursor.fetchall())
    assert "request_followers (organization_id=? AND leader_id=?)" in plan


def test_released_followers_wait_for_their_turn_in_the_index(
    send: Ask, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coalescing, "SPREAD", timedelta(seconds=20))
    _, *followers = [send() for _ in range(5)]
    provider.script = [replace(answer(), finish_reason="length")]
    claim, moment = claimed(), timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: moment)
    process(claim)
    assert [(now(each).not_before - moment).seconds for each in followers] == [0, 20, 30, 30]
    assert (index.ready_total(), index.state().size) == (1, 4)


@pytest.mark.parametrize(
    "moved", [{"status": Status.CANCELLED, "completed_at": timezone.now()}, {"leader_id": None}], ids=["ended", "moved"]
)
def test_a_follower_that_moved_on_during_an_internal_error_does_not_fail(
    send: Ask, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch, moved: dict[str, object]
) -> None:
    def move(_leader: AIRequest, each: AIRequest, **_how: object) -> None:
        AIRequest.objects.filter(id=each.id).update(**moved)
        raise ValueError("a defect")

    monkeypatch.setattr(coalescing, "_take_over", move)
    _, follower = send(), send()
    provider.script = [refusal("INVALID_REQUEST")]
    process(claimed())
    assert (now(follower).status, now(follower).error_code) == (moved.get("status", Status.PENDING), "")


def test_each_follower_counts_as_a_use_of_the_entry(send: Ask, provider: ScriptedProvider) -> None:
    leader, *_ = [send() for _ in range(3)]
    claim = claimed()
    process(claim)
    entry = entries.fetch_one(leader.organization_id, CacheKey.unpacked(claim.call["cache"]).entry_id)
    assert entry and entry.hits == 2
