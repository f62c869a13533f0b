"""What a use of a provider's tool costs, besides tokens: lines of the price book, versioned like prices."""

from collections.abc import Iterable
from datetime import datetime

from django.utils import timezone

from aiinfra import epochs
from aiinfra.providers.base import TokenUsage
from aiinfra.timed_cache import TimedCache
from cost_app.models import ModelPrice, ProposalState, ToolFee


def fees_of(provider: str, model: str, at: datetime | None = None) -> dict[str, int]:
    """Nano-dollars per use by tool at an instant, now by default; a model's own fee takes precedence.

    A provider's lines are cached in process for 5 s.
    """
    return fees_among(_lines.of(provider), model, at or timezone.now())


def fees_among(lines: Iterable[ToolFee], model: str, at: datetime) -> dict[str, int]:
    """Like `fees_of`, among a provider's lines."""
    held = [row for row in lines if row.model in ("", model) and row.effective_from <= at]
    ordered = sorted(held, key=lambda row: (bool(row.model), row.effective_from))
    return {row.tool: row.nano_per_use for row in ordered}


def unpriced_tools(usage: TokenUsage, price: ModelPrice, at: datetime | None = None) -> list[str]:
    """The tools of a usage without a fee in the book, sorted: `cost_of` counts only tokens for them."""
    used = {tool for tool, uses in usage.tool_uses.items() if uses}
    if not used:
        return []
    return sorted(used - set(fees_of(price.provider, price.model, at)))


def _read_lines(provider: str) -> list[ToolFee]:
    return list(ToolFee.objects.filter(provider=provider, state=ProposalState.APPROVED))


_lines = TimedCache(_read_lines, seconds=5, owner=lambda *_: epochs.INSTALLATION, keeps_empty=False)
forget_fees = _lines.forget
