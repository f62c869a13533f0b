"""Adds versions to the price book, by hand or from a proposal. Existing versions never change."""

from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from aiinfra.money import dollars
from aiinfra.tenants import audit
from aiinfra.tenants.staff import StaffRight, holders
from cost_app.models import ModelPrice, PriceProposal, ProposalState
from cost_app.prices.terms import AMOUNTS, PriceError, PriceTerms


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
        raise PriceError("A version already starts at this time.") from error
    _record("price.added", version, actor)
    return version


@transaction.atomic
def submit_version(*, terms: PriceTerms, effective_from: datetime, actor: str) -> ModelPrice | PriceProposal:
    """Add a version that a person entered, or propose it if another person may approve prices. Raises PriceError."""
    if not needs_second_person(actor):
        return add_version(terms=terms, effective_from=effective_from, actor=actor)
    terms.check()
    current = _same_price(terms).filter(effective_to=None).first()
    row = PriceProposal(**terms.columns, effective_from=effective_from, replaces=current, proposed_by=actor)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        raise PriceError("A proposal for this price is already pending.") from error
    _record("price.proposed", row, actor)
    return row


def needs_second_person(actor: str) -> bool:
    """Whether anyone else may approve prices; never for commands, whose users can change the database."""
    kind, _, name = actor.partition(":")
    return kind == "user" and holders(StaffRight.APPROVE_PRICES).exclude(username=name).exists()


@transaction.atomic
def approve(*, proposal: PriceProposal, actor: str) -> ModelPrice:
    """Add a proposal's price to the book.

    Raises AlreadyDecidedError, and PriceError, also if the person proposed it themselves and another could approve it.
    """
    if proposal.proposed_by == actor and needs_second_person(actor):
        raise PriceError("Another person must approve a price that you proposed.")
    _decide(proposal, ProposalState.APPROVED, actor)
    return add_version(terms=PriceTerms.of(proposal), effective_from=proposal.effective_from, actor=actor)


@transaction.atomic
def reject(*, proposal: PriceProposal, actor: str) -> None:
    """Leave the book unchanged; the same price is not proposed again. Raises AlreadyDecidedError."""
    _decide(proposal, ProposalState.REJECTED, actor)
    _record("price.rejected", proposal, actor)


def _record(verb: str, row: ModelPrice | PriceProposal, actor: str) -> None:
    terms = PriceTerms.of(row)
    dollars_per_million = {name: [None, dollars(getattr(row, name))] for name in AMOUNTS}
    changes = {**dollars_per_million, "from": [None, row.effective_from.isoformat()], "source": [None, row.source]}
    target = f"{terms.provider}/{terms.model} {terms.tier} {terms.window_name}".strip()
    audit.record(organization_id=None, actor=actor, verb=verb, target=target[:200], changes=changes)


def _same_price(terms: PriceTerms) -> QuerySet[ModelPrice]:
    provider, model, tier, window_name = terms.key
    return ModelPrice.objects.filter(provider=provider, model=model, tier=tier, window_name=window_name)


def _decide(proposal: PriceProposal, state: ProposalState, actor: str) -> None:
    waiting = PriceProposal.objects.filter(pk=proposal.pk, state=ProposalState.WAITING)
    if not waiting.update(state=state, decided_at=timezone.now(), decided_by=actor):
        raise AlreadyDecidedError("This price has already been decided.")
