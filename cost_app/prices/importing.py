"""Compares the price book with a source, and imports what needs no decision.

The book is never overwritten: if a source differs, or knows more about a model in the book, a proposal waits for a
person. Only prices of models that are not in the book at all may be added immediately.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby

from django.db import transaction
from django.utils import timezone

from aiinfra import epochs
from cost_app.models import ModelAlias, ModelPrice, PriceProposal, PriceTier, ProposalState
from cost_app.prices.shipped import EFFECTIVE_FROM
from cost_app.prices.source import SourcePrice, read_snapshots, read_source, source_name
from cost_app.prices.terms import PriceTerms

Key = tuple[str, str, str, str]


class PriceVerdict(StrEnum):
    """How the source's price compares with the book's."""

    NEW = "new"
    SAME = "same"
    DIFFERS = "differs"
    BY_HAND = "kept by hand"
    REJECTED = "rejected before"


@dataclass(frozen=True)
class PriceDifference:
    """One line of the comparison: a model's price in one tier. `theirs` is empty for prices that are kept by hand."""

    provider: str
    model: str
    tier: str
    verdict: PriceVerdict
    ours: ModelPrice | None = None
    theirs: SourcePrice | None = None


@dataclass(frozen=True)
class _Book:
    """What the comparison needs, read in two queries."""

    versions: dict[Key, list[ModelPrice]]
    rejected: dict[Key, list[PriceProposal]]
    models: set[tuple[str, str]]
    with_windows: set[tuple[str, str]]

    def price_at(self, key: Key, instant: datetime) -> ModelPrice | None:
        held = [row for row in self.versions.get(key, []) if row.effective_from <= instant and _is_open(row, instant)]
        return max(held, key=lambda row: row.effective_from, default=None)


def proposed_aliases() -> list[ModelAlias]:
    """The aliases that wait for a decision, and those that an import would propose, by name."""
    waiting = ModelAlias.objects.filter(state=ProposalState.WAITING)
    return sorted([*waiting, *_new_aliases()], key=lambda row: (row.provider, row.alias))


def compare() -> list[PriceDifference]:
    """The whole table, sorted by name; changes nothing."""
    prices, by_hand = read_source()
    return _compare(prices, by_hand, _read_book())


@transaction.atomic
def import_prices(*, actor: str, approve_new: bool = False) -> list[PriceDifference]:
    """Compare, and create proposals for prices and aliases; withdraws those that the source no longer makes.

    With `approve_new`, all versions of models that are not in the book are added instead. Idempotent.
    """
    prices, by_hand = read_source()
    book = _read_book()
    table = _compare(prices, by_hand, book)
    if approve_new:
        _add_new([price for price in prices if price.terms.key[:2] not in book.models], actor)
    _propose([line for line in table if not approve_new or (line.provider, line.model) in book.models])
    ModelAlias.objects.bulk_create(_new_aliases(), ignore_conflicts=True)
    epochs.change(None)
    return table


def import_once() -> bool:
    """Import new models unless this version of the source was read; then False, after a query or two."""
    if any(table.objects.filter(source=source_name()).exists() for table in (ModelPrice, PriceProposal)):
        return False
    import_prices(actor="command:run", approve_new=True)
    return True


def _compare(prices: list[SourcePrice], by_hand: list[tuple[str, str]], book: _Book) -> list[PriceDifference]:
    table = [PriceDifference(provider, model, PriceTier.STANDARD, PriceVerdict.BY_HAND) for provider, model in by_hand]
    for key, versions in groupby(prices, lambda price: price.terms.key):
        table.append(_difference(key, list(versions), book))
    return sorted(table, key=lambda line: (line.provider, line.model, line.tier))


def _add_new(prices: Iterable[SourcePrice], actor: str) -> None:
    rows = [row for _, group in groupby(prices, lambda price: price.terms.key) for row in _history(list(group), actor)]
    ModelPrice.objects.bulk_create(rows, ignore_conflicts=True)
    epochs.change(None)


