"""Which provider and model for a kind of request: one answer with its reasons, and the next best models.

How the models are ranked:

1. Only models that the organization allows for the class (`candidates`), with a price and a configured provider.
2. Capability floor: complex requests are not sent to the cheapest tier (answers below $1 per million tokens), unless
   the organization's policy names the model for that class.
3. Behind all others: models whose circuit is open, that a budget has no room for, or of which more than one call in
   five failed.
4. The rest by `w x log(latency) + (1 - w) x log(cost)`, both of one answered call: each is divided by the share of
   calls that succeed. `w` grows with the priority: low 0, normal 0.3, high 0.6, critical 0.8. Logarithms, so that half
   the time weighs like half the cost.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import log

from aiinfra.money import dollars
from aiinfra.providers.base import TokenUsage
from cost_app.models import ModelPrice, RequestClass
from cost_app.prices.limits import expected_latency_ms, provider_limits
from cost_app.prices.lookup import ModelNotPricedError, price_of
from cost_app.prices.pricing import cost_of
from cost_app.recommendations import measurements
from cost_app.recommendations.candidates import allowed_models, candidates
from cost_app.recommendations.measurements import Measures
from cost_app.recommendations.pricing import Model

LATENCY_WEIGHTS = {"low": 0.0, "normal": 0.3, "high": 0.6, "critical": 0.8}
CHEAPEST_TIER_NANO = 1_000_000_000
"""Nano-dollars per million tokens of output: a lower price means the cheapest tier."""
TOO_MANY_ERRORS = 0.2
LONGEST_RETRIED = 0.9
"""A model that always fails is ranked as if one call in ten succeeded."""


class NoModelError(LookupError):
    """The organization allows no model for the class that has a price and a configured provider."""


@dataclass(frozen=True)
class Option:
    """A model. The cost is per call in nano-dollars, the latency its mean in ms."""

    provider: str
    model: str
    cost_nano: int
    latency_ms: int
    latency_is_measured: bool
    error_rate: float | None
    problems: tuple[str, ...] = ()
    score: float = 0.0

    @property
    def name(self) -> str:
        """`provider/model`."""
        return f"{self.provider}/{self.model}"

    @property
    def error_percent(self) -> float | None:
        """Percent of its calls that failed; None if too few are known."""
        return None if self.error_rate is None else 100 * self.error_rate


@dataclass(frozen=True)
class Choice:
    """The result. `known` and `assumed` say which of the figures were measured."""

    best: Option
    reasoning: str
    alternatives: Sequence[Option]
    known: Sequence[str] = field(default_factory=list)
    assumed: Sequence[str] = field(default_factory=list)


def get_optimal_provider(organization_id: int, request_type: str, priority: str = "normal") -> Choice:
    """The model to send a request to; `request_type` is simple, complex or creative.

    About ten small queries and one Redis call, none of which grows with the ledger. Raises NoModelError, and ValueError
    for an unknown type or priority.
    """
    request_class, weight = RequestClass(request_type), _weight(priority)
    prices, floor = _capable(organization_id, request_class)
    if not prices:
        raise NoModelError(f"No allowed model has a price and a configured provider for {request_class} requests.")
    usage = measurements.usage_of_class(organization_id, request_class)
    options = _options(organization_id, prices, usage or measurements.ASSUMED_USAGE)
    ranked = sorted(
        (_scored(each, weight) for each in options), key=lambda each: (bool(each.problems), each.score, each.name)
    )
    known, assumed = _sources(ranked[0], request_class, usage)
    return Choice(ranked[0], _reasoning(ranked, request_class, priority, floor), ranked[1:], known, assumed)


def _weight(priority: str) -> float:
    if priority not in LATENCY_WEIGHTS:
        raise ValueError(f"Unknown priority {priority!r}.")
    return LATENCY_WEIGHTS[priority]


def _capable(organization_id: int, request_class: RequestClass) -> tuple[dict[Model, ModelPrice], str]:
    """The models above the floor with their current price, and a note about it. All models if all are below it."""
    prices = {model: price for model in candidates(organization_id, request_class) if (price := _price_now(model))}
    if request_class != RequestClass.COMPLEX:
        return prices, ""
    named = allowed_models(organization_id, request_class, only_named=True) or set()
    capable = {model: price for model, price in prices.items() if model in named or price.output >= CHEAPEST_TIER_NANO}
    if not capable:
        return prices, "Every allowed model is of the cheapest tier, which is not recommended for complex requests."
    left_out = len(prices) - len(capable)
    return capable, f"{left_out} of the cheapest tier left out because the request is complex." if left_out else ""


def _price_now(model: Model) -> ModelPrice | None:
    try:
        return price_of(*model)
    except ModelNotPricedError:
        return None


def _options(organization_id: int, prices: dict[Model, ModelPrice], usage: TokenUsage) -> list[Option]:
    measures = measurements.measures_of_models(organization_id)
    limits = provider_limits()
    circuits = measurements.open_circuits()
    windows = measurements.windows_that_refuse(organization_id)
    return [
        _option(
            model,
            cost_of(usage, price),
            measures.get(model, Measures()),
            expected_ms=expected_latency_ms(limits, *model),
            is_open=model in circuits,
            free_nano=measurements.free_nano(windows, model),
        )
        for model, price in prices.items()
    ]


def _option(
    model: Model, cost_nano: int, measures: Measures, *, expected_ms: int, is_open: bool, free_nano: int | None
) -> Option:
    problems = {
        "its circuit is open after repeated failures": is_open,
        "a budget has no room for the call": free_nano is not None and free_nano < cost_nano,
        f"{measures.error_rate or 0:.0%} of its calls failed within {measurements.DAYS} days": (
            (measures.error_rate or 0) > TOO_MANY_ERRORS
        ),
    }
    latency_ms = measures.latency_ms
    return Option(
        *model,
        cost_nano=cost_nano,
        latency_ms=expected_ms if latency_ms is None else latency_ms,
        latency_is_measured=latency_ms is not None,
        error_rate=measures.error_rate,
        problems=tuple(text for text, is_so in problems.items() if is_so),
    )


def _scored(option: Option, weight: float) -> Option:
    succeeds = 1 - min(option.error_rate or 0.0, LONGEST_RETRIED)
    latency, cost = max(option.latency_ms, 1) / succeeds, max(option.cost_nano, 1) / succeeds
    return replace(option, score=weight * log(latency) + (1 - weight) * log(cost))


def _reasoning(ranked: Sequence[Option], request_class: RequestClass, priority: str, floor: str) -> str:
    best = ranked[0]
    said = [
        f"{best.name} is the best of {len(ranked)} for {request_class} requests of {priority} priority: about "
        f"${dollars(best.cost_nano)} and {best.latency_ms} ms per call."
    ]
    cheapest, fastest = min(ranked, key=lambda each: each.cost_nano), min(ranked, key=lambda each: each.latency_ms)
    if best.cost_nano > cheapest.cost_nano:
        why = f", but {cheapest.problems[0]}" if cheapest.problems else ""
        said.append(f"{cheapest.name} costs less{why}.")
    if best.latency_ms > fastest.latency_ms:
        why = f", but {fastest.problems[0]}" if fastest.problems else ""
        said.append(f"{fastest.name} answers faster{why}.")
    if best.problems:
        said.append(f"Every model has a problem. For this one, {' and '.join(best.problems)}.")
    return " ".join([*said, floor] if floor else said)


def _sources(best: Option, request_class: RequestClass, usage: TokenUsage | None) -> tuple[list[str], list[str]]:
    known, assumed = ["Prices: current prices in the price book."], []
    if usage:
        known.append(
            f"Tokens: the median of your own {request_class} requests, {usage.input} in and {usage.output} out."
        )
    else:
        assumed.append(f"Tokens: 500 in and 300 out, because you have sent too few {request_class} requests.")
    if best.latency_is_measured:
        known.append(f"Latency: the mean of your own calls to {best.name} within {measurements.DAYS} days.")
    else:
        assumed.append(
            f"Latency: the expected {best.latency_ms} ms, because too few calls to {best.name} have been measured."
        )
    if best.error_rate is None:
        assumed.append(f"Errors: none, because you have sent too few calls to {best.name}.")
    else:
        known.append(f"Errors: {best.error_rate:.1%} of your calls within {measurements.DAYS} days failed.")
    known.append("Budgets and allowed models: current settings.")
    assumed.append("Circuits: closed unless Redis reports an open one.")
    return known, assumed
