"""The ledger's usage of a provider, by day (UTC), model, and token class, in one grouped query."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import Count, Q, Sum
from django.db.models.functions import TruncDate

from cost_app.finance.allocation import TOKEN_CLASSES, PriceList, allocate, weights_of
from cost_app.finance.invoices.layouts import TOTAL
from cost_app.finance.months import INSTANT
from cost_app.models import LedgerEntry, LedgerKind

DAYS_BEFORE, DAYS_AFTER = 1, 3
"""Days before and after the file's days that are also read, because usage may be booked on a neighboring day."""
LATER = (LedgerKind.ADJUST, LedgerKind.OVERRUN)
"""Kinds of rows booked after the call."""


@dataclass
class ModelDay:
    """One model's usage on one day (UTC): tokens and nano-dollars by class, with totals under "total"."""

    tokens: dict[str, int]
    nano: dict[str, int]
    estimated: int = 0
    """Rows with an unknown outcome, booked at their bound, without tokens."""
    later_tokens: dict[str, int] = field(default_factory=dict)
    """The tokens that were booked by corrections of earlier calls."""


Book = dict[tuple[date, str], ModelDay]


def ledger_of(provider: str, first: date, last: date) -> Book:
    """The organization's ledger from one day before the first day to three days after the last."""
    starts_at = _begin(first - timedelta(days=DAYS_BEFORE))
    ends_at = _begin(last + timedelta(days=DAYS_AFTER + 1))
    entries = LedgerEntry.objects.filter(provider=provider, at__gte=starts_at, at__lt=ends_at).exclude(
        kind=LedgerKind.CACHE_HIT  # the provider never saw them
    )
    grouped: Iterable[Any] = (
        entries.order_by()
        .annotate(day=TruncDate("at", tzinfo=UTC))
        .values("day", "model")
        .annotate(cost=Sum("nano"), guessed=Count("id", filter=Q(estimated=True)), **_token_sums())
    )
    prices = PriceList()
    return {(row["day"], row["model"]): _model_day(provider, row, prices) for row in grouped}


def _token_sums() -> dict[str, Sum]:
    late = Q(kind__in=LATER)
    sums = {name: Sum(f"{name}_tokens") for name in TOKEN_CLASSES}
    sums["hour_writes"] = Sum("cache_write_1h_tokens")
    return sums | {f"late_{name}": Sum(f"{name}_tokens", filter=late, default=0) for name in TOKEN_CLASSES}


def _model_day(provider: str, row: dict[str, Any], prices: PriceList) -> ModelDay:
    """Split money by class as the FOCUS export does. A day without tokens only has a total."""
    tokens: dict[str, int] = {name: row[name] for name in TOKEN_CLASSES}
    late: dict[str, int] = {name: row[f"late_{name}"] for name in TOKEN_CLASSES}
    price = prices.in_force(provider, row["model"], _begin(row["day"] + timedelta(days=1)) - INSTANT)
    weights = weights_of(tokens, price, row["hour_writes"])
    parts = allocate(row["cost"] if any(weights) else 0, weights)
    return ModelDay(
        tokens={**tokens, TOTAL: sum(tokens.values())},
        nano={**dict(zip(TOKEN_CLASSES, parts, strict=True)), TOTAL: row["cost"]},
        estimated=row["guessed"],
        later_tokens={**late, TOTAL: sum(late.values())},
    )


def _begin(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
