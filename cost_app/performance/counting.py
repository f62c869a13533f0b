"""Counts provider calls by model: per hour for percentiles, per minute for outages, and the latest result.

Part of the ledger's fold (`cost_app.ledger.rollups`). Each ended call has one entry that counts it. The entry is
dequeued in the transaction that counts it, and folds of one organization are serialized, so each call counts exactly
once, even if processes are killed. Cache hits do not count. A failed call counts under its error code and adds nothing
to the latencies: a timeout reflects the caller's patience, not the model's speed.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from django.utils import timezone

from aiinfra.providers.base import PROVIDER_FAULTS
from cost_app.models import Attempt, LedgerEntry, LedgerKind, ModelHour, ModelMinute, ModelState
from cost_app.performance.histogram import Histogram, bucket_of, merged

HOURS_KEPT = timedelta(days=30)
"""7 days are required. A month allows comparing an outage with the same weekday in earlier weeks."""
MINUTES_KEPT = timedelta(days=1)
REPORTED = "REPORTED"
"""The error code of a failed call that another program reported."""
COUNTS = ("calls", "failures", "timed_calls", "latency_ms")
Model = tuple[str, str]
Table = TypeVar("Table", ModelHour, ModelMinute)


@dataclass
class Call:
    """An ended call. `error_code` is empty if it succeeded; `is_ours` if this installation made it."""

    provider: str
    model: str
    at: datetime
    error_code: str
    error_message: str
    latency_ms: int | None
    is_ours: bool


@dataclass
class Counts:
    """The columns of `ModelCounts`, summed."""

    calls: int = 0
    failures: int = 0
    timed_calls: int = 0
    latency_ms: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    latencies: Histogram = field(default_factory=dict)

    def add(self, call: Call) -> None:
        """Count one call."""
        self.calls += 1
        if call.error_code:
            self.failures += 1
            self.errors[call.error_code] = self.errors.get(call.error_code, 0) + 1
        elif call.latency_ms is not None:
            self.timed_calls += 1
            self.latency_ms += call.latency_ms
            bucket = bucket_of(call.latency_ms)
            self.latencies[bucket] = self.latencies.get(bucket, 0) + 1


def count_calls(organization_id: int, entries: Sequence[LedgerEntry]) -> None:
    """Count the calls among an organization's ledger entries, in the transaction that dequeues them."""
    calls = _calls(entries)
    hours: dict[tuple[datetime, str, str], Counts] = defaultdict(Counts)
    minutes: dict[tuple[datetime, str, str], Counts] = defaultdict(Counts)
    now = timezone.now()
    for call in calls:
        minute = call.at.replace(second=0, microsecond=0)
        if call.at > now - HOURS_KEPT:
            hours[minute.replace(minute=0), call.provider, call.model].add(call)
        if call.is_ours and call.at > now - MINUTES_KEPT:
            minutes[minute, call.provider, call.model].add(call)
    _add(ModelHour, "hour", organization_id, hours)
    _add(ModelMinute, "minute", organization_id, minutes)
    _note_states(organization_id, [call for call in calls if call.is_ours])


def delete_expired() -> None:
    """Delete expired counts of the organizations in scope."""
    now = timezone.now()
    ModelHour.objects.filter(hour__lt=now - HOURS_KEPT).delete()
    ModelMinute.objects.filter(minute__lt=now - MINUTES_KEPT).delete()


def _calls(entries: Sequence[LedgerEntry]) -> list[Call]:
    counting = [entry for entry in entries if entry.calls and entry.kind != LedgerKind.CACHE_HIT]
    failed = _attempts(entry.attempt_id for entry in counting if entry.errors)
    return [_call(entry, failed.get(entry.attempt_id) if entry.attempt_id else None) for entry in counting]


def _attempts(ids: Iterable[UUID | None]) -> dict[UUID, Attempt]:
    found = Attempt.objects.filter(id__in=list(ids)).only("error_code", "error_message")
    return {attempt.id: attempt for attempt in found}


def _call(entry: LedgerEntry, failed: Attempt | None) -> Call:
    return Call(
        provider=entry.provider,
        model=entry.model,
        at=entry.at,
        error_code=(failed.error_code or REPORTED) if failed else "",
        error_message=failed.error_message if failed else "",
        latency_ms=entry.latency_ms,
        is_ours=entry.kind in {LedgerKind.USAGE, LedgerKind.FAILED},
    )


def _add(
    table: type[Table],
    unit: str,
    organization_id: int,
    counts: dict[tuple[datetime, str, str], Counts],
) -> None:
    """Read, add, write. The caller must hold the organization's lock."""
    if not counts:
        return
    stored = table.objects.filter(organization_id=organization_id, **{f"{unit}__in": {key[0] for key in counts}})
    rows = {(getattr(row, unit), row.provider, row.model): row for row in stored}
    for (at, provider, model), new in counts.items():
        row = rows.setdefault(
            (at, provider, model),
            table(organization_id=organization_id, provider=provider, model=model, **{unit: at}),
        )
        for name in COUNTS:
            setattr(row, name, getattr(row, name) + getattr(new, name))
        row.errors, row.latencies = merged([row.errors, new.errors]), merged([row.latencies, new.latencies])
    table.objects.bulk_create(
        [rows[key] for key in counts],
        update_conflicts=True,
        unique_fields=["organization", unit, "provider", "model"],
        update_fields=[*COUNTS, "errors", "latencies"],
    )


def _note_states(organization_id: int, calls: Sequence[Call]) -> None:
    if not calls:
        return
    states = {
        (state.provider, state.model): state for state in ModelState.objects.filter(organization_id=organization_id)
    }
    touched: dict[Model, ModelState] = {}
    for call in calls:
        model = (call.provider, call.model)
        state = states.setdefault(
            model, ModelState(organization_id=organization_id, provider=call.provider, model=call.model)
        )
        touched[model] = state
        _note(state, call)
    ModelState.objects.bulk_create(
        list(touched.values()),
        update_conflicts=True,
        unique_fields=["organization", "provider", "model"],
        update_fields=["answered_at", "failed_at", "failing_since", "failures", "errors"],
    )


def _note(state: ModelState, call: Call) -> None:
    """Record a call's result. An error that the caller caused is not a failure of the provider."""
    if not call.error_code:
        state.answered_at, state.failing_since, state.failures = call.at, None, 0
        return
    state.failed_at = call.at
    state.errors = {**state.errors, call.error_code: [call.at.isoformat(), call.error_message]}
    if call.error_code in PROVIDER_FAULTS:
        state.failing_since = state.failing_since or call.at
        state.failures += 1
