"""Delete what is past its retention: contents first, then ended requests, then the charts' minutes."""

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from aiinfra.tenants.privacy.retention import due
from cost_app import create_cost_optimizer
from queue_app.models import AIRequest, QueueMinute, RequestContent

cost = create_cost_optimizer()

BATCH = 500
MINUTES_KEPT = timedelta(days=8)


def cleanup() -> int:
    """Delete what is past its retention in the organizations in scope, unless a legal hold covers it. Returns the
    number of requests deleted.

    Money stays: the ledger, and attempts that were sent, keep the request's ID. Batches keep each transaction short.
    """
    for each in due("request__user_ref"):
        _drop_contents(each.of(RequestContent.objects.filter(request__completed_at__lt=each.contents_before)))
    QueueMinute.objects.filter(minute__lt=timezone.now() - MINUTES_KEPT).delete()
    ended = AIRequest.objects.filter
    return sum(_drop_requests(each.of(ended(completed_at__lt=each.requests_before))) for each in due())


def _drop_contents(old: "QuerySet[Any]") -> None:
    while ids := list(old.values_list("request_id", flat=True)[:BATCH]):
        RequestContent.objects.filter(request_id__in=ids).delete()


def _drop_requests(old: "QuerySet[Any]") -> int:
    removed = 0
    while ids := list(old.values_list("id", flat=True)[:BATCH]):
        RequestContent.objects.filter(request_id__in=ids).delete()
        cost.forget_unsent(ids)
        removed += AIRequest.objects.filter(id__in=ids).delete()[0]
    return removed
