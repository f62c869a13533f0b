"""Changes to one request affect no other request."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from cost_app.models import Attempt, LedgerEntry
from queue_app import control
from queue_app.models import AIRequest, RequestContent, Status
from queue_app.ordering import claims
from queue_app.ordering.claims import Claim, claim_next
from queue_app.processing import outcomes
from queue_app.processing.provider_call import process
from tests.queue_app.conftest import ScriptedProvider, answer, refusal
from tests.queue_app.flights import Ask, now
from tests.queue_app.outcomes import Claimed, sent

pytestmark = pytest.mark.usefixtures("scoped")

STEPS: dict[str, Callable[[Claim, Attempt], object]] = {
    "answered": lambda claim, attempt: outcomes.complete(claim, attempt, answer()),
    "answered without usage": lambda claim, attempt: outcomes.complete(claim, attempt, answer(usage=None)),
    "failed, retryable": lambda claim, attempt: outcomes.fail_attempt(claim, attempt, refusal("SERVER_ERROR")),
    "failed, not retryable": lambda claim, attempt: outcomes.fail_attempt(claim, attempt, refusal("INVALID_REQUEST")),
    "returned to the queue": lambda claim, _attempt: outcomes.give_back(claim),
    "lost by its worker": lambda claim, _attempt: outcomes.recover(overdue(claim), claim.call),
    "cancelled": lambda claim, _attempt: control.cancel(claim.request, actor="user:x"),
    "held for a caller": lambda claim, _attempt: claims.hold_for_caller(claim),
    "renewed": lambda claim, _attempt: claims.renew([(claim.request.id, 1)]),
}


def overdue(claim: Claim) -> AIRequest:
    AIRequest.objects.filter(id=claim.request.id).update(lease_until=timezone.now() - timedelta(seconds=1))
    return AIRequest.objects.get(id=claim.request.id)


def all_but(*requests: AIRequest) -> dict[str, list[dict[str, Any]]]:
    """The rows of all other requests."""
    ids = [request.id for request in requests]
    return {
        "requests": list(AIRequest.objects.exclude(id__in=ids).order_by("id").values()),
        "contents": list(RequestContent.objects.exclude(request_id__in=ids).order_by("request_id").values()),
        "attempts": list(Attempt.objects.exclude(request_id__in=ids).order_by("id").values()),
        "ledger": list(LedgerEntry.objects.exclude(request_id__in=ids).values()),
    }


@pytest.mark.parametrize("step", STEPS)
def test_each_change_affects_only_its_request(claimed: Claimed, submit: Callable[..., AIRequest], step: str) -> None:
    """The others are lost, running, and pending."""
    lost, running = claimed(), claimed()
    for each in (lost, running):
        sent(each)
    overdue(lost)
    claim = claimed()
    attempt = sent(claim)
    submit()
    before, own = all_but(claim.request), all_but(*(other.request for other in (lost, running)))
    STEPS[step](claim, attempt)
    assert all_but(claim.request) == before
    assert all_but(*(other.request for other in (lost, running))) != own, "the step changed nothing"


def test_a_claim_affects_only_its_request(submit: Callable[..., AIRequest]) -> None:
    first = submit()
    for _ in range(2):
        submit()
    before = all_but(first)
    claim = claim_next("worker")
    assert claim and claim.request.id == first.id
    assert all_but(first) == before


@pytest.mark.parametrize("ending", ["answered", "failed", "cancelled"])
def test_ending_one_flight_leaves_others_unchanged(
    send: Ask,
    provider: ScriptedProvider,
    ending: str,
) -> None:
    here = [send(), send()]
    elsewhere = [send(messages=[{"role": "user", "content": "How do I plant a hedge?"}]) for _ in range(2)]
    assert elsewhere[1].leader_id == elsewhere[0].id
    before = all_but(*here)
    if ending == "cancelled":
        control.cancel(here[0], actor="user:x")
    else:
        provider.script = [answer() if ending == "answered" else refusal("INVALID_REQUEST")]
        claim = claim_next("worker")
        assert claim and claim.request.id == here[0].id
        process(claim)
    assert all_but(*here) == before
    follower = now(here[1])
    expected = (Status.COMPLETED, here[0].id) if ending == "answered" else (Status.PENDING, None)
    assert (follower.status, follower.leader_id) == expected
