"""Reads the results of a call in the queue and the ledger."""

from collections.abc import Callable
from datetime import timedelta

from django.utils import timezone

from aiinfra.redis import redis_client
from cost_app.ledger import attempts
from cost_app.models import Attempt, LedgerEntry
from queue_app.models import AIRequest, RequestContent
from queue_app.ordering import index
from queue_app.ordering.claims import Claim
from queue_app.packing import unpack
from queue_app.processing import outcomes

Claimed = Callable[..., Claim]

COST = 20 * 140 + 10 * 280


def row() -> AIRequest:
    return AIRequest.objects.get()


def states() -> list[str]:
    return list(Attempt.objects.order_by("number").values_list("state", flat=True))


def booked() -> int:
    return sum(LedgerEntry.objects.values_list("nano", flat=True))


def sent(claim: Claim) -> Attempt:
    attempt = attempts.current_attempt(claim.request.id, claim.attempt_number)
    assert attempts.dispatch(attempt, claim.timeout)
    return attempt


def lease_expires() -> None:
    AIRequest.objects.update(lease_until=timezone.now() - timedelta(seconds=1))


def recover() -> None:
    content = RequestContent.objects.select_related("request").get()
    outcomes.recover(content.request, unpack(content.call))


def delay_ends() -> None:
    AIRequest.objects.update(not_before=timezone.now())
    delayed = index.PREFIX + "delayed"
    for member in redis_client().zrange(delayed, 0, -1):
        redis_client().zadd(delayed, {member: 1})
