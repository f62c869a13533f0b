"""The list of requests as a file."""

import json
from collections.abc import Iterator
from datetime import datetime, tzinfo

from aiinfra.money import dollars
from queue_app.models import AIRequest
from queue_app.pages.screens import RequestRow, request_rows
from queue_app.request_lists import RequestFilter, page_of

COLUMNS = [
    "request_id", "created_at", "completed_at", "status", "error_code", "priority", "provider", "model", "user_id",
    "conversation_id", "tags", "cached", "wait_ms", "run_ms", "tokens", "cost_usd",
]  # fmt: skip
EXPORTED_MAX = 10_000
PAGE = 500
PAGES_MAX = 100
"""Pages of a filter that few requests match are short; no more of them are read."""


def exported(narrowed: RequestFilter, zone: tzinfo) -> Iterator[list[object]]:
    """The cells of each request, in the order of the list. Times are in the zone, with its offset."""
    cursor, left = None, EXPORTED_MAX
    for _ in range(PAGES_MAX):
        page = page_of(narrowed, cursor, min(PAGE, left))
        for row in request_rows(page):
            yield _cells(row, zone)
        cursor, left = page.next_cursor, left - len(page.requests)
        if cursor is None or not left:
            return


def _cells(row: RequestRow, zone: tzinfo) -> list[object]:
    request: AIRequest = row.request
    return [
        request.id, _time(request.created_at, zone), _time(request.completed_at, zone),
        request.status, request.error_code,
        request.get_priority_display().lower(), request.provider, request.model, request.user_ref,
        request.conversation_id, json.dumps(request.tags, ensure_ascii=False) if request.tags else "",
        "yes" if request.cached else "no",
        row.wait_ms, row.run_ms, row.sums.tokens, dollars(row.sums.cost_nano),
    ]  # fmt: skip


def _time(moment: datetime | None, zone: tzinfo) -> str | None:
    return moment.astimezone(zone).isoformat(timespec="milliseconds") if moment else None
