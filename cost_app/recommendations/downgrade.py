"""Which model a call falls back to when a budget is nearly used up."""

from collections.abc import Sequence
from typing import Any

from cost_app.models import RequestClass
from cost_app.prices.pricing import unit_prices
from cost_app.recommendations.candidates import candidates
from cost_app.recommendations.pricing import Model, WeeklyPrices, weekly_prices

BYTES_PER_TOKEN = 4
"""Of English text; accurate enough to order models by the cost of a call."""


def cheapest_allowed(
    organization_id: int, request_class: RequestClass, than: Model, messages: Sequence[dict[str, Any]], max_tokens: int
) -> list[Model]:
    """The models that the organization allows for the class and that cost less for this call, cheapest first.

    Each is priced at the highest price of its week, because the call may wait. Empty if there is none, or if `than`
    itself has no price. Two to four small queries: only for calls that a budget would otherwise refuse.
    """
    own = weekly_prices([than]).get(than)
    if own is None:
        return []
    prompt = sum(len(str(message.get("content", "")).encode("utf-8", "replace")) for message in messages)
    costs = {
        model: _most(prices, prompt // BYTES_PER_TOKEN, max_tokens)
        for model, prices in candidates(organization_id, request_class).items()
    }
    limit = _most(own, prompt // BYTES_PER_TOKEN, max_tokens)
    return sorted((model for model in costs if costs[model] < limit), key=lambda model: (costs[model], model))


def _most(prices: WeeklyPrices, prompt: int, output: int) -> int:
    unit = unit_prices(prices.most_expensive, prompt)
    return prompt * unit.input + output * unit.output
