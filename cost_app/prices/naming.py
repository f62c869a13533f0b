"""What staff add to the price book besides prices: aliases and tool fees. Each change is in the audit log."""

from django.db import transaction
from django.utils import timezone

from aiinfra.money import dollars
from aiinfra.providers.registry import provider_names
from aiinfra.tenants import audit
from cost_app.models import ModelAlias, ModelPrice, ProposalState, ToolFee
from cost_app.prices.proposals import AlreadyDecidedError
from cost_app.prices.terms import PriceError


def check_alias(row: ModelAlias) -> None:
    """Raise PriceError for an alias that would price nothing, or end nothing."""
    prices = ModelPrice.objects.filter(provider=row.provider)
    approved = ModelAlias.objects.filter(provider=row.provider, alias=row.alias, state=ProposalState.APPROVED)
    if row.model and not prices.filter(model=row.model).exists():
        raise PriceError(f"{row.provider}/{row.model} is not in the price book")
    if prices.filter(model=row.alias).exists():
        raise PriceError(f"{row.provider}/{row.alias} has its own price, which takes precedence over an alias")
    if not row.model and not approved.exists():
        raise PriceError(f"{row.provider}/{row.alias} is not an alias in effect")
    if approved.filter(effective_from=row.effective_from).exists():
        raise PriceError("an alias with this name already begins at this instant")


def check_fee(row: ToolFee) -> None:
    """Raise PriceError for a fee of an unknown provider or model: it would never be charged."""
    prices = ModelPrice.objects.filter(provider=row.provider)
    if row.model and not prices.filter(model=row.model).exists():
        raise PriceError(f"{row.provider}/{row.model} is not in the price book")
    if row.provider not in provider_names() and not prices.exists():
        raise PriceError("unknown provider")


@transaction.atomic
def add_alias(*, row: ModelAlias, actor: str) -> None:
    """Save a new alias, approved; one without a model ends the alias. Raises PriceError."""
    check_alias(row)
    row.state, row.decided_at, row.decided_by = ProposalState.APPROVED, timezone.now(), actor
    row.save(force_insert=True)
    _record(row, "alias.ended" if not row.model else "alias.added", actor)


@transaction.atomic
def decide_alias(*, row: ModelAlias, approved: bool, actor: str) -> None:
    """Approve or reject a pending alias; a rejected one is not proposed again. Raises PriceError."""
    if approved:
        check_alias(row)
    state = ProposalState.APPROVED if approved else ProposalState.REJECTED
    waiting = ModelAlias.objects.filter(pk=row.pk, state=ProposalState.WAITING)
    if not waiting.update(state=state, decided_at=timezone.now(), decided_by=actor):
        raise AlreadyDecidedError("this alias has already been decided")
    _record(row, f"alias.{state}", actor)


def end_alias(*, row: ModelAlias, actor: str) -> None:
    """End an approved alias now. Raises PriceError."""
    if row.state != ProposalState.APPROVED or not row.model:
        raise PriceError("only an approved alias can be ended")
    add_alias(row=ModelAlias(provider=row.provider, alias=row.alias, source=f"ended: {row.source}"[:200]), actor=actor)


@transaction.atomic
def add_fee(*, row: ToolFee, actor: str) -> None:
    """Save a new version of a tool's fee. Raises PriceError."""
    check_fee(row)
    row.added_by = actor
    row.save(force_insert=True)
    changes = {"dollars per use": ["", dollars(row.nano_per_use)], "source": ["", row.source]}
    _record(row, "fee.added", actor, changes)


def _record(row: ModelAlias | ToolFee, verb: str, actor: str, changes: dict[str, list[str]] | None = None) -> None:
    changes = changes or {"source": ["", row.source]}
    audit.record(organization_id=None, actor=actor, verb=verb, target=str(row)[:200], changes=changes)