def _history(versions: list[SourcePrice], actor: str) -> Iterator[ModelPrice]:
    """Each version ends where the next one begins."""
    ends = [*(later.effective_from for later in versions[1:]), None]
    for price, end in zip(versions, ends, strict=True):
        price.terms.check()
        yield ModelPrice(**price.terms.columns, effective_from=price.effective_from, effective_to=end, added_by=actor)


def _propose(table: list[PriceDifference]) -> None:
    """One proposal per price. Pending rows follow the source, except those that a person proposed."""
    waiting = {PriceTerms.of(row).key: row for row in PriceProposal.objects.filter(state=ProposalState.WAITING)}
    by_people = {key for key, row in waiting.items() if row.proposed_by}
    for line in table:
        if (
            line.theirs
            and line.theirs.terms.key not in by_people
            and line.verdict in (PriceVerdict.NEW, PriceVerdict.DIFFERS)
        ):
            old = waiting.pop(line.theirs.terms.key, None)
            if old is None or not PriceTerms.of(old).costs_as(line.theirs.terms):
                _store(line, old)
    PriceProposal.objects.filter(pk__in=[row.pk for row in waiting.values()], proposed_by="").delete()


def _store(line: PriceDifference, old: PriceProposal | None) -> None:
    """A price without a date, or with one that is not later than the book's version, applies from now."""
    if line.theirs is None:
        return
    begin, now = line.theirs.effective_from, timezone.now()
    if line.ours is not None and begin <= line.ours.effective_from:
        begin = now
    row = PriceProposal(**line.theirs.terms.columns, effective_from=begin, replaces=line.ours, created_at=now)
    row.pk = old.pk if old else None
    row.save()


def _new_aliases() -> list[ModelAlias]:
    """Snapshots of priced models that have no separate price. A decided name is not proposed again."""
    priced = set(ModelPrice.objects.values_list("provider", "model"))
    known = priced | set(ModelAlias.objects.values_list("provider", "alias"))
    return [
        ModelAlias(provider=provider, alias=alias, model=model, source=source_name(), effective_from=EFFECTIVE_FROM)
        for provider, alias, model in read_snapshots()
        if (provider, model) in priced and (provider, alias) not in known
    ]


def _read_book() -> _Book:
    versions: dict[Key, list[ModelPrice]] = {}
    rejected: dict[Key, list[PriceProposal]] = {}
    for row in ModelPrice.objects.all():
        versions.setdefault(PriceTerms.of(row).key, []).append(row)
    for proposal in PriceProposal.objects.filter(state=ProposalState.REJECTED):
        rejected.setdefault(PriceTerms.of(proposal).key, []).append(proposal)
    models = {key[:2] for key in versions}
    return _Book(versions, rejected, models, {key[:2] for key in versions if key[3]})


def _difference(key: Key, versions: list[SourcePrice], book: _Book) -> PriceDifference:
    """Of the current price and the announced ones, the first that differs from the book."""
    provider, model, tier, _ = key
    if (provider, model) in book.with_windows:
        return PriceDifference(provider, model, tier, PriceVerdict.BY_HAND)
    now = timezone.now()
    for price in _from_now_on(versions, now):
        ours = book.price_at(key, max(now, price.effective_from))
        if ours is None or not PriceTerms.of(ours).costs_as(price.terms):
            return PriceDifference(
                provider, model, tier, _verdict(ours, price, book.rejected.get(key, [])), ours, price
            )
    return PriceDifference(provider, model, tier, PriceVerdict.SAME, book.price_at(key, now), versions[-1])


def _verdict(ours: ModelPrice | None, price: SourcePrice, rejected: list[PriceProposal]) -> PriceVerdict:
    if any(PriceTerms.of(row).costs_as(price.terms) for row in rejected):
        return PriceVerdict.REJECTED
    return PriceVerdict.NEW if ours is None else PriceVerdict.DIFFERS


def _from_now_on(versions: list[SourcePrice], now: datetime) -> Iterator[SourcePrice]:
    past = [price for price in versions if price.effective_from <= now]
    yield from [*past[-1:], *versions[len(past) :]]


def _is_open(row: ModelPrice, instant: datetime) -> bool:
    return row.effective_to is None or instant < row.effective_to
