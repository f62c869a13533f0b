"""Closes months: stores their figures with a signature that reveals later changes.

The signature is HMAC-SHA256 with a key derived from SECRET_KEY over canonical JSON (sorted keys, no spaces, ASCII). It
proves that this installation wrote the figures and that no one without the key changed them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Max, Sum
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from aiinfra.money import dollars
from aiinfra.tenants import audit
from aiinfra.tenants.models import ApiKey, Organization
from cost_app.calendar import Calendar
from cost_app.finance.month_sums import MonthSums, Sums, sums_calendar
from cost_app.finance.months import Month, calendar_of, closed_month
from cost_app.ledger.rollups import fold
from cost_app.models import SUMS, CostPolicy, Dimension, LedgerEntry, MonthClose, PendingUsage, UsageDay

VERSION = 2
ALGORITHM = "hmac-sha256"
SALT = "cost_app.finance.month_close"
DIMENSIONS = (Dimension.PROVIDER, Dimension.MODEL, Dimension.API_KEY, Dimension.USER, Dimension.TAG)
SNAPSHOT_SUMS = [name for name in SUMS if name not in {"latency_ms", "timed_calls"}]


class NotClosableError(ValueError):
    """The month cannot be closed now; the message says why."""


@dataclass(frozen=True)
class CloseState:
    """The state of a closed month. `corrections_nano` was booked on its days after it was closed."""

    close: MonthClose
    month: Month
    is_verified: bool
    corrections_nano: int

    @property
    def word(self) -> str:
        """verified or tampered."""
        return "verified" if self.is_verified else "tampered"


@dataclass(frozen=True)
class Closing:
    """The result of closing a month. `is_new` is False if it was already closed."""

    close: MonthClose
    is_new: bool


def close_month(*, organization: Organization, month: Month, actor: str) -> Closing:
    """Store a past month's figures permanently; a closed month does not change. Raises NotClosableError.

    Closings of one organization are serialized, so closed months never overlap.
    """
    if not month.is_over:
        raise NotClosableError(f"{month} is not over yet.")
    fold()
    with transaction.atomic():
        _hold_folds(organization.pk)
        earlier = _closed_before(organization.pk, month)
        if earlier:
            return Closing(earlier, is_new=False)
        close = MonthClose(
            organization=organization,
            first_day=month.first_day,
            last_day=month.last_day,
            snapshot=_snapshot(organization, month),
            closed_by=actor,
            closed_at=timezone.now(),
        )
        close.signature = sign(close, settings.SECRET_KEY)
        close.save(force_insert=True)
        audit.record(
            organization_id=organization.pk,
            actor=actor,
            verb="month.closed",
            target=str(month),
            changes={"cost": [None, dollars(close.snapshot["totals"]["nano"])]},
        )
    return Closing(close, is_new=True)


def _closed_before(organization_id: int, month: Month) -> MonthClose | None:
    """The same month if it is already closed. Raises NotClosableError if a closed month overlaps it."""
    calendar = calendar_of(organization_id)
    for close in MonthClose.objects.filter(organization_id=organization_id):
        closed = closed_month(close, calendar)
        if closed.first_day == month.first_day:
            return close
        if closed.overlaps(month):
            raise NotClosableError(f"{month} overlaps {closed}, which is closed. Reload the list of months.")
    return None


def _hold_folds(organization_id: int) -> None:
    """Lock the rollups until the transaction ends: folds wait for the policy's row."""
    CostPolicy.objects.bulk_create([CostPolicy(organization_id=organization_id)], ignore_conflicts=True)
    CostPolicy.objects.select_for_update().get(organization_id=organization_id)


