"""Data for the price book's pages."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from django.db.models import QuerySet
from django.utils import timezone

from cost_app.models import ModelPrice, PriceProposal, PriceTier, ProposalState
from cost_app.models.prices import PriceColumns
from cost_app.prices.lookup import in_force
from cost_app.prices.pricing import unit_prices
from cost_app.prices.terms import STEP_AMOUNTS, label_of
from cost_app.prices.windows import described, holds_at, parse_window

DECIDED_SHOWN = 20


@dataclass(frozen=True)
class Amount:
    """The price of a million tokens of a class, in nano-dollars; `long_nanos` for each length of long prompts."""

    label: str
    nano: int
    long_nanos: list[int]
    before_nano: int | None = None
    """For a proposal: the amount in the version that it replaces, if different."""


@dataclass(frozen=True)
class PriceRow:
    """A version or proposal, with its window in words."""

    price: PriceColumns
    amounts: list[Amount]
    hours: str
    is_now: bool
    """Whether the current hour is in the window."""
    state: str = ""


@dataclass(frozen=True)
class ProviderPrices:
    """The prices of one provider, by model."""

    provider: str
    rows: list[PriceRow]


def current_prices(*, provider: str = "", tier: str = "", text: str = "") -> list[PriceRow]:
    """The current prices, in all hours of the week, by provider and model; in one query."""
    prices = in_force().order_by("provider", "model", "tier", "window_name", "-effective_from")
    if provider:
        prices = prices.filter(provider=provider)
    if tier:
        prices = prices.filter(tier=tier)
    if text:
        prices = prices.filter(model__icontains=text)
    rows = [price_row(next(versions)) for _, versions in groupby(prices, _key)]
    rows.sort(key=lambda row: (row.price.provider, row.price.model, _tier_order(row.price)))
    return rows


def by_provider(rows: Iterable[PriceRow]) -> list[ProviderPrices]:
    """The rows of `current_prices`, or some of them, in a table for each provider."""
    return [ProviderPrices(name, list(each)) for name, each in groupby(rows, lambda row: row.price.provider)]


def price_history(provider: str, model: str) -> list[PriceRow]:
    """Every version of a model, by tier and hours, newest first; empty for a model that was never in the book."""
    versions = ModelPrice.objects.filter(provider=provider, model=model)
    ordered = sorted(versions.order_by("window_name", "-effective_from"), key=_tier_order)
    rows = []
    for _, group in groupby(ordered, _key):
        holds = False
        for version in group:
            state = _state(version, timezone.now(), is_superseded=holds)
            holds = holds or state == "active"
            rows.append(price_row(version, state))
    return rows


def price_row(price: PriceColumns, state: str = "", replaces: PriceColumns | None = None) -> PriceRow:
    """A version or proposal for the screen."""
    return PriceRow(
        price=price,
        amounts=[_amount(price, name, replaces) for name in STEP_AMOUNTS],
        hours=described(price.window),
        is_now=holds_at(parse_window(price.window), timezone.now()),
        state=state,
    )


def waiting_proposals() -> list[PriceRow]:
    """Proposals that await a decision."""
    proposals = PriceProposal.objects.filter(state=ProposalState.WAITING).select_related("replaces")
    return _proposal_rows(proposals.order_by("provider", "model", "tier"))


def decided_proposals() -> list[PriceRow]:
    """The most recent decisions."""
    proposals = PriceProposal.objects.exclude(state=ProposalState.WAITING).select_related("replaces")
    return _proposal_rows(proposals.order_by("-decided_at")[:DECIDED_SHOWN])


def providers_priced() -> list[str]:
    """Every provider in the book, as choices."""
    return list(ModelPrice.objects.order_by("provider").values_list("provider", flat=True).distinct())


def _proposal_rows(proposals: QuerySet[PriceProposal] | Iterable[PriceProposal]) -> list[PriceRow]:
    return [price_row(each, each.state, each.replaces) for each in proposals]


def _amount(price: PriceColumns, name: str, replaces: PriceColumns | None) -> Amount:
    nano = getattr(unit_prices(price, 0), name)
    before = getattr(unit_prices(replaces, 0), name) if replaces else None
    return Amount(
        label=label_of(name),
        nano=nano,
        long_nanos=[getattr(unit_prices(price, step["above"] + 1), name) for step in price.long_prompts],
        before_nano=before if before != nano else None,
    )


def _state(version: ModelPrice, now: datetime, *, is_superseded: bool) -> str:
    """`is_superseded`: a newer version of the same price applies."""
    if version.effective_from > now:
        return "announced"
    if is_superseded or (version.effective_to is not None and version.effective_to <= now):
        return "ended"
    return "active"


def _key(price: PriceColumns) -> tuple[str, str, str, str]:
    return price.provider, price.model, price.tier, price.window_name


def _tier_order(price: PriceColumns) -> int:
    return PriceTier.values.index(price.tier)
