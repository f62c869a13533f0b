"""Workers whose lease expired: another worker has taken the request over, or has finished it."""

from collections.abc import Callable

import pytest
from django.utils import timezone

from aiinfra.redis import redis_client
from cache_app.facade import CacheKey
from cache_app.store import entries
from cost_app.models import Attempt, LedgerEntry
from queue_app import control
from queue_app.models import AIRequest, RequestContent, Status
from queue_app.ordering import index
from queue_app.ordering.claims import Claim, claim_next, renew
from queue_app.packing import unpack
from queue_app.processing import outcomes
from queue_app.processing.provider_call import process
from tests.queue_app.conftest import ScriptedProvider, answer, refusal
from tests.queue_app.outcomes import COST, Claimed, booked, lease_expires, recover, row, sent, states

pytestmark = pytest.mark.usefixtures("scoped")

OUTCOMES: dict[str, Callable[[Claim, Attempt], object]] = {
    "complete": lambda zombie, attempt: outcomes.complete(zombie, attempt, answer("too late")),
    "fail": lambda zombie, attempt: outcomes.fail_attempt(zombie, attempt, refusal("SERVER_ERROR")),
    "fail permanently": lambda zombie, attempt: outcomes.fail_attempt(zombie, attempt, refusal("INVALID_REQUEST")),
    "give back": lambda zombie, _attempt: outcomes.give_back(zombie),
    "stop": lambda zombie, _attempt: outcomes.stop(zombie),
}
each_outcome = pytest.mark.parametrize("outcome", OUTCOMES)


@pytest.fixture
def zombie(claimed: Claimed) -> tuple[Claim, Attempt]:
    """The claim and attempt of a worker that sent its call and then lost the request."""
    claim = claimed()
    attempt = sent(claim)
    lease_expires()
    recover()
    return claim, attempt


@pytest.fixture
def successor(zombie: tuple[Claim, Attempt]) -> tuple[Claim, Attempt]:
    """The claim and attempt of the worker that took the request over and sent its own call."""
    claim = claim_next("another")
    assert claim and (claim.request.id, claim.attempt_number) == (zombie[0].request.id, 2)
    return claim, sent(claim)


def snapshot(claim: Claim) -> dict[str, object]:
    """Everything that a late worker must not change."""
    client = redis_client()
    kept = entries.fetch_one(claim.request.organization_id, CacheKey.unpacked(claim.call["cache"]).entry_id)
    return {
        "request": AIRequest.objects.values().get(),
        "content": RequestContent.objects.values().get(),
        "attempts": list(Attempt.objects.exclude(number=1).order_by("number").values()),
        "claims": client.zrange(index.PREFIX + "claims", 0, -1, withscores=True),
        "in flight": client.hgetall(index.PREFIX + "inflight"),
        "waiting": (index.ready_total(), index.state().size),
        "cached": kept and kept.response["content"],
    }


@each_outcome
def test_a_zombie_changes_nothing_while_its_successor_runs(
    zombie: tuple[Claim, Attempt], successor: tuple[Claim, Attempt], outcome: str
) -> None:
    before = snapshot(successor[0])
    OUTCOMES[outcome](*zombie)
    assert snapshot(successor[0]) == before
    assert outcomes.complete(*successor, answer("in time"))
    assert unpack(RequestContent.objects.get().response or b"")["content"] == "in time"


@each_outcome
@pytest.mark.parametrize("end", ["answered", "failed"])
def test_a_zombie_changes_nothing_after_its_successor_finished(
    zombie: tuple[Claim, Attempt], successor: tuple[Claim, Attempt], outcome: str, end: str
) -> None:
    if end == "answered":
        outcomes.complete(*successor, answer("in time"))
    else:
        outcomes.fail_attempt(*successor, refusal("INVALID_REQUEST"))
    before = snapshot(successor[0])
    OUTCOMES[outcome](*zombie)
    assert snapshot(successor[0]) == before
    assert before["cached"] == ("in time" if end == "answered" else None)


