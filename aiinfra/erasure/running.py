"""Runs erasures. Each step finds what is left, so the next run continues one that was killed."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from aiinfra.batches.erasure import erase_batches, erase_files
from aiinfra.idempotency import erase_stored_answers
from aiinfra.live_events import erase_history
from aiinfra.notifications.erasure import erase_messages
from aiinfra.one_by_one import one_by_one
from aiinfra.tenants.privacy import erasures
from aiinfra.tenants.privacy.holds import HeldError, check_not_held
from aiinfra.tenants.privacy.models import Erasure
from aiinfra.tenants.scope import organization_scope, system_scope
from cache_app import facade as cache
from cost_app import create_cost_optimizer
from queue_app import facade as queue

EVERY_S = 10

Count = Callable[[str, int], None]


def jobs() -> list[tuple[float, Callable[[], object]]]:
    """(seconds between two runs, function)"""
    return [(EVERY_S, run_open)]


def run_open() -> None:
    """Run all unfinished erasures. Raises RedisError."""
    with system_scope():
        open_ones = list(Erasure.objects.filter(finished_at=None).order_by("requested_at"))
    one_by_one(open_ones, _run_unless_held)


def run(erasure: Erasure) -> None:
    """Erase, and write the receipt. Raises HeldError, and RedisError if only the rows could be erased."""
    with organization_scope(erasure.organization_id):
        check_not_held(erasure.organization_id, erasure.user_ref)
        count = partial(erasures.add, erasure)
        erase_batches(erasure.requested_at, erasure.user_ref, erasure.pseudonym, count)
        where = queue.until(erasure.requested_at, erasure.user_ref)
        queue.cancel_live(where, erasure.requested_by)
        queue.erase_requests(where, erasure.pseudonym, count)
        create_cost_optimizer().erase_attempts(erasure.user_ref, count)
        erase_messages(erasure.user_ref, count)
        erase_files(erasure.requested_at, erasure.user_ref, count)
        _erase_copies(erasure, count)
        erasures.finish(erasure)


def _erase_copies(erasure: Erasure, count: Count) -> None:
    """Erase data derived from the requests, which have the pseudonym by now."""
    organization_id, pseudonym = erasure.organization_id, erasure.pseudonym
    is_theirs = partial(queue.requests_among, pseudonym)
    erase_stored_answers(is_theirs, count)
    if erasure.everything:
        cache.erase_all(organization_id, pseudonym, count)
    else:
        cache.erase_user(organization_id, erasure.user_ref, is_theirs, pseudonym, count)
    erase_history(organization_id)


def _run_unless_held(erasure: Erasure) -> None:
    """Skip an erasure under a legal hold without logging it every few seconds: the privacy page shows it."""
    with suppress(HeldError):
        run(erasure)
