"""Sends pending deliveries. Several processes can send at once; a message may arrive twice, but is never lost.

A conditional UPDATE claims a message, counts the attempt and sets when its sender counts as lost. The message is then
sent without any lock, and the outcome is written if the claim is still the latest.
"""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from aiinfra import database_time
from aiinfra.notifications.models import WAITING, Delivery, DeliveryState
from aiinfra.notifications.transports import Outcome, attempt
from aiinfra.one_by_one import one_by_one
from aiinfra.tenants.scope import system_scope

DELAYS_S = (10, 60, 300, 1_800, 7_200)
"""Before the second attempt, the third, ...; after the last attempt the delivery is given up."""
LEASE = timedelta(minutes=2)
PARALLEL = 16
PER_CHANNEL = 2
"""Per batch, so that an unresponsive receiver does not delay others for long."""
CANDIDATES = 128
MOST_BATCHES = 50
KEPT_FOR = timedelta(days=30)


def deliver_pending() -> int:
    """Send everything that is due, at most a few hundred deliveries; returns how many attempts were made.

    Takes as long as the slowest receiver (15 s per batch), so it must not share a thread with time-critical work.
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


def delete_old_deliveries() -> int:
    """Delete deliveries that were sent or given up 30 days ago; returns how many."""
    with system_scope():
        ended = Delivery.objects.exclude(WAITING)
        return ended.filter(created_at__lt=timezone.now() - KEPT_FOR).delete()[0]


def _due() -> QuerySet[Delivery]:
    """Deliveries that are due. "Resolved" never overtakes "opened": within a topic the oldest message goes first."""
    waiting = Delivery.objects.filter(WAITING)
    earlier = waiting.filter(channel=OuterRef("channel"), topic=OuterRef("topic"), id__lt=OuterRef("id"))
    return waiting.filter(Q(topic="") | ~Exists(earlier), next_try_at__lte=database_time.now())


@transaction.atomic
def _claim() -> list[Delivery]:
    """Claim the next batch. SQLite has no row locks and only one writer, so the condition alone decides there."""
    candidates = _due().select_for_update(skip_locked=True, of=("self",)).select_related("channel")
    taken: Counter[int] = Counter()
    batch: list[Delivery] = []
    for delivery in candidates.order_by("next_try_at", "id")[:CANDIDATES]:
        if taken[delivery.channel_id] < PER_CHANNEL and len(batch) < PARALLEL and _take(delivery):
            taken[delivery.channel_id] += 1
            batch.append(delivery)
    return batch


def _take(delivery: Delivery) -> bool:
    same = Delivery.objects.filter(WAITING, id=delivery.id, tries=delivery.tries)
    delivery.tries += 1
    return bool(same.update(tries=delivery.tries, next_try_at=database_time.now() + LEASE))


def _note(delivery: Delivery, outcome: Outcome) -> None:
    """Write the outcome unless another process has claimed it since: a sender presumed lost changes nothing."""
    now = database_time.now()
    columns: dict[str, object] = {"last_error": outcome.error, "response_status": outcome.status}
    if outcome.is_sent:
        columns |= {"state": DeliveryState.SENT, "sent_at": now}
    elif outcome.again and delivery.tries <= len(DELAYS_S):
        columns |= {"state": DeliveryState.FAILED, "next_try_at": now + _delay(delivery.tries, outcome.after_s)}
    else:
        columns |= {"state": DeliveryState.GIVEN_UP}
    Delivery.objects.filter(WAITING, id=delivery.id, tries=delivery.tries).update(**columns)


def _delay(tries: int, after_s: int) -> timedelta:
    """Adds up to a tenth, so that deliveries that failed together are not retried together."""
    return timedelta(seconds=max(DELAYS_S[tries - 1] * random.uniform(1, 1.1), after_s))
