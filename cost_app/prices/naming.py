"""What staff add to the price book besides prices: aliases and tool fees. A second person approves them, as prices.

Each change is in the audit log.
"""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from aiinfra.money import dollars
from aiinfra.providers.registry import provider_names
from aiinfra.tenants import audit
from cost_app.models import ModelAlias, ModelPrice, ProposalState, ToolFee
from cost_app.prices.proposals import AlreadyDecidedError, needs_second_person
from cost_app.prices.terms import PriceError


def check_alias(row: ModelAlias) -> None:
    """Raise PriceError for an alias that would price nothing, or end nothing."""
    prices = ModelPrice.objects.filter(provider=row.provider)
    approved = ModelAlias.objects.filter(provider=row.provider, alias=row.alias, state=ProposalState.APPROVED)
    if row.model and not prices.filter(model=row.model).exists():
        raise PriceError(f"{row.provider}/{row.model} is not in the price book.")
    if prices.filter(model=row.alias).exists():
        raise PriceError(f"{row.provider}/{row.alias} has its own price, which takes precedence over an alias.")
    if not row.model and not approved.exists():
        raise PriceError(f"{row.provider}/{row.alias} is not an alias in effect.")
    if approved.filter(effective_from=row.effective_from).exists():
        raise PriceError("An alias with this name already starts at this time.")
    _check_pending(row, ModelAlias.objects.filter(provider=row.provider, alias=row.alias))


def check_fee(row: ToolFee) -> None:
    """Raise PriceError for a fee of an unknown provider or model, which would never be charged, and for a second one
    at the same instant.
    """
    same = ToolFee.objects.filter(provider=row.provider, model=row.model, tool=row.tool)
    if same.filter(state=ProposalState.APPROVED, effective_from=row.effective_from).exists():
        raise PriceError("A fee for this tool already starts at this time.")
    _check_pending(row, same)
    prices = ModelPrice.objects.filter(provider=row.provider)
    if row.model and not prices.filter(model=row.model).exists():
        raise PriceError(f"{row.provider}/{row.model} is not in the price book.")
    if row.provider not in provider_names() and not prices.exists():
        raise PriceError("Unknown provider.")


@transaction.atomic
def submit(*, row: ModelAlias | ToolFee, actor: str) -> None:
    """Save a new alias or fee: approved, or as a proposal if another person may approve it. Raises PriceError.

    An alias without a model ends the alias.
    """
    _check(row)
    if needs_second_person(actor):
        row.state, row.proposed_by = ProposalState.WAITING, actor
    else:
        row.state, row.decided_at, row.decided_by = ProposalState.APPROVED, timezone.now(), actor
    row.save(force_insert=True)
    _record(row, _verb_of(row), actor)


@transaction.atomic
def decide(*, row: ModelAlias | ToolFee, approved: bool, actor: str) -> None:
    """Approve or reject a pending alias or fee; a rejected alias is not proposed again by the import.

    Raises PriceError, also if the person proposed it themselves and another could approve it.
    """
    if approved and row.proposed_by == actor and needs_second_person(actor):
        raise PriceError("Another person must approve what you proposed.")
    if approved:
        _check(row)
    state = ProposalState.APPROVED if approved else ProposalState.REJECTED
    waiting = type(row)._default_manager.filter(pk=row.pk, state=ProposalState.WAITING)
    if not waiting.update(state=state, decided_at=timezone.now(), decided_by=actor):
        raise AlreadyDecidedError("This has already been decided.")
    _record(row, str(state), actor)


def end_alias(*, row: ModelAlias, actor: str) -> ModelAlias:
    """End an approved alias now, or propose it; returns the row that ends it. Raises PriceError."""
    if row.state != ProposalState.APPROVED or not row.model:
        raise PriceError("Only an approved alias can be ended.")
    end = ModelAlias(provider=row.provider, alias=row.alias, source=f"ended: {row.source}"[:200])
    submit(row=end, actor=actor)
    return end


def _check(row: ModelAlias | ToolFee) -> None:
    check_alias(row) if isinstance(row, ModelAlias) else check_fee(row)


def _check_pending(row: ModelAlias | ToolFee, same: "QuerySet[Any]") -> None:
    if same.filter(state=ProposalState.WAITING).exclude(pk=row.pk).exists():
        raise PriceError("A proposal for this name is pending: approve or reject it first.")


def _verb_of(row: ModelAlias | ToolFee) -> str:
    """What became of a new row."""
    if row.state == ProposalState.WAITING:
        return "proposed"
    return "ended" if isinstance(row, ModelAlias) and not row.model else "added"


def _record(row: ModelAlias | ToolFee, done: str, actor: str) -> None:
    changes = {"source": ["", row.source]}
    if isinstance(row, ToolFee):
        changes["dollars per use"] = ["", dollars(row.nano_per_use)]
    kind = "alias" if isinstance(row, ModelAlias) else "fee"
    audit.record(organization_id=None, actor=actor, verb=f"{kind}.{done}", target=str(row)[:200], changes=changes)
