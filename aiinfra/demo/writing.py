"""Writes a history: rows in bulk, rollups with the functions that real requests use."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction

from aiinfra.demo.calls import Made
from aiinfra.demo.questions import DEPARTMENTS, SLOTS
from cache_app.metrics.folding import add_counts
from cache_app.models import CacheHit
from cost_app.ledger.rollups import add_entries
from cost_app.models import Attempt, LedgerEntry
from queue_app.models import AIRequest, RequestContent
from queue_app.packing import pack
from queue_app.stats.outcome_counts import count_requests

SHOWN = timedelta(hours=6)
"""Requests that ended within this time keep their prompts and answers."""
CHARTED = timedelta(hours=2)
"""The queue's charts show the last hour; earlier minutes count only in the totals."""
ROWS_AT_ONCE = 500


@transaction.atomic
def write(organization_id: int, zone: ZoneInfo, made: Sequence[Made], now: datetime) -> None:
    """Write everything the product stores for these requests, in one transaction.

    Rows past their retention are counted but not stored, as if the janitor had already run.
    """
    requests = [each.request for each in made]
    kept_since = now - timedelta(days=settings.QUEUE_RETENTION_DAYS)
    for request in requests:
        request.counted = True
    _insert(AIRequest, [request for request in requests if request.created_at >= kept_since])
    _insert(RequestContent, [_content(request) for request in requests if request.created_at >= now - SHOWN])
    count_requests(requests, minutes_since=now - CHARTED)
    _insert(Attempt, [attempt for each in made for attempt in each.attempts])
    entries = [entry for each in made for entry in each.entries]
    _insert(LedgerEntry, entries)
    add_entries(organization_id, entries)
    hits = [each.hit for each in made if each.hit]
    for hit in hits:
        hit.counted = True
    _insert(CacheHit, hits)
    add_counts(organization_id, zone, _lookup_counts(made), hits)


def _insert(model: type, rows: Sequence[object]) -> None:
    model._default_manager.bulk_create(rows, batch_size=ROWS_AT_ONCE)  # type: ignore[attr-defined]


def _lookup_counts(made: Sequence[Made]) -> dict[datetime, Counter[str]]:
    """The cache lookups of each hour, summed."""
    hours: dict[datetime, Counter[str]] = defaultdict(Counter)
    for each in made:
        hours[each.request.created_at.replace(minute=0, second=0, microsecond=0)].update(each.looked)
    return hours


def _content(request: AIRequest) -> RequestContent:
    """A question of the company and its answer, chosen by the request's ID."""
    number = request.id.int
    department = DEPARTMENTS[number % len(DEPARTMENTS)]
    topic = department.topics[number // 7 % len(department.topics)]
    slots = {name: values[number // 11 % len(values)] for name, values in SLOTS.items()}
    asked = topic.wordings[number // 13 % len(topic.wordings)].format(**slots)
    messages = [{"role": "system", "content": department.system}, {"role": "user", "content": asked}]
    answer = {"role": "assistant", "content": topic.answer, "finishReason": "stop"}
    return RequestContent(
        request=request,
        organization_id=request.organization_id,
        call=pack({"messages": messages, "temperature": None, "max_tokens": 800}),
        response=None if request.error_code else pack(answer),
    )
