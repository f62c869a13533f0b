"""Workers that come too late: their lease ran out, and an heir has the request, or has finished it."""

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

WAYS_OUT: dict[str, Callable[[Claim, Attempt], object]] = {
    "complete": lambda zombie, attempt: outcomes.complete(zombie, attempt, answer("too late")),
    "fail": lambda zombie, attempt: outcomes.fail_attempt(zombie, attempt, refusal("SERVER_ERROR")),
    "fail for good": lambda zombie, attempt: outcomes.fail_attempt(zombie, attempt, refusal("INVALID_REQUEST")),
    "give back": lambda zombie, _attempt: outcomes.give_back(zombie),
    "stop": lambda zombie, _attempt: outcomes.stop(zombie),
}
every_way_out = pytest.mark.parametrize("way_out", WAYS_OUT)


@pytest.fixture
def zombie(claimed: Claimed) -> tuple[Claim, Attempt]:
    """A worker that sent its call and then lost the request, and its attempt."""
    claim = claimed()
    attempt = sent(claim)
    lease_expires()
    recover()
    return claim, attempt


@pytest.fixture
def heir(zombie: tuple[Claim, Attempt]) -> tuple[Claim, Attempt]:
    """The worker that has the request now and has sent its own call, and its attempt."""
    claim = claim_next("another")
    assert claim and (claim.request.id, claim.attempt_number) == (zombie[0].request.id, 2)
    return claim, sent(claim)


def picture(claim: Claim) -> dict[str, object]:
    """All that a latecomer must leave alone: rows, holds of the heir, index and cache."""
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


@every_way_out
def test_a_zombie_changes_nothing_while_its_successor_runs(
    zombie: tuple[Claim, Attempt], heir: tuple[Claim, Attempt], way_out: str
) -> None:
    before = picture(heir[0])
    WAYS_OUT[way_out](*zombie)
    assert picture(heir[0]) == before
    assert outcomes.complete(*heir, answer("in time"))
    assert unpack(RequestContent.objects.get().response or b"")["content"] == "in time"


@every_way_out
@pytest.mark.parametrize("end", ["answered", "failed"])
def test_a_zombie_changes_nothing_after_its_successor_finished(
    zombie: tuple[Claim, Attempt], heir: tuple[Claim, Attempt], way_out: str, end: str
) -> None:
    if end == "answered":
        outcomes.complete(*heir, answer("in time"))
    else:
        outcomes.fail_attempt(*heir, refusal("INVALID_REQUEST"))
    before = picture(heir[0])
    WAYS_OUT[way_out](*zombie)
    assert picture(heir[0]) == before
    assert before["cached"] == ("in time" if end == "answered" else None)


@every_way_out
def test_a_zombie_changes_nothing_before_a_takeover(zombie: tuple[Claim, Attempt], way_out: str) -> None:
    before = picture(zombie[0])
    WAYS_OUT[way_out](*zombie)
    assert picture(zombie[0]) == before
    again = claim_next("worker")
    assert again and again.attempt_number == 2


def test_a_zombies_answer_is_dropped_and_its_cost_booked(
    zombie: tuple[Claim, Attempt], heir: tuple[Claim, Attempt]
) -> None:
    assert outcomes.complete(*zombie, answer("too late")) is False
    assert RequestContent.objects.get().response is None
    assert (row().status, row().attempt_number, states()) == (Status.PROCESSING, 2, ["settled", "dispatched"])
    assert LedgerEntry.objects.filter(kind="adjust").exists()
    assert booked() == COST
    outcomes.complete(*heir, answer())
    assert booked() == 2 * COST


def test_a_zombies_failure_moves_nothing(zombie: tuple[Claim, Attempt], heir: tuple[Claim, Attempt]) -> None:
    outcomes.fail_attempt(*zombie, refusal("SERVER_ERROR"))
    assert (row().status, row().attempt_number, states()) == (Status.PROCESSING, 2, ["estimated", "dispatched"])
    assert (row().not_before, row().error_code) == (heir[0].request.not_before, "")


def test_a_worker_that_lost_its_request_does_not_call(claimed: Claimed, provider: ScriptedProvider) -> None:
    zombie = claimed()
    lease_expires()
    recover()
    heir = claim_next("another")
    assert heir
    before = picture(heir)
    process(zombie)
    assert (provider.calls, picture(heir)) == ([], before)


def test_a_returned_claim_does_not_stop_the_next_worker(claimed: Claimed, provider: ScriptedProvider) -> None:
    """Both have the same attempt: whoever calls first has it."""
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
    before = picture(new)
    assert outcomes.complete(old, attempt, answer("too late")) is False
    assert picture(new) == before


def test_another_requests_successor_does_not_keep_a_cancelled_one_in_flight(
    zombie: tuple[Claim, Attempt], heir: tuple[Claim, Attempt], claimed: Claimed
) -> None:
    claim = claimed()
    control.cancel(AIRequest.objects.get(id=claim.request.id), actor="user:x")
    outcomes.stop(claim)
    assert redis_client().zrange(index.PREFIX + "claims", 0, -1) == [str(heir[0].entry)]


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
