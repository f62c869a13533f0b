"""Names that a provider bills at another model's price. Only an approved row counts; nothing is guessed."""

import re
from collections.abc import Iterable
from datetime import datetime

from aiinfra import epochs
from aiinfra.timed_cache import TimedCache
from cost_app.models import ModelAlias, ProposalState

SNAPSHOT = re.compile(r"(?P<family>.+?)(?:[-@](?:\d{4}-\d{2}-\d{2}|\d{8}|\d{4})|-latest|-\d{3,4}-preview)")
"""`gpt-4o-2024-08-06`, `claude-haiku-4-5-20251001`, `gpt-4-0613`, `claude-3-opus-latest`."""


def priced_as(provider: str, name: str, at: datetime) -> str:
    """The model whose price applies to a name at an instant, by its approved alias row; "" for a name without one."""
    return alias_among(_approved.of(provider), name, at)


def targets_of(models: Iterable[tuple[str, str]], at: datetime) -> dict[tuple[str, str], tuple[str, str]]:
    """Which of these (provider, model) pairs are aliases at an instant, each with the pair whose price applies."""
    named = {(provider, model): priced_as(provider, model, at) for provider, model in models}
    return {(provider, model): (provider, target) for (provider, model), target in named.items() if target}


def aliases_in_force(at: datetime) -> dict[tuple[str, str], str]:
    """Every (provider, alias) with the model whose price it has at an instant."""
    begun = ModelAlias.objects.filter(state=ProposalState.APPROVED, effective_from__lte=at).order_by("effective_from")
    newest = {(provider, alias): model for provider, alias, model in begun.values_list("provider", "alias", "model")}
    return {alias: model for alias, model in newest.items() if model}


def alias_among(rows: Iterable[ModelAlias], name: str, at: datetime) -> str:
    """Like `priced_as`, among a provider's approved rows."""
    begun = [row for row in rows if row.alias == name and row.effective_from <= at]
    return max(begun, key=lambda row: row.effective_from).model if begun else ""


def family_of(name: str) -> str:
    """The prefix of a snapshot's name: `gpt-4o` for `gpt-4o-2024-08-06`; "" for another name."""
    found = SNAPSHOT.fullmatch(name)
    return found["family"] if found else ""


def _read_approved(provider: str) -> list[ModelAlias]:
    return list(ModelAlias.objects.filter(provider=provider, state=ProposalState.APPROVED))


_approved = TimedCache(_read_approved, seconds=5, owner=lambda *_: epochs.INSTALLATION, keeps_empty=False)
forget_aliases = _approved.forget
