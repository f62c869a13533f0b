"""Finds requests that got stuck. Read-only; for `manage.py reconcile`."""

from collections.abc import Iterator
from datetime import timedelta

from aiinfra import database_time
from aiinfra.tenants.scope import system_scope
from cost_app import create_cost_optimizer
from queue_app.models import ENDED, AIRequest, Status

OVERDUE = timedelta(seconds=60)
"""Index repair runs every second; what it has not touched for this long, it does not see."""


def stuck_requests() -> Iterator[str]:
    """One sentence for each request that a lost worker still has, or that ended with an open attempt."""
    with system_scope():
        lost = AIRequest.objects.filter(status=Status.PROCESSING, lease_until__lt=database_time.now() - OVERDUE)
        for request in lost.iterator():
            yield f"request {request.id} is held by worker {request.worker}, whose lease ended at {request.lease_until}"
        waiting = create_cost_optimizer().reserved_requests()
        for request in AIRequest.objects.filter(id__in=waiting, status__in=ENDED).iterator():
            yield f"request {request.id} is {request.status}, and its attempt still holds money"
