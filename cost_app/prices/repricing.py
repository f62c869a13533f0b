"""Reprices a period: what its calls would cost with the current book, and the rows that correct the ledger.

A call belongs to the period in which it was sent, and has the price that the book now gives for that instant. Only
settled calls are considered, and answered ones whose provider sent no usable counts: those are settled if the stored
counts can be parsed now, and priced by our own count otherwise. Cache hits cost nothing at any price.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from aiinfra.providers.base import TokenUsage
from aiinfra.providers.usage import usage_again
from aiinfra.tenants import audit
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import organization_scope
from cost_app.ledger import attempts as ledger
from cost_app.ledger.billing import bill_of
from cost_app.models import Attempt, AttemptState, LedgerEntry, LedgerKind, ModelPrice, Repricing, UsageIssue
from cost_app.prices.lookup import ModelNotPricedError, clear_price_cache, price_of

BATCH = 200
"""Calls corrected per transaction: writers of the same budgets wait for it."""
LONGEST_WAIT = timedelta(days=7)
"""A call is sent at most this long after it was admitted, and the index is on the admission time."""


@dataclass(frozen=True)
class Period:
    """Whose calls are repriced; no model means every model of the provider. `ends_at` is exclusive."""

    provider: str
    model: str
    starts_at: datetime
    ends_at: datetime

    def __str__(self) -> str:
        name = f"{self.provider}/{self.model or '*'}"
        return f"{name} {self.starts_at:%Y-%m-%d %H:%M} to {self.ends_at:%Y-%m-%d %H:%M} UTC"


@dataclass
class OrganizationDifference:
    """What repricing changes for one organization, in nano-dollars."""

    organization: Organization
    attempts: int = 0
    changed: int = 0
    now_priced: int = 0
    """Calls that had no price and have one now; included in the changed ones."""
    booked_nano: int = 0
    new_nano: int = 0

    @property
    def difference_nano(self) -> int:
        """What is booked in addition; negative if money is given back."""
        return self.new_nano - self.booked_nano


@dataclass(frozen=True)
class _Verdict:
    """One call at the current book; `price` is None if it still has none."""

    attempt: Attempt
    price: ModelPrice | None
    cost_nano: int
    issue: str = ""
    usage: TokenUsage | None = None
    """The provider's counts, if the call was estimated and they can be parsed now."""

    @property
    def is_change(self) -> bool:
        if self.price is None:
            return False
        was_unpriced = self.attempt.price_id is None
        booked = self.attempt.cost_nano, self.attempt.usage_issue
        return was_unpriced or self.usage is not None or (self.cost_nano, self.issue) != booked


def count_calls(period: Period) -> int:
    """How many calls a repricing would consider: one query per organization."""
    count = 0
    for organization in Organization.objects.order_by("slug"):
        with organization_scope(organization.pk):
            count += _calls(organization.pk, period).count()
    return count


def difference(period: Period) -> list[OrganizationDifference]:
    """What repricing would change, by organization; writes nothing. Reads every call of the period."""
    clear_price_cache()
    rows = [_difference_of(organization, period) for organization in Organization.objects.order_by("slug")]
    return [row for row in rows if row.attempts]


def reprice(*, period: Period, actor: str, reason: str) -> Repricing | None:
    """Correct the ledger with adjustment rows dated today; None if nothing needs correcting.

    Works in batches, each of them atomic, so that an interrupted run can be repeated and does the rest. Each affected
    organization gets an audit event.
    """
    clear_price_cache()
    repricing = None
    for organization in Organization.objects.order_by("slug"):
        with organization_scope(organization.pk):
            changed = [each.attempt.id for each in _verdicts(organization.pk, period) if each.is_change]
            for start in range(0, len(changed), BATCH):
                with transaction.atomic():
                    repricing = repricing or _begin(period, actor, reason)
                    if start == 0:
                        _record(organization.pk, period, repricing)
                    _correct(changed[start : start + BATCH], repricing)
    return repricing


def _difference_of(organization: Organization, period: Period) -> OrganizationDifference:
    row = OrganizationDifference(organization)
    with organization_scope(organization.pk):
        for each in _verdicts(organization.pk, period):
            row.attempts += 1
            row.changed += each.is_change
            row.now_priced += each.is_change and each.attempt.price_id is None
            row.booked_nano += each.attempt.cost_nano
            row.new_nano += each.cost_nano
    return row


def _begin(period: Period, actor: str, reason: str) -> Repricing:
    return Repricing.objects.create(
        provider=period.provider,
        model=period.model,
        starts_at=period.starts_at,
        ends_at=period.ends_at,
        by=actor,
        reason=reason,
    )


def _record(organization_id: int, period: Period, repricing: Repricing) -> None:
    audit.record(
        organization_id=organization_id,
        actor=repricing.by,
        verb="price.repriced",
        target=str(period)[:200],
        changes={"reason": ["", repricing.reason], "repricing": ["", str(repricing.pk)]},
    )


def _correct(attempt_ids: list[UUID], repricing: Repricing) -> None:
    for attempt in Attempt.objects.filter(id__in=attempt_ids).order_by("created_at", "id"):
        verdict = _judge(attempt)
        if not verdict.is_change or verdict.price is None:
            continue
        if verdict.usage is not None:
            attempt.price = verdict.price
            ledger.settle(attempt, verdict.usage, attempt.raw_usage)
        else:
            ledger.reprice(attempt, verdict.cost_nano, repricing, verdict.price, verdict.issue)


def _verdicts(organization_id: int, period: Period) -> Iterator[_Verdict]:
    calls = _calls(organization_id, period).defer("raw_usage", "error_message", "tags")
    return (_judge(attempt) for attempt in calls.iterator(chunk_size=1000))


def _calls(organization_id: int, period: Period) -> QuerySet[Attempt]:
    answered_by_cache = LedgerEntry.objects.filter(attempt=OuterRef("pk"), kind=LedgerKind.CACHE_HIT)
    answered = Q(state=AttemptState.SETTLED) | Q(state=AttemptState.ESTIMATED, usage_issue=UsageIssue.NO_USAGE)
    calls = Attempt.objects.filter(
        answered,
        organization_id=organization_id,
        provider=period.provider,
        created_at__gte=period.starts_at - LONGEST_WAIT,
        created_at__lt=period.ends_at,
    )
    if period.model:
        calls = calls.filter(model=period.model)
    left_at = Coalesce("dispatched_at", "created_at")
    in_period = calls.annotate(left_at=left_at).filter(left_at__gte=period.starts_at, left_at__lt=period.ends_at)
    return in_period.exclude(Exists(answered_by_cache)).order_by("created_at", "id")


def _judge(attempt: Attempt) -> _Verdict:
    left_at = attempt.dispatched_at or attempt.created_at
    is_estimate = attempt.state == AttemptState.ESTIMATED
    read = usage_again(attempt.provider, attempt.raw_usage) if is_estimate else None
    usage = read or attempt.usage
    try:
        price = price_of(attempt.provider, attempt.model, tier=usage.tier, at=left_at)
    except ModelNotPricedError:
        return _Verdict(attempt, None, attempt.cost_nano)
    if not usage.total:  # the maximum cost was booked, and nothing better is known
        return _Verdict(attempt, None, attempt.cost_nano)
    bill = bill_of(attempt.provider, attempt.model, usage, price, left_at)
    issue = UsageIssue.NO_USAGE.value if is_estimate and not read else bill.issue
    return _Verdict(attempt, bill.price, bill.nano, issue, read)
