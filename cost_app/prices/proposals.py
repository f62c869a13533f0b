"""Adds versions to the price book, by hand or from a proposal. Existing versions never change."""

from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from cost_app.models import ModelPrice, PriceProposal, ProposalState
from cost_app.prices.lookup import clear_price_cache
from cost_app.prices.terms import PriceError, PriceTerms


class AlreadyDecidedError(PriceError):
    """Another person has already decided."""


@transaction.atomic
def add_version(*, terms: PriceTerms, effective_from: datetime, actor: str) -> ModelPrice:
    """Add a version to the book; it applies from `effective_from`, which may be past, until the next one begins.

    Booked calls keep their price until their period is repriced. Raises PriceError.
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
        raise PriceError("a version already begins at this instant") from error
    transaction.on_commit(clear_price_cache)
    return version


@transaction.atomic
def approve(*, proposal: PriceProposal, actor: str) -> ModelPrice:
    """Add a proposal's price to the book. Raises AlreadyDecidedError and PriceError."""
    _decide(proposal, ProposalState.APPROVED, actor)
    return add_version(terms=PriceTerms.of(proposal), effective_from=proposal.effective_from, actor=actor)


@transaction.atomic
def reject(*, proposal: PriceProposal, actor: str) -> None:
    """Leave the book unchanged; the same price is not proposed again. Raises AlreadyDecidedError."""
    _decide(proposal, ProposalState.REJECTED, actor)


def _same_price(terms: PriceTerms) -> QuerySet[ModelPrice]:
    provider, model, tier, window_name = terms.key
    return ModelPrice.objects.filter(provider=provider, model=model, tier=tier, window_name=window_name)


def _decide(proposal: PriceProposal, state: ProposalState, actor: str) -> None:
    waiting = PriceProposal.objects.filter(pk=proposal.pk, state=ProposalState.WAITING)
    if not waiting.update(state=state, decided_at=timezone.now(), decided_by=actor):
        raise AlreadyDecidedError("this price has already been decided")
