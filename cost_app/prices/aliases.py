"""Names that a provider bills at another model's price. Only an approved row counts; nothing is guessed."""

import re
import time
from collections.abc import Iterable
from datetime import datetime

from cost_app.models import ModelAlias, ProposalState

CACHE_SECONDS = 5
SNAPSHOT = re.compile(r"(?P<family>.+?)(?:[-@](?:\d{4}-\d{2}-\d{2}|\d{8}|\d{4})|-latest|-\d{3,4}-preview)")
"""`gpt-4o-2024-08-06`, `claude-haiku-4-5-20251001`, `gpt-4-0613`, `claude-3-opus-latest`."""

_cache: dict[str, tuple[float, list[ModelAlias]]] = {}


def priced_as(provider: str, name: str, at: datetime) -> str:
    """The model whose price a name has at an instant, by its approved alias row; "" for a name without one."""
    return alias_among(_approved(provider), name, at)


def targets_of(models: Iterable[tuple[str, str]], at: datetime) -> dict[tuple[str, str], tuple[str, str]]:
    """Those of some (provider, model) pairs that are aliases at an instant, each with the pair whose price it has."""
    named = {(provider, model): priced_as(provider, model, at) for provider, model in models}
    return {(provider, model): (provider, target) for (provider, model), target in named.items() if target}


def alias_among(rows: Iterable[ModelAlias], name: str, at: datetime) -> str:
    """The same among a provider's approved rows."""
    begun = [row for row in rows if row.alias == name and row.effective_from <= at]
    return max(begun, key=lambda row: row.effective_from).model if begun else ""


def family_of(name: str) -> str:
    """What the name of a snapshot begins with: `gpt-4o` for `gpt-4o-2024-08-06`; "" for another name."""
    found = SNAPSHOT.fullmatch(name)
    return found["family"] if found else ""


def forget_aliases() -> None:
    """Read every alias again at its next use."""
    _cache.clear()


def _approved(provider: str) -> list[ModelAlias]:
    read_at, rows = _cache.get(provider, (0.0, []))
    if time.monotonic() - read_at > CACHE_SECONDS:
        rows = list(ModelAlias.objects.filter(provider=provider, state=ProposalState.APPROVED))
        if rows:
            _cache[provider] = (time.monotonic(), rows)
    return rows
