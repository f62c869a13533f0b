"""Makes Redis match the rows, and recovers requests from lost workers. Any number of these may run."""

import logging
from collections.abc import Iterator
from functools import cache, partial

from django.conf import settings
from django.db import connection
from django.db.models import F, Q, QuerySet
from redis.exceptions import RedisError

from aiinfra import database_time
from aiinfra.one_by_one import one_by_one
from aiinfra.tenants.scope import Prepared, organization_scope, system_scope
from aiinfra.tenants.statements import Parameter
from queue_app.models import AIRequest, QueuePolicy, RequestContent, Status
from queue_app.ordering import index, provider_limits
from queue_app.ordering.claims import Claim
from queue_app.ordering.index import IndexEntry, State
from queue_app.packing import unpack
from queue_app.processing import heartbeat, outcomes
from queue_app.repair.outage import Outage

logger = logging.getLogger(__name__)

BATCH = 200
EVERY_S = 5
# Written by hand, because two querysets take longer to write than to run.
COUNT_LIVE = """
(SELECT COUNT(*) FROM requests WHERE status = 'pending' AND leader_id IS NULL)
    + (SELECT COUNT(*) FROM requests WHERE status = 'processing' AND leader_id IS NULL)
""".replace("requests", AIRequest._meta.db_table)
ENTER_ALL_EVERY = 60
"""Looks. Between them rows are only counted, and an entry without a row can hide a missing one in a count."""


class IndexRepair:
    """Remembers only its last round: a difference counts when it is seen twice. And the last outage of the database."""

    def __init__(self) -> None:
        self.outage = Outage()
        self._rows_were_missing = False
        self._looks = 0

    def run(self) -> None:
        """One round: leases first, because those need no Redis; then the index."""
        self.recover_leases()
        with system_scope():
            try:
                self._repair_index()
                heartbeat.remove_silent_workers()
            except RedisError:
                logger.warning("Redis is down; the index will be repaired when it is back")

    def recover_leases(self) -> None:
        """Return what lost workers had to the queue. After an outage of the database, wait until they could renew."""
        with system_scope():
            recover_expired_leases(self.outage)

    def watch(self, live: int) -> None:
        """The part of a round that cannot wait: find out whether Redis has lost requests, of which there are `live`.

        Raises RedisError.
        """
        with system_scope():
            state = index.state()
            if state.is_complete:
                self._enter_missing(live, state)
            else:
                self._repair_index()

    def _repair_index(self) -> None:
        drop_orphaned_claims()
        index.recount()
        restore_policies()
        provider_limits.enter_limits()
        self._enter_missing(_count_live(), index.state())

    def _enter_missing(self, live: int, state: State) -> None:
        missing = live > state.size
        if not state.is_complete or (missing and self._rows_were_missing):
            if live:  # a new installation has an empty Redis too, and has lost nothing
                logger.info("Redis does not have every request; adding all of them", extra={"fields": {"live": live}})
            provider_limits.record_calls()
            rebuild_index()
        elif self._looks % ENTER_ALL_EVERY == 0:
            rebuild_index()
        self._rows_were_missing = missing
        self._looks += 1


_policies = QueuePolicy.objects.prepare_select(lambda rows: rows)


@cache
def _expired(count: int) -> Prepared[list[AIRequest]]:
    """The requests whose leases expired first. Prepared, because it runs often and usually finds none."""
    is_expired = Q(status=Status.PROCESSING, lease_until__lt=Parameter("now", "lease_until"))
    return AIRequest.objects.prepare_select(lambda rows: rows.filter(is_expired).order_by("lease_until")[:count])


def recover_expired_leases(outage: Outage | None = None) -> int:
    """Return requests whose lease expired to the queue. Returns how many were examined: none during an outage.

    A request that cannot continue, because its content is deleted or unreadable, fails.
    """
    outage = outage or Outage()
    with outage.watched():
        lost = _expired(BATCH).run(now=database_time.now())
        if not lost:
            outage.forget()
        elif not outage.is_over(partial(_write_to, lost[0])):
            return 0
        one_by_one(lost, _recover, give_up=_give_up)
        return len(lost)


def _write_to(request: AIRequest) -> None:
    """Write, and change nothing."""
    AIRequest.objects.filter(id=request.id).update(crashes=F("crashes"))


def _recover(request: AIRequest) -> None:
    with organization_scope(request.organization_id):
        content = RequestContent.objects.defer("response").get(request_id=request.id)
        outcomes.recover(request, unpack(content.call))


def _give_up(request: AIRequest) -> None:
    with organization_scope(request.organization_id):
        outcomes.fail_broken(Claim(request, {}, request.attempt_number))


def drop_orphaned_claims() -> None:
    """End claims in the index that no row backs. Raises RedisError."""
    old = index.old_claims(settings.QUEUE_LEASE_S)
    if not old:
        return
    running = AIRequest.objects.filter(id__in=[entry.request_id for entry in old], status=Status.PROCESSING)
    still_running = set(running.values_list("id", flat=True))
    dead = [entry for entry in old if entry.request_id not in still_running]
    index.release(dead)
    index.admit(_indexed(Status.PENDING).filter(id__in=[entry.request_id for entry in dead]))


def restore_policies() -> None:
    """Load the policies into Redis where it has different ones. Raises RedisError.

    Redis was down when one changed, was emptied, or received two changes in the wrong order.
    """
    known = index.known_terms()
    policies = {policy.organization_id: policy for policy in _policies.run()}
    everyone = [policies.get(each) or QueuePolicy(organization_id=each) for each in known.keys() | policies.keys()]
    one_by_one(everyone, lambda policy: _enter_policy(policy, known.get(policy.organization_id)))


def _enter_policy(policy: QueuePolicy, known: object) -> None:
    if known != index.index_terms(policy):
        index.set_policy(policy)


def rebuild_index() -> None:
    """Add every claim and pending row, oldest first; existing entries stay. Raises RedisError."""
    index.drop_other_layout()
    index.hold(IndexEntry.of(request) for request in _live(Status.PROCESSING))
    index.admit(_live(Status.PENDING))
    index.mark_complete()


def _live(status: Status) -> Iterator[AIRequest]:
    return _indexed(status).order_by("created_at").iterator(chunk_size=1000)


def _count_live() -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {COUNT_LIVE}")
        return int(cursor.fetchone()[0])


def _indexed(status: Status) -> QuerySet[AIRequest]:
    """The requests that workers see: not those that wait for an identical request's answer."""
    return AIRequest.objects.filter(status=status, leader_id=None)
