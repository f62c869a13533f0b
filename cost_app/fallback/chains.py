"""The fallback chain of a model: the organization's own, or a default derived from the price book.

How the default is derived:

1. Candidates are the chat models that the organization may use: those that its policy allows for every request class
   of the requested model. Without a policy: the built-in models and those used in the last 30 days. Each needs a price
   in force and a configured provider. Embedding models are never candidates.
2. The same tier. Prices are compared at the week's most expensive hours, with three input tokens per output token. A
   candidate costs at most `PRICE_INCREASE_MAX` times the requested model and at least 1/`PRICE_DECREASE_MAX` of it. A
   model of the economy tier (output below $1 per million tokens) never replaces a more expensive one.
3. One model per provider, the closest in price, because a provider's outage affects all of its models.
4. Other providers come first, then the closest price, up to `DEFAULT_STEPS` steps. Ties are broken by name.

A chain belongs to the requested model and is never followed into another chain, so chains cannot form a cycle.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from aiinfra.providers.models import FallbackOptOut, FallbackRoute
from aiinfra.providers.registry import is_configured, provider_names
from cost_app.models import RequestClass
from cost_app.policy import policy_of
from cost_app.prices.lookup import priced_models
from cost_app.recommendations.candidates import familiar_models
from cost_app.recommendations.pricing import Model, WeeklyPrices, weekly_prices, weight_of
from cost_app.recommendations.provider_choice import CHEAPEST_TIER_NANO

DEFAULT_STEPS = 3
PRICE_INCREASE_MAX = 5
"""An outage must not multiply the bill: the maximum price of a default step, as a multiple of the requested model's."""
PRICE_DECREASE_MAX = 10
"""A model cheaper than this fraction of the price is not considered comparable."""
EVERY_MODEL = ("", "")
"""The opt-out that applies to all models."""


class Source(StrEnum):
    """Where a chain comes from."""

    CUSTOM = "custom"
    DEFAULT = "default"
    OFF = "off"


@dataclass(frozen=True)
class Step:
    """One model of a chain. Steps with a `problem` are skipped."""

    provider: str
    model: str
    price_percent: int | None = None
    """Its price in percent of the requested model's."""
    problem: str = ""

    @property
    def name(self) -> str:
        """`provider/model`."""
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True)
class Chain:
    """The models tried after a model, in order."""

    provider: str
    model: str
    source: Source
    steps: Sequence[Step]

    @property
    def name(self) -> str:
        """`provider/model` of the model that was requested."""
        return f"{self.provider}/{self.model}"

    @property
    def version(self) -> str:
        """Changes with the chain. Forms send it back, so that no one overwrites a change they haven't seen."""
        return " ".join([self.source, *(step.name for step in self.steps)])


def fallback_chain(organization_id: int, provider: str, model: str) -> list[Model]:
    """The (provider, model) pairs to try after `provider`/`model`, in order, limited to those that can be called now.

    Three small queries for an organization's own chain, five for a default one, and two more where aliases are named.
    """
    chain = effective_chain(organization_id, provider, model)
    return [(step.provider, step.model) for step in chain.steps if not step.problem]


def effective_chain(organization_id: int, provider: str, model: str) -> Chain:
    """The effective chain of one model."""
    asked = (provider, model)
    own = _own_steps(organization_id, [asked]).get(asked)
    if own:
        return _custom(asked, own, weekly_prices([asked, *own]), set(priced_models(own)))
    if _opt_outs(organization_id, [asked]):
        return Chain(*asked, Source.OFF, [])
    return Candidates.of(organization_id, [asked]).default_chain(asked)


def effective_chains(organization_id: int) -> list[Chain]:
    """The chains of the models that the organization uses or has configured, by name. Six queries, whatever the number
    of models.
    """
    own, opt_outs = _own_steps(organization_id), _opt_outs(organization_id)
    configured = {*own, *opt_outs} - {EVERY_MODEL}
    named = {*configured, *(step for steps in own.values() for step in steps)}
    candidates = Candidates.of(organization_id, named)
    priced = set(priced_models(named | candidates.usable))
    chains = []
    for asked in sorted(configured | (candidates.usable & priced)):
        if asked in own:
            chains.append(_custom(asked, own[asked], candidates.prices, priced))
        elif asked in opt_outs or EVERY_MODEL in opt_outs:
            chains.append(Chain(*asked, Source.OFF, []))
        else:
            chains.append(candidates.default_chain(asked))
    return chains


def defaults_are_on(organization_id: int) -> bool:
    """Whether models without their own chain use the default one."""
    return EVERY_MODEL not in _opt_outs(organization_id, [])


