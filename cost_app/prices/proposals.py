"""Changing the price book: a version is added, by hand or from a proposal. What is in the book stays as it is."""

from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from cost_app.models import ModelPrice, PriceProposal, ProposalState
from cost_app.prices.book import forget_prices
from cost_app.prices.terms import PriceError, PriceTerms


class AlreadyDecidedError(PriceError):
    """Somebody else was faster."""


@transaction.atomic
def add_version(*, terms: PriceTerms, effective_from: datetime, actor: str) -> ModelPrice:
    """Put a version into the book; it holds from `effective_from` on, which may be past, until the next one begins.

    Calls that are booked already keep their price until their period is re-priced. Raises PriceError.
    """
    terms.check()
    same = _same_price(terms)
    later = same.filter(effective_from__gt=effective_from).order_by("effective_from").first()
    same.filter(effective_from__lt=effective_from, effective_to=None).update(effective_to=effective_from)
    try:
        with transaction.atomic():
            version = ModelPrice.objects.create(
                **terms.columns,
                effective_from=effective_from,
                effective_to=later.effective_from if later else None,
                added_by=actor,
            )
    except IntegrityError as error:
        raise PriceError("there is a version that begins at this very instant") from error
    transaction.on_commit(forget_prices)
    return version


@transaction.atomic
def approve(*, proposal: PriceProposal, actor: str) -> ModelPrice:
    """Take a proposal's price into the book. Raises AlreadyDecidedError and PriceError."""
    _decide(proposal, ProposalState.APPROVED, actor)
    return add_version(terms=PriceTerms.of(proposal), effective_from=proposal.effective_from, actor=actor)


@transaction.atomic
def reject(*, proposal: PriceProposal, actor: str) -> None:
    """Leave the book as it is; the same price is not proposed again. Raises AlreadyDecidedError."""
    _decide(proposal, ProposalState.REJECTED, actor)


def _same_price(terms: PriceTerms) -> QuerySet[ModelPrice]:
    provider, model, tier, window_name = terms.key
    return ModelPrice.objects.filter(provider=provider, model=model, tier=tier, window_name=window_name)


def _decide(proposal: PriceProposal, state: ProposalState, actor: str) -> None:
    waiting = PriceProposal.objects.filter(pk=proposal.pk, state=ProposalState.WAITING)
    if not waiting.update(state=state, decided_at=timezone.now(), decided_by=actor):
        raise AlreadyDecidedError("somebody has decided on this price already")
