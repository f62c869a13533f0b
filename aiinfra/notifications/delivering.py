"""Sending what is in line. Any number of processes may do it at once; a message may arrive twice, never not at all.

A message is claimed by a conditional UPDATE that counts the try and sets when its sender counts as lost, then it is
sent without any lock, then the outcome is written if the claim is still the latest.
"""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from aiinfra.notifications.models import WAITING, Delivery, DeliveryState
from aiinfra.notifications.transports import Outcome, attempt
from aiinfra.one_by_one import one_by_one
from aiinfra.tenants.scope import system_scope

DELAYS_S = (10, 60, 300, 1_800, 7_200)
"""Before the second try, the third, ...; after the last of them it is given up."""
LEASE = timedelta(minutes=2)
PARALLEL = 16
PER_CHANNEL = 2
"""Of one batch: a receiver that does not answer keeps nobody else waiting for long."""
CANDIDATES = 128
MOST_BATCHES = 50
KEPT_FOR = timedelta(days=30)


def deliver_pending() -> int:
    """Send everything that is due, at most some hundreds; returns how many tries were made.

    Takes as long as the slowest receiver (15 s a batch), so it must not share a thread with what must not be late.
    """
    tries = 0
    with system_scope():
        for _ in range(MOST_BATCHES):
            batch = _claim() if _due().exists() else []
            if not batch:
                break
            tries += len(batch)
            with ThreadPoolExecutor(len(batch)) as pool:
                one_by_one(zip(batch, pool.map(attempt, batch), strict=True), lambda pair: _note(*pair))
    return tries


def forget_old_deliveries() -> int:
    """Delete what was sent or given up 30 days ago; returns how many."""
    with system_scope():
        ended = Delivery.objects.exclude(state__in=WAITING)
        return ended.filter(created_at__lt=timezone.now() - KEPT_FOR).delete()[0]


def _due() -> QuerySet[Delivery]:
    """What may be sent now. "Resolved" never overtakes "opened": of one topic the oldest message goes first."""
    waiting = Delivery.objects.filter(state__in=WAITING)
    earlier = waiting.filter(channel=OuterRef("channel"), topic=OuterRef("topic"), id__lt=OuterRef("id"))
    return waiting.filter(Q(topic="") | ~Exists(earlier), next_try_at__lte=timezone.now())


@transaction.atomic
def _claim() -> list[Delivery]:
    """The next batch. SQLite has no row locks and knows one writer only: there the condition alone decides."""
    candidates = _due().select_for_update(skip_locked=True, of=("self",)).select_related("channel")
    taken: Counter[int] = Counter()
    batch: list[Delivery] = []
    for delivery in candidates.order_by("next_try_at", "id")[:CANDIDATES]:
        if taken[delivery.channel_id] < PER_CHANNEL and len(batch) < PARALLEL and _take(delivery):
            taken[delivery.channel_id] += 1
            batch.append(delivery)
    return batch


def _take(delivery: Delivery) -> bool:
    same = Delivery.objects.filter(id=delivery.id, state__in=WAITING, tries=delivery.tries)
    delivery.tries += 1
    return bool(same.update(tries=delivery.tries, next_try_at=timezone.now() + LEASE))


def _note(delivery: Delivery, outcome: Outcome) -> None:
    """Only if nobody has claimed it since: a sender that was thought lost changes nothing."""
    now = timezone.now()
    columns: dict[str, object] = {"last_error": outcome.error, "response_status": outcome.status}
    if outcome.is_sent:
        columns |= {"state": DeliveryState.SENT, "sent_at": now}
    elif outcome.again and delivery.tries <= len(DELAYS_S):
        columns |= {"state": DeliveryState.FAILED, "next_try_at": now + _delay(delivery.tries, outcome.after_s)}
    else:
        columns |= {"state": DeliveryState.GIVEN_UP}
    Delivery.objects.filter(id=delivery.id, state__in=WAITING, tries=delivery.tries).update(**columns)


def _delay(tries: int, after_s: int) -> timedelta:
    """With up to a tenth more, so that what failed together does not come back together."""
    return timedelta(seconds=max(DELAYS_S[tries - 1] * random.uniform(1, 1.1), after_s))
