"""Usage of calls made outside aiinfra, reported by their callers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Sum
from django.utils import timezone

from aiinfra.names import normal_name, normal_names
from aiinfra.providers.base import TokenUsage
from cost_app.budgets import holds
from cost_app.budgets.windows import windows_at
from cost_app.ledger.attempts import of_attempt
from cost_app.ledger.billing import bill_of
from cost_app.ledger.entries import book_entry
from cost_app.models import Attempt, AttemptState, LedgerKind, ModelPrice, UnpricedModels
from cost_app.models.ledger import usage_columns
from cost_app.policy import policy_of
from cost_app.prices.lookup import ModelNotPricedError, price_of

REPORTED_AT_LATEST = timedelta(days=31)
"""How long after a call its usage can be reported: until the month's figures are final."""
CLOCKS_DIFFER = timedelta(minutes=5)
"""How far a reporter's clock may be ahead of ours."""

CALL_MAX_NANO, DAY_MAX_NANO = 10**15, 10**16
"""One reported call costs at most a million dollars, and an organization's day ten million: so that years of rollups,
which are 64 bits wide, cannot overflow."""
LARGE_NANO = 10**12
"""Only reports of a thousand dollars or more are compared with the day's sum: smaller ones cannot reach it."""

REPORTED = ("provider", "model", "user_ref", "tags", "priority", "error_code", *usage_columns(TokenUsage()))
"""The columns of an attempt that contain what was reported."""


class ReportedTooLateError(ValueError):
    """The call is too far in the past, or in the future."""


class ReportTooLargeError(ValueError):
    """The cost exceeds the range of the rollups."""


class ReportConflictError(ValueError):
    """The reporter's own ID was already used for another call."""


@dataclass(frozen=True)
class TrackedCall:
    """The facts of a call. `external_id` is the reporter's own: with it, a repeat books nothing."""

    latency_ms: int | None = None
    cached: bool = False
    user_ref: str = ""
    priority: int | None = None
    success: bool = True
    tags: Sequence[str] = ()
    external_id: str | None = None
    api_key_id: int | None = None
    at: datetime | None = None


def track_request(
    organization_id: int, provider: str, model: str, usage: TokenUsage, call: TrackedCall | None = None
) -> Attempt:
    """Book a completed call: it counts in every budget, but none can refuse it.

    A call that the reporter's own cache answered costs nothing, and what it would have cost is booked as saved. If such
    a call failed, it is booked as a failed call that cost and saved nothing. A tier without a price is booked at the
    standard price, with an alert. A reported cost is stored next to ours. Raises ModelNotPricedError if the
    organization refuses models without a price, ReportedTooLateError, ReportTooLargeError and ReportConflictError.
    """
    call = call or TrackedCall()
    now = timezone.now()
    at = call.at or now
    if at < now - REPORTED_AT_LATEST:
        raise ReportedTooLateError("A call must be reported within 31 days.")
    if at > now + CLOCKS_DIFFER:
        raise ReportedTooLateError("A call must be reported after it was made. Its time is in the future.")
    price = _price(organization_id, provider, model, usage.tier, at)
    attempt = _ended_attempt(organization_id, provider, model, price, usage, call, at)
    _check_size(attempt, at)
    try:
        with transaction.atomic():
            _book(attempt, usage, call, at)
    except IntegrityError:
        return _earlier(attempt, call)
    return attempt


def _check_size(attempt: Attempt, at: datetime) -> None:
    if attempt.bound_nano > CALL_MAX_NANO:
        raise ReportTooLargeError("A reported call can cost at most 1,000,000 dollars.")
    if attempt.bound_nano < LARGE_NANO:
        return
    calls = Attempt.objects.filter(
        organization_id=attempt.organization_id,
        created_at__gt=at - timedelta(days=1),
        created_at__lt=at + timedelta(days=1),
        bound_nano__gte=LARGE_NANO,
    )
    if calls.aggregate(nano=Sum("bound_nano", default=0))["nano"] + attempt.bound_nano > DAY_MAX_NANO:
        raise ReportTooLargeError("The calls reported for one day can cost at most 10,000,000 dollars.")


def _price(organization_id: int, provider: str, model: str, tier: str, at: datetime) -> ModelPrice | None:
    try:
        return price_of(provider, model, tier=tier, at=at)
    except ModelNotPricedError:
        if policy_of(organization_id).unpriced_models == UnpricedModels.BLOCK:
            raise
        return None


def _ended_attempt(
    organization_id: int,
    provider: str,
    model: str,
    price: ModelPrice | None,
    usage: TokenUsage,
    call: TrackedCall,
    at: datetime,
) -> Attempt:
    bill = bill_of(provider, model, usage, price, at)
    return Attempt(
        organization_id=organization_id,
        provider=provider,
        model=model,
        price=bill.price,
        api_key_id=call.api_key_id,
        user_ref=normal_name(call.user_ref),
        tags=normal_names(call.tags),
        priority=call.priority,
        external_id=call.external_id,
        state=AttemptState.SETTLED if call.success or not call.cached else AttemptState.RELEASED,
        bound_nano=bill.nano,
        cost_nano=0 if call.cached else bill.nano,
        usage_issue=bill.issue,
        error_code="" if call.success else "REPORTED",
        created_at=at,
        finished_at=at,
        **usage_columns(usage),
    )


def _book(attempt: Attempt, usage: TokenUsage, call: TrackedCall, at: datetime) -> None:
    Attempt.objects.insert(attempt)
    book_entry(
        **of_attempt(attempt),
        **usage_columns(usage),
        kind=_kind(call),
        at=at,
        nano=attempt.cost_nano,
        saved_nano=attempt.bound_nano if _kind(call) is LedgerKind.CACHE_HIT else 0,
        calls=1,
        errors=int(not call.success),
        latency_ms=call.latency_ms,
    )
    holds.charge(attempt, [] if call.cached else windows_at(attempt, at))


def _kind(call: TrackedCall) -> LedgerKind:
    return LedgerKind.CACHE_HIT if call.cached and call.success else LedgerKind.EXTERNAL


def _earlier(attempt: Attempt, call: TrackedCall) -> Attempt:
    """The first report with this ID. Raises ReportConflictError unless the repeat says the same.

    Compares what was reported, not its price: a call may have been repriced since. A repeat without a time is taken to
    mean the same one.
    """
    earlier = Attempt.objects.get(organization_id=attempt.organization_id, external_id=call.external_id)
    entry = earlier.ledger_entries.get(kind__in=(LedgerKind.EXTERNAL, LedgerKind.CACHE_HIT))
    same = (
        all(getattr(earlier, name) == getattr(attempt, name) for name in REPORTED)
        and entry.kind == _kind(call)
        and entry.latency_ms == call.latency_ms
        and call.at in {None, entry.at}
    )
    if not same:
        raise ReportConflictError("This externalId was already used for another call.")
    return earlier
