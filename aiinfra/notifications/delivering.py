"""Sends pending deliveries. Several processes can send at once; a message may arrive twice, but is never lost.

A conditional UPDATE claims a message, counts the attempt and sets when its sender counts as lost. The message is then
sent without any lock, and the outcome is written if the claim is still the latest.

Messages of channels and request webhooks are sent apart from each other, so that no number of requests delays an alert.
"""

import random
import time
from collections import Counter
from collections.abc import Collection
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from aiinfra import database_time
from aiinfra.notifications.models import OF_CHANNELS, OF_REQUESTS, WAITING, Delivery, DeliveryState
from aiinfra.notifications.transports import Outcome, attempt
from aiinfra.one_by_one import one_by_one
from aiinfra.tenants.scope import Prepared, system_scope
from aiinfra.tenants.statements import Parameter

DELAYS_S = (10, 60, 300, 1_800, 7_200)
"""Before the second attempt, the third, ...; after the last attempt the delivery is given up."""
LEASE = timedelta(minutes=2)
CANDIDATES = 128
RUN_MAX_S = 30.0
POLL_EVERY_S = 0.5
"""How long a free slot may go unnoticed while receivers are slow."""
KEPT_FOR = timedelta(days=30)


@dataclass(frozen=True)
class Lane:
    """Deliveries that are sent together: how many at once, for one owner, and to one of its hosts, which may be slow.

    `owner` is the column that names the owner: a channel, whose messages have one host, or an organization.
    """

    rows: Q
    owner: str
    parallel: int
    per_owner: int
    per_host: int

    def owner_of(self, delivery: Delivery) -> int:
        """The owner whose slots the delivery uses."""
        owner_id: int = getattr(delivery, self.owner)
        return owner_id

    def host_of(self, delivery: Delivery) -> tuple[int, str]:
        """The owner and its host. Two organizations that send to one host do not wait for each other."""
        return self.owner_of(delivery), delivery.host


CHANNELS = Lane(OF_CHANNELS, "channel_id", parallel=16, per_owner=2, per_host=2)
REQUESTS = Lane(OF_REQUESTS, "organization_id", parallel=32, per_owner=16, per_host=8)


def deliver_pending() -> int:
    """Send the due messages of channels; returns how many attempts were made.

    Takes as long as the receivers, at most 45 s, so it must not share a thread with time-critical work.
    """
    return _deliver(CHANNELS)


def deliver_request_webhooks() -> int:
    """Send the due request webhooks, as `deliver_pending` does."""
    return _deliver(REQUESTS)


def _deliver(lane: Lane) -> int:
    """Keep the lane's slots busy while deliveries are due, so that a slow receiver delays only its own messages."""
    tries, end = 0, time.monotonic() + RUN_MAX_S
    sending: dict[Future[Outcome], Delivery] = {}
    with system_scope(), ThreadPoolExecutor(lane.parallel) as pool:
        while True:
            batch = _claim(lane, sending.values()) if time.monotonic() < end and _is_due(lane) else []
            tries += len(batch)
            sending.update((pool.submit(attempt, each), each) for each in batch)
            if not sending:
                return tries
            done, _ = wait(sending, timeout=POLL_EVERY_S, return_when=FIRST_COMPLETED)
            one_by_one(done, lambda each: _note(sending.pop(each), each.result()))


def delete_old_deliveries() -> int:
    """Delete deliveries that were sent or given up 30 days ago; returns how many."""
    with system_scope():
        ended = Delivery.objects.exclude(WAITING)
        return ended.filter(created_at__lt=timezone.now() - KEPT_FOR).delete()[0]


def is_channel_due() -> bool:
    """Whether a message of a channel is due."""
    with system_scope():
        return _is_due(CHANNELS)


def is_request_webhook_due() -> bool:
    """Whether a request webhook is due."""
    with system_scope():
        return _is_due(REQUESTS)


def _is_due(lane: Lane) -> bool:
    return bool(_first_due(lane).run(now=database_time.now()))


@cache
def _first_due(lane: Lane) -> Prepared[list[Delivery]]:
    return Delivery.objects.prepare_select(lambda _: _due(lane, Parameter("now", "next_try_at"))[:1])


def _due(lane: Lane, now: datetime | Parameter) -> QuerySet[Delivery]:
    """What is due. "Resolved" never overtakes "opened": within a topic the oldest message goes first."""
    waiting = Delivery.objects.filter(WAITING, lane.rows)
    earlier = waiting.filter(channel=OuterRef("channel"), topic=OuterRef("topic"), id__lt=OuterRef("id"))
    return waiting.filter(Q(topic="") | ~Exists(earlier), next_try_at__lte=now)


@transaction.atomic
def _claim(lane: Lane, sending: Collection[Delivery] = ()) -> list[Delivery]:
    """Claim deliveries for the free slots. SQLite has no row locks and only one writer, so the condition alone
    decides there.
    """
    owners, hosts = Counter(map(lane.owner_of, sending)), Counter(map(lane.host_of, sending))
    full = [each for each, count in owners.items() if count >= lane.per_owner]
    candidates = _due(lane, database_time.now()).exclude(**{f"{lane.owner}__in": full})
    for owner, host in (each for each, count in hosts.items() if count >= lane.per_host):
        candidates = candidates.exclude(**{lane.owner: owner, "host": host})
    locked = candidates.select_for_update(skip_locked=True, of=("self",)).select_related("channel", "api_key")
    batch: list[Delivery] = []
    for delivery in locked.order_by("next_try_at", "id")[:CANDIDATES]:
        if len(sending) + len(batch) == lane.parallel:
            break
        its_owner, its_host = lane.owner_of(delivery), lane.host_of(delivery)
        has_place = owners[its_owner] < lane.per_owner and hosts[its_host] < lane.per_host
        if has_place and _take(delivery):
            owners[its_owner] += 1
            hosts[its_host] += 1
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


def _delay(tries: int, after_s: float) -> timedelta:
    """Adds up to a tenth, so that deliveries that failed together are not retried together."""
    return timedelta(seconds=max(DELAYS_S[tries - 1] * random.uniform(1, 1.1), after_s))
