"""Closing a month: its figures as they stand, signed, so that a later change of either can be seen.

The signature is HMAC-SHA256 with a key derived from SECRET_KEY over canonical JSON (sorted keys, no spaces, ASCII). It
proves that this installation wrote the figures and that nobody without the key changed them.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Max, Sum
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from aiinfra.money import dollars
from aiinfra.tenants import audit
from aiinfra.tenants.models import Organization
from cost_app.finance.months import Month
from cost_app.ledger.usage import fold
from cost_app.models import CostPolicy, Dimension, LedgerEntry, MonthClose, PendingUsage, UsageDay

VERSION = 1
ALGORITHM = "hmac-sha256"
SALT = "cost_app.finance.month_close"
DIMENSIONS = (Dimension.PROVIDER, Dimension.MODEL, Dimension.API_KEY, Dimension.TAG)
SUMS = (
    "nano",
    "saved_nano",
    "calls",
    "errors",
    "cache_hits",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
)


class NotClosableError(ValueError):
    """The month cannot be closed now; the text says why, for the person who asked."""


@dataclass(frozen=True)
class CloseState:
    """How a closed month stands today. `corrections_nano` was booked on its days after it was closed."""

    close: MonthClose
    is_verified: bool
    corrections_nano: int

    @property
    def word(self) -> str:
        """verified or tampered."""
        return "verified" if self.is_verified else "tampered"


def close_month(*, organization: Organization, month: Month, actor: str) -> MonthClose:
    """Keep a past month's figures for ever. Raises NotClosableError."""
    if not month.is_over:
        raise NotClosableError(f"{month} is not over yet.")
    fold()
    with transaction.atomic():
        _hold_folds(organization.pk)
        if MonthClose.objects.filter(first_day=month.first_day).exists():
            raise NotClosableError(f"{month} is closed already.")
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
    return close


def _hold_folds(organization_id: int) -> None:
    """The sums stay as they are until the transaction ends: folds wait for the policy's row."""
    CostPolicy.objects.bulk_create([CostPolicy(organization_id=organization_id)], ignore_conflicts=True)
    CostPolicy.objects.select_for_update().get(organization_id=organization_id)


def _snapshot(organization: Organization, month: Month) -> dict[str, Any]:
    """Raises NotClosableError where ledger and sums do not agree; reads the month's ledger once."""
    rows = LedgerEntry.objects.filter(at__gte=month.starts_at, at__lt=month.ends_at)
    ledger = rows.aggregate(rows=Count("id"), max_id=Max("id"), nano=Sum("nano"))
    totals = _sums(Dimension.TOTAL, month).get("", dict.fromkeys(SUMS, 0))
    if PendingUsage.objects.filter(entry__at__gte=month.starts_at, entry__at__lt=month.ends_at).exists():
        raise NotClosableError(f"Usage is still being added to {month}. Try again in a minute.")
    if totals["nano"] != (ledger["nano"] or 0):
        raise NotClosableError(f"The sums of {month} do not agree with the ledger: run rebuild_rollups first.")
    return {
        "version": VERSION,
        "organization": organization.slug,
        "currency": organization.currency,
        "time_zone": organization.time_zone,
        "starts_at": month.starts_at.isoformat(),
        "ends_at": month.ends_at.isoformat(),
        "totals": totals,
        "by": {dimension.value: _sums(dimension, month) for dimension in DIMENSIONS},
        "ledger": {"rows": ledger["rows"], "max_id": ledger["max_id"] or 0},
    }


def _sums(dimension: Dimension, month: Month) -> dict[str, dict[str, int]]:
    days = UsageDay.objects.filter(dimension=dimension, day__gte=month.first_day, day__lte=month.last_day)
    grouped: Iterable[Any] = days.order_by().values("value").annotate(**{f"sum_{name}": Sum(name) for name in SUMS})
    return {row["value"]: {name: row[f"sum_{name}"] for name in SUMS} for row in grouped}


def sign(close: MonthClose, key: str | bytes) -> str:
    """The signature of all that the row says, with a key derived from a secret."""
    digest = salted_hmac(SALT, canonical(close), secret=key, algorithm="sha256").hexdigest()
    return f"{ALGORITHM}:{digest}"


def canonical(close: MonthClose) -> str:
    """What is signed: equal for equal rows, whichever database they came from."""
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
    """Whether the row is as it was signed, with today's secret key or one of the fallbacks."""
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return any(constant_time_compare(close.signature, sign(close, key)) for key in keys)


def close_states(organization_id: int) -> dict[str, CloseState]:
    """The organization's closed months by the ISO date of their first day; two queries for any number of months."""
    closes = list(MonthClose.objects.filter(organization_id=organization_id).order_by("-first_day"))
    if not closes:
        return {}
    first, last = closes[-1].first_day, max(close.last_day for close in closes)
    days = UsageDay.objects.filter(dimension=Dimension.TOTAL, day__gte=first, day__lte=last)
    costs = list(days.values_list("day", "nano"))
    states = {}
    for close in closes:
        today = sum(nano for day, nano in costs if close.first_day <= day <= close.last_day)
        signed = figure(close, "totals", "nano") or 0
        states[close.first_day.isoformat()] = CloseState(close, verify(close), today - signed)
    return states


def figure(close: MonthClose, *path: str) -> int | None:
    """A number of the snapshot; None where it was changed beyond reading."""
    found: Any = close.snapshot
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, int) else None
