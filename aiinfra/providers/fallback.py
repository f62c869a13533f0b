"""Where a request goes when its first choice fails."""

from aiinfra.providers.models import FallbackRoute
from aiinfra.providers.registry import provider_names


def fallback_chain(organization_id: int, provider: str, model: str) -> list[tuple[str, str]]:
    """(provider, model) to try after `provider`/`model`, in order; only configured providers, each model once."""
    routes = FallbackRoute.objects.filter(organization_id=organization_id, provider=provider, model=model)
    steps = dict.fromkeys(routes.order_by("position").values_list("to_provider", "to_model"))
    configured = set(provider_names())
    return [step for step in steps if step[0] in configured and step != (provider, model)]
