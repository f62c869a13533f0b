"""How many calls per minute a provider accepts, and how fast it is expected to answer.

`queue_app.ordering.provider_limits` enforces the limits. One row covers a model, or all models of a provider that have
no row; those share it.
"""

from django.utils import timezone

from aiinfra.providers.registry import is_sandboxed
from cost_app.models import ProviderLimit
from cost_app.prices.aliases import priced_as

OTHER_LATENCY_MS = 1_800
"""For a model without an expected latency: the specification's figure for gpt-4."""


def rate_limits() -> dict[str, int]:
    """Calls per minute by `provider/model`, or `provider/` for its other models; 0 exempts a model from the latter.

    A shipped limit is that of the real provider. The sandbox applies a limit only once staff have saved it.
    """
    rows = ProviderLimit.objects.all()
    return {row.name: row.requests_per_minute or 0 for row in rows if row.changed_by or not is_sandboxed(row.provider)}


def provider_limits() -> dict[str, ProviderLimit]:
    """Every row by `provider/model`, or `provider/`."""
    return {row.name: row for row in ProviderLimit.objects.order_by("provider", "model")}


def expected_latency_ms(limits: dict[str, ProviderLimit], provider: str, model: str) -> int:
    """The expected latency of a model: its own, that of its alias, its provider's, or `OTHER_LATENCY_MS`."""
    names = (model, priced_as(provider, model, timezone.now()), "")
    rows = [limits.get(f"{provider}/{name}") for name in names]
    return next((row.expected_latency_ms for row in rows if row and row.expected_latency_ms), OTHER_LATENCY_MS)
