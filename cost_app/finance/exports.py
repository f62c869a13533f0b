"""The ledger as CSV, one line per row, in chronological order."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime

from django.http import StreamingHttpResponse

from aiinfra.csv_stream import csv_response
from aiinfra.money import dollars
from aiinfra.tenants.models import ApiKey, Organization
from cost_app.calendar import ONE_DAY
from cost_app.finance.months import calendar_of
from cost_app.models import LedgerEntry

BATCH = 1_000

LEDGER_COLUMNS = [
    "id",
    "at_utc",
    "kind",
    "provider",
    "model",
    "cost",
    "saved",
    "currency",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "calls",
    "errors",
    "latency_ms",
    "estimated",
    "api_key",
    "user",
    "tags",
    "priority",
    "request_id",
    "attempt_id",
    "repricing_id",
    "note",
    "cache_write_1h_tokens",
    "tier",
    "tool_uses",
    "reported_cost",
]


def ledger_csv(organization: Organization, first: date, last: date) -> StreamingHttpResponse:
    """The rows of the organization's days `first` to `last`, inclusive."""
    calendar = calendar_of(organization.pk)
    starts_at, ends_at = calendar.begin_of(first), calendar.begin_of(last + ONE_DAY)
    return csv_response(
        organization.pk,
        f"ledger_{organization.slug}_{first}_{last}.csv",
        LEDGER_COLUMNS,
        lambda: ledger_rows(organization, starts_at, ends_at),
    )


def ledger_rows(organization: Organization, starts_at: datetime, ends_at: datetime) -> Iterator[list[object]]:
    """The rows from `start` (inclusive) to `end` (exclusive). Needs the organization's scope. Reads in batches by (at,
    id).
    """
    names = {key.pk: f"{key.name} ({key.key_id})" for key in ApiKey.objects.filter(organization=organization)}
    entries = LedgerEntry.objects.filter(organization=organization, at__lt=ends_at).order_by("at", "id")
    batch = list(entries.filter(at__gte=starts_at)[:BATCH])
    while batch:
        for entry in batch:
            yield _cells(entry, names)
        at, seen = batch[-1].at, batch[-1].pk
        batch = list(entries.filter(at__gte=at).exclude(at=at, id__lte=seen)[:BATCH])


def _cells(entry: LedgerEntry, key_names: dict[int, str]) -> list[object]:
    return [
        entry.pk,
        entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        entry.kind,
        entry.provider,
        entry.model,
        dollars(entry.nano),
        dollars(entry.saved_nano),
        "USD",
        entry.input_tokens,
        entry.cache_read_tokens,
        entry.cache_write_tokens,
        entry.output_tokens,
        entry.reasoning_tokens,
        entry.calls,
        entry.errors,
        entry.latency_ms,
        "yes" if entry.estimated else "no",
        key_names.get(entry.api_key_id or 0),
        entry.user_ref,
        json.dumps(entry.tags, ensure_ascii=False) if entry.tags else "",
        entry.priority,
        entry.request_id,
        entry.attempt_id,
        entry.repricing_id,
        entry.note,
        entry.cache_write_1h_tokens,
        entry.tier,
        json.dumps(entry.tool_uses, sort_keys=True) if entry.tool_uses else "",
        None if entry.reported_nano is None else dollars(entry.reported_nano),
    ]