@dataclass(frozen=True)
class Candidates:
    """Candidates for one organization's default chains."""

    usable: set[Model]
    classes: dict[Model, set[str]] | None
    """The request classes that the policy allows per model. None if it allows all."""
    prices: dict[Model, WeeklyPrices]

    @classmethod
    def of(cls, organization_id: int, others: Iterable[Model]) -> "Candidates":
        """Read the candidates, and the prices of `others`. At most three queries."""
        classes = _allowed_classes(organization_id)
        named = set(classes) if classes is not None else familiar_models(organization_id)
        configured = set(provider_names())
        usable = {model for model in named if model[0] in configured}
        return cls(usable, classes, weekly_prices({*usable, *others}))

    def default_chain(self, asked: Model) -> Chain:
        """The derived chain. Empty for a model without a price or with a price of zero."""
        if asked not in self.prices:
            return Chain(*asked, Source.DEFAULT, [])
        fitting = [model for model in self.usable if self._fits(model, asked)]
        closest: dict[str, Model] = {}
        for model in sorted(fitting, key=lambda each: (self._distance(each, asked), each)):
            closest.setdefault(model[0], model)
        ordered = sorted(closest.values(), key=lambda each: (each[0] == asked[0], self._distance(each, asked), each))
        steps = [Step(*model, _percent(self.prices, model, asked)) for model in ordered[:DEFAULT_STEPS]]
        return Chain(*asked, Source.DEFAULT, steps)

    def _fits(self, model: Model, asked: Model) -> bool:
        if model == asked or model not in self.prices:
            return False
        if self.classes is not None and not self.classes[model] >= self.classes.get(asked, set()):
            return False
        price, own = self.prices[model].most_expensive, self.prices[asked].most_expensive
        if price.output < CHEAPEST_TIER_NANO <= own.output:
            return False
        return (
            weight_of(own) <= weight_of(price) * PRICE_DECREASE_MAX
            and weight_of(price) <= weight_of(own) * PRICE_INCREASE_MAX
        )

    def _distance(self, model: Model, asked: Model) -> int:
        """How many times more or less expensive, in thousandths: half the price is as far away as twice the price."""
        one, other = weight_of(self.prices[model].most_expensive), weight_of(self.prices[asked].most_expensive)
        return 1_000 * max(one, other) // min(one, other)


def _allowed_classes(organization_id: int) -> dict[Model, set[str]] | None:
    entries = policy_of(organization_id).allowed_models
    if not entries:
        return None
    classes: dict[Model, set[str]] = defaultdict(set)
    for entry in entries:
        classes[entry["provider"], entry["model"]].update(entry.get("classes") or RequestClass.values)
    return classes


def _custom(asked: Model, steps: Iterable[Model], prices: dict[Model, WeeklyPrices], priced: set[Model]) -> Chain:
    others = [step for step in steps if step != asked]
    shown = [Step(*step, _percent(prices, step, asked), _problem(step, priced)) for step in others]
    return Chain(*asked, Source.CUSTOM, shown)


def _problem(step: Model, priced: set[Model]) -> str:
    if not is_configured(step[0]):
        return f"the provider {step[0]} is not configured"
    return "" if step in priced else "no price in the price book"


def _percent(prices: dict[Model, WeeklyPrices], model: Model, asked: Model) -> int | None:
    if model not in prices or asked not in prices:
        return None
    return 100 * weight_of(prices[model].most_expensive) // weight_of(prices[asked].most_expensive)


def _own_steps(organization_id: int, models: Sequence[Model] | None = None) -> dict[Model, list[Model]]:
    """The stored steps by model, each step once; of all models by default."""
    routes = FallbackRoute.objects.filter(organization_id=organization_id)
    for provider, model in models or []:
        routes = routes.filter(provider=provider, model=model)
    found: dict[Model, list[Model]] = defaultdict(list)
    for route in routes.order_by("provider", "model", "position"):
        step = (route.to_provider, route.to_model)
        if step not in found[route.provider, route.model]:
            found[route.provider, route.model].append(step)
    return found


def _opt_outs(organization_id: int, models: Sequence[Model] | None = None) -> set[Model]:
    """The opt-outs of these models, or all of them. Always includes the one that applies to all models."""
    rows = FallbackOptOut.objects.filter(organization_id=organization_id)
    if models is not None:
        rows = rows.filter(model__in=["", *(model for _, model in models)])
    found = set(rows.values_list("provider", "model"))
    return found if models is None else found & {EVERY_MODEL, *models}
