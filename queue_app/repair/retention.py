"""Delete what is past its retention: contents first, then ended requests, then the charts' minutes."""

from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from queue_app.models import AIRequest, QueueMinute, RequestContent

BATCH = 500
MINUTES_KEPT = timedelta(days=8)


def cleanup() -> int:
    """Delete what is past its retention in the organizations in scope. Returns the number of requests deleted.

    Money stays: attempts and the ledger keep the request's ID. Batches keep each transaction short.
    """
    now = timezone.now()
    _drop_contents(now - timedelta(days=settings.QUEUE_CONTENT_RETENTION_DAYS))
    QueueMinute.objects.filter(minute__lt=now - MINUTES_KEPT).delete()
    return _drop_requests(now - timedelta(days=settings.QUEUE_RETENTION_DAYS))


def _drop_contents(before: datetime) -> None:
    old = RequestContent.objects.filter(request__completed_at__lt=before)
    while ids := list(old.values_list("request_id", flat=True)[:BATCH]):
        RequestContent.objects.filter(request_id__in=ids).delete()


def _drop_requests(before: datetime) -> int:
    removed = 0
    old = AIRequest.objects.filter(completed_at__lt=before)
    while ids := list(old.values_list("id", flat=True)[:BATCH]):
        RequestContent.objects.filter(request_id__in=ids).delete()
        removed += AIRequest.objects.filter(id__in=ids).delete()[0]
    return removed