@each_outcome
def test_a_zombie_changes_nothing_before_a_takeover(zombie: tuple[Claim, Attempt], outcome: str) -> None:
    before = snapshot(zombie[0])
    OUTCOMES[outcome](*zombie)
    assert snapshot(zombie[0]) == before
    again = claim_next("worker")
    assert again and again.attempt_number == 2


def test_a_zombies_answer_is_dropped_and_its_cost_booked(
    zombie: tuple[Claim, Attempt], successor: tuple[Claim, Attempt]
) -> None:
    assert outcomes.complete(*zombie, answer("too late")) is False
    assert RequestContent.objects.get().response is None
    assert (row().status, row().attempt_number, states()) == (Status.PROCESSING, 2, ["settled", "dispatched"])
    assert LedgerEntry.objects.filter(kind="adjust").exists()
    assert booked() == COST
    outcomes.complete(*successor, answer())
    assert booked() == 2 * COST


def test_a_zombies_failure_does_not_change_the_request(
    zombie: tuple[Claim, Attempt], successor: tuple[Claim, Attempt]
) -> None:
    outcomes.fail_attempt(*zombie, refusal("SERVER_ERROR"))
    assert (row().status, row().attempt_number, states()) == (Status.PROCESSING, 2, ["estimated", "dispatched"])
    assert (row().not_before, row().error_code) == (successor[0].request.not_before, "")


def test_a_worker_that_lost_its_request_does_not_call(claimed: Claimed, provider: ScriptedProvider) -> None:
    zombie = claimed()
    lease_expires()
    recover()
    successor = claim_next("another")
    assert successor
    before = snapshot(successor)
    process(zombie)
    assert (provider.calls, snapshot(successor)) == ([], before)


def test_a_returned_claim_does_not_stop_the_next_worker(claimed: Claimed, provider: ScriptedProvider) -> None:
    """Both have the same attempt; it belongs to the first one that sends the call."""
    first = claimed()
    outcomes.give_back(first)
    second = claim_next("another")
    assert second
    attempt = sent(second)
    process(first)
    assert (provider.calls, states()) == ([], ["dispatched"])
    assert outcomes.complete(second, attempt, answer())


def test_the_old_call_of_a_retried_request_leaves_the_new_claim_unchanged(claimed: Claimed) -> None:
    old = claimed()
    attempt = sent(old)
    control.cancel(row(), actor="user:x")
    control.retry(row(), actor="user:x")
    new = claim_next("another")
    assert new
    before = snapshot(new)
    assert outcomes.complete(old, attempt, answer("too late")) is False
    assert snapshot(new) == before


def test_another_requests_successor_does_not_keep_a_cancelled_one_in_flight(
    zombie: tuple[Claim, Attempt], successor: tuple[Claim, Attempt], claimed: Claimed
) -> None:
    claim = claimed()
    control.cancel(AIRequest.objects.get(id=claim.request.id), actor="user:x")
    outcomes.stop(claim)
    assert redis_client().zrange(index.PREFIX + "claims", 0, -1) == [str(successor[0].entry)]


def test_a_zombie_renews_nothing(claimed: Claimed) -> None:
    zombie = claimed()
    lease_expires()
    recover()
    claim_next("another")
    lease_expires()
    before = row().lease_until
    renew([(zombie.request.id, zombie.attempt_number)])
    assert row().lease_until == before
    renew([(zombie.request.id, 2)])
    assert row().lease_until > timezone.now()


@each_outcome
def test_a_late_outcome_leaves_a_cancelled_request_cancelled(claimed: Claimed, outcome: str) -> None:
    claim = claimed()
    attempt = sent(claim)
    control.cancel(row(), actor="user:x")
    before = AIRequest.objects.values().get()
    OUTCOMES[outcome](claim, attempt)
    assert AIRequest.objects.values().get() == before
    assert (before["status"], RequestContent.objects.get().response) == (Status.CANCELLED, None)
    assert (Attempt.objects.count(), index.state().size) == (1, 0)
