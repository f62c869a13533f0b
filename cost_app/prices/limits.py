"""How many calls per minute a provider accepts, and how fast it is expected to answer.

`queue_app.ordering.provider_limits` enforces the limits. One row covers a model, or all models of a provider that have
no row; those share it.
"""

from django.utils import timezone

from aiinfra.providers.registry import is_sandboxed
from cost_app.models import ProviderLimit
from cost_app.prices.aliases import aliases_in_force, priced_as

OTHER_LATENCY_MS = 1_800
"""For a model without an expected latency: the specification's figure for gpt-4."""


def rate_limits() -> dict[str, int | str]:
    """Calls per minute by `provider/model`, or `provider/` for its other models; 0 exempts a model from that one.

    An alias without a separate limit uses the name of the model whose limit it shares. A shipped limit is that of the
    real provider. The sandbox keeps to a limit only once staff has saved it.
    """
    rows = ProviderLimit.objects.all()
    own = {row.name: row.requests_per_minute or 0 for row in rows if row.changed_by or not is_sandboxed(row.provider)}
    named = {
        f"{provider}/{alias}": f"{provider}/{model}"
        for (provider, alias), model in aliases_in_force(timezone.now()).items()
    }
    return {alias: name for alias, name in named.items() if name in own} | own


def provider_limits() -> dict[str, ProviderLimit]:
    """Every row by `provider/model`, or `provider/`."""
    return {row.name: row for row in ProviderLimit.objects.order_by("provider", "model")}


def expected_latency_ms(limits: dict[str, ProviderLimit], provider: str, model: str) -> int:
    """The expected latency of a model: its own, that of its alias, its provider's, or `OTHER_LATENCY_MS`."""
    names = (model, priced_as(provider, model, timezone.now()), "")
    rows = [limits.get(f"{provider}/{name}") for name in names]
    return next((row.expected_latency_ms for row in rows if row and row.expected_latency_ms), OTHER_LATENCY_MS)
