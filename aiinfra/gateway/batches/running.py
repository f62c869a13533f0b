"""Runs due batches in the scheduler. Several schedulers may run at once."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from aiinfra.batches.models import Batch
from aiinfra.gateway.batches.line_endpoints import EMBEDDINGS
from aiinfra.gateway.batches.steps import advance
from aiinfra.one_by_one import one_by_one
from aiinfra.scheduled import IfWaiting
from aiinfra.tenants.scope import Prepared, organization_scope, system_scope
from aiinfra.tenants.statements import Parameter

EVERY_S = 0.5
AT_ONCE = 20
CLAIM = timedelta(seconds=15)
"""Another scheduler takes over after this time. Two schedulers on the same batch of queued calls do no harm."""
CLAIM_OF_EMBEDDINGS = timedelta(seconds=180)
"""Longer than a call may take: otherwise two schedulers could both send it."""
WORK_S = 3.0
POSTPONED = timedelta(seconds=60)
"""After an internal error."""


def jobs() -> list[tuple[float, Callable[[], object]]]:
    """(seconds between two runs, function): batches of queued requests."""
    return [(EVERY_S, IfWaiting(is_any_due, run_due))]


def embedding_jobs() -> list[tuple[float, Callable[[], object]]]:
    """(seconds between two runs, function): batches that call the provider directly, which can take long."""
    return [(EVERY_S, IfWaiting(is_any_due, run_due_embeddings))]


def is_any_due() -> bool:
    """Whether any batch is due. Both jobs share this check."""
    with system_scope():
        return bool(_any.run(now=timezone.now()))


def run_due() -> None:
    """Run some steps of each due batch, the longest-waiting first."""
    _run(_of_requests, CLAIM)


def run_due_embeddings() -> None:
    """The same for embeddings."""
    _run(_of_embeddings, CLAIM_OF_EMBEDDINGS)


def _due(which: Q, count: int = AT_ONCE) -> Prepared[list[Batch]]:
    """A prepared query for due batches: usually there are none, and compiling the SQL would be most of the work."""
    is_due = Q(which, finished_at=None, next_step_at__lte=Parameter("now", "next_step_at"))
    return Batch.objects.prepare_select(lambda batches: batches.filter(is_due).order_by("next_step_at")[:count])


_of_requests, _of_embeddings, _any = _due(~Q(endpoint=EMBEDDINGS)), _due(Q(endpoint=EMBEDDINGS)), _due(Q(), 1)


def _run(due: Prepared[list[Batch]], claim: timedelta) -> None:
    with system_scope():
        found = [(batch.organization_id, batch.pk) for batch in due.run(now=timezone.now())]
    one_by_one(found, partial(_step, claim=claim), _postpone)


def _step(found: tuple[int, UUID], claim: timedelta) -> None:
    organization_id, pk = found
    with organization_scope(organization_id):
        now = timezone.now()
        claimed_until = now + claim
        due = Batch.objects.filter(pk=pk, finished_at=None, next_step_at__lte=now)
        if due.update(next_step_at=claimed_until):
            go_on_at = _work(pk, time.monotonic() + WORK_S)
            Batch.objects.filter(pk=pk, next_step_at=claimed_until).update(next_step_at=go_on_at)


def _work(pk: UUID, deadline: float) -> datetime:
    """Run steps until the batch has to wait or others get their turn; returns when to continue."""
    while (batch := Batch.objects.select_related("user").filter(pk=pk, finished_at=None).first()) is not None:
        go_on_at = advance(batch)
        if go_on_at > timezone.now() or time.monotonic() > deadline:
            return go_on_at
    return timezone.now()


def _postpone(found: tuple[int, UUID]) -> None:
    organization_id, pk = found
    with organization_scope(organization_id):
        Batch.objects.filter(pk=pk).update(next_step_at=timezone.now() + POSTPONED)