def _snapshot(organization: Organization, month: Month) -> dict[str, Any]:
    """Raise NotClosableError if the ledger and the rollups differ. Reads the month's ledger once."""
    rows = LedgerEntry.objects.filter(at__gte=month.starts_at, at__lt=month.ends_at)
    ledger = rows.aggregate(rows=Count("id"), max_id=Max("id"), nano=Sum("nano"))
    sums = MonthSums(organization.pk, month)
    totals = _columns(sums.total())
    if PendingUsage.objects.filter(entry__at__gte=month.starts_at, entry__at__lt=month.ends_at).exists():
        raise NotClosableError(f"Usage is still being added to {month}. Try again in a minute.")
    if totals["nano"] != (ledger["nano"] or 0):
        raise NotClosableError(f"The rollups of {month} do not match the ledger: run rebuild_rollups first.")
    return {
        "version": VERSION,
        "organization": organization.slug,
        "currency": "USD",
        "time_zone": month.time_zone,
        "starts_at": month.starts_at.isoformat(),
        "ends_at": month.ends_at.isoformat(),
        "totals": totals,
        "by": {dimension.value: _lines(sums, dimension) for dimension in DIMENSIONS},
        "ledger": {"rows": ledger["rows"], "max_id": ledger["max_id"] or 0},
    }


def _lines(sums: MonthSums, dimension: Dimension) -> dict[str, dict[str, Any]]:
    """The lines of one dimension by its values. API keys are identified by public ID, with their current names."""
    lines = {value: _columns(each) for value, each in sums.by(dimension)}
    if dimension is not Dimension.API_KEY:
        return dict(lines)
    keys = {str(key.pk): key for key in ApiKey.objects.filter(pk__in=[value for value in lines if value])}
    return {
        keys[value].key_id if value in keys else value: _with_name(keys.get(value), each)
        for value, each in lines.items()
    }


def _with_name(key: ApiKey | None, columns: Sums) -> dict[str, Any]:
    return {**columns, "name": key.name if key else ""}


def _columns(sums: Sums) -> Sums:
    return {name: sums[name] for name in SNAPSHOT_SUMS}


def sign(close: MonthClose, key: str | bytes) -> str:
    """The row's signature, with a key derived from a secret."""
    digest = salted_hmac(SALT, canonical(close), secret=key, algorithm="sha256").hexdigest()
    return f"{ALGORITHM}:{digest}"


def canonical(close: MonthClose) -> str:
    """The signed bytes. Equal rows give equal bytes in both databases."""
    said = {
        "organization_id": close.organization_id,
        "first_day": close.first_day.isoformat(),
        "last_day": close.last_day.isoformat(),
        "closed_by": close.closed_by,
        "closed_at": close.closed_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "snapshot": close.snapshot,
    }
    return json.dumps(said, sort_keys=True, separators=(",", ":"))


def verify(close: MonthClose) -> bool:
    """Whether the signature matches, with the current secret key or one of the fallbacks."""
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return any(constant_time_compare(close.signature, sign(close, key)) for key in keys)


def close_states(organization_id: int) -> dict[str, CloseState]:
    """The organization's closed months by the ISO date of their first day.

    A fixed number of queries, plus one for each month that was closed in a different time zone.
    """
    closes = list(MonthClose.objects.filter(organization_id=organization_id).order_by("-first_day"))
    if not closes:
        return {}
    calendar = sums_calendar(organization_id)
    first, last = closes[-1].first_day, max(close.last_day for close in closes)
    days = UsageDay.objects.filter(
        organization_id=organization_id, dimension=Dimension.TOTAL, day__gte=first, day__lte=last
    )
    costs = list(days.values_list("day", "nano"))
    return {close.first_day.isoformat(): _state(close, calendar, costs) for close in closes}


def _state(close: MonthClose, calendar: Calendar, costs: Sequence[tuple[date, int]]) -> CloseState:
    month = closed_month(close, calendar)
    if month.time_zone == calendar.zone.key:
        today = sum(nano for day, nano in costs if month.first_day <= day <= month.last_day)
    else:
        rows = LedgerEntry.objects.filter(
            organization_id=close.organization_id, at__gte=month.starts_at, at__lt=month.ends_at
        )
        today = rows.aggregate(nano=Sum("nano", default=0))["nano"]
    return CloseState(close, month, verify(close), today - (figure(close, "totals", "nano") or 0))


def figure(close: MonthClose, *path: str) -> int | None:
    """A number from the snapshot. None if it is unreadable."""
    found: Any = close.snapshot
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, int) else None
