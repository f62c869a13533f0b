"""Admits provider calls: books an attempt, and reserves money in every budget that counts it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from aiinfra.names import normal_name, normal_names
from aiinfra.plurals import plural
from cost_app.budgets.holds import reserve
from cost_app.budgets.refusals import BudgetExceededError
from cost_app.budgets.windows import OpenWindow, windows_for
from cost_app.models import Attempt, CostPolicy, Enforcement, ModelPrice, RequestClass, UnpricedModels
from cost_app.policy import policy_in_force
from cost_app.prices.lookup import ModelNotPricedError, price_of, prices_ahead, served_tiers
from cost_app.prices.pricing import bound_of, tokens_within
from cost_app.recommendations.classes import classify, fingerprints
from cost_app.recommendations.downgrade import cheapest_allowed


@dataclass(frozen=True)
class AttemptOrder:
    """What an attempt is opened for. `request_class` is the caller's own, "" to classify the request."""

    organization_id: int
    provider: str
    model: str
    messages: Sequence[dict[str, Any]]
    max_tokens: int
    service_tier: str | None = None
    """The tier that the client requests; another one may answer."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Everything else that is sent: tools and schemas are part of the prompt."""
    request_id: UUID | None = None
    number: int = 1
    api_key_id: int | None = None
    user_ref: str = ""
    tags: Sequence[str] = ()
    priority: int | None = None
    request_class: str = ""


@dataclass(frozen=True)
class Plan:
    """A call as it would be admitted now: its attempt, not yet stored, and the windows that count it."""

    order: AttemptOrder
    policy: CostPolicy
    attempt: Attempt
    windows: list[OpenWindow]

    @property
    def left_nano(self) -> int | None:
        """The room in the tightest budget that can refuse the call, None without one. Nano-dollars."""
        blocking = (each for each in self.windows if each.window.enforcement != Enforcement.WARN)
        return min((each.free_nano for each in blocking), default=None)


def plan(order: AttemptOrder) -> Plan:
    """Price a call and find the budgets that count it, with a cheaper model if a nearly used budget selects one.

    Raises ModelNotPricedError. Call it in a transaction: it opens missing windows.
    """
    policy = policy_in_force(order.organization_id)
    order = replace(order, request_class=classify(order.messages, order.max_tokens, order.request_class))
    attempt = _new_attempt(order, policy)
    windows = windows_for(attempt, timezone.now())
    if cheaper := _downgraded(order, attempt, policy, windows):
        attempt = cheaper
        windows = windows_for(attempt, timezone.now())
    return Plan(order, policy, attempt, windows)


def accepts_model(organization_id: int, provider: str, model: str) -> bool:
    """Whether the organization's calls can use a model: it has a price, or models without one are allowed."""
    try:
        price_of(provider, model)
    except ModelNotPricedError:
        return policy_in_force(organization_id).unpriced_models != UnpricedModels.BLOCK
    return True


def bound(order: AttemptOrder) -> int:
    """The maximum cost of a call with its own model, in nano-dollars; 0 without a price. No budget is checked.

    Raises ModelNotPricedError if the organization refuses models without a price.
    """
    policy = policy_in_force(order.organization_id)
    return _bound(order, policy) if _price(order, policy) else 0


@transaction.atomic(savepoint=False)
def open_attempt(order: AttemptOrder) -> Attempt:
    """Admit one provider call and reserve its maximum cost in every budget that counts it.

    The model may differ from the order: above its alert threshold, a budget that downgrades selects a cheaper one.
    Raises ModelNotPricedError, BudgetExceededError and BudgetBusyError; the caller must then roll the transaction back,
    and nothing remains.
    """
    planned = plan(order)
    attempt = planned.attempt
    if attempt.price is None and planned.left_nano is not None:
        raise ModelNotPricedError(f"{order.provider}/{order.model} has no price, and a blocking budget counts it.")
    Attempt.objects.insert(attempt)
    try:
        reserve(attempt, planned.windows)
    except BudgetExceededError as refusal:
        raise _with_advice(refusal, planned) from None
    return attempt


def _with_advice(refusal: BudgetExceededError, planned: Plan) -> BudgetExceededError:
    """The refusal, with the longest answer that would still fit."""
    order, attempt, mode = planned.order, planned.attempt, planned.policy.bound_mode
    prices = prices_ahead(attempt.provider, attempt.model, served_tiers(order.service_tier))
    fits = tokens_within(refusal.available_nano, order.messages, order.max_tokens, prices, mode, order.parameters)
    advice = f"It fits with at most {plural(fits, 'output token')}." if fits else "Its prompt alone doesn't fit."
    return BudgetExceededError(refusal.budget, refusal.needed_nano, refusal.available_nano, f"{refusal} {advice}", fits)


def _new_attempt(order: AttemptOrder, policy: CostPolicy) -> Attempt:
    price = _price(order, policy)
    prompt_digest, prefix_digest, prefix_bytes = fingerprints(order.provider, order.model, order.messages)
    return Attempt(
        organization_id=order.organization_id,
        request_id=order.request_id,
        number=order.number,
        provider=order.provider,
        model=order.model,
        price=price,
        api_key_id=order.api_key_id,
        user_ref=normal_name(order.user_ref),
        tags=normal_names(order.tags),
        priority=order.priority,
        request_class=order.request_class,
        max_tokens=order.max_tokens,
        prompt_digest=prompt_digest,
        prefix_digest=prefix_digest,
        prefix_bytes=prefix_bytes,
        bound_nano=_bound(order, policy) if price else 0,
    )


def _price(order: AttemptOrder, policy: CostPolicy) -> ModelPrice | None:
    try:
        return price_of(order.provider, order.model)
    except ModelNotPricedError:
        if policy.unpriced_models == UnpricedModels.BLOCK:
            raise
        return None


def _bound(order: AttemptOrder, policy: CostPolicy) -> int:
    """At the highest price of the week and of the tiers that may answer: the call may be sent in another price window
    than it was admitted in.
    """
    prices = prices_ahead(order.provider, order.model, served_tiers(order.service_tier))
    return bound_of(order.messages, order.max_tokens, prices, policy.bound_mode, order.parameters)


def _downgraded(
    order: AttemptOrder, attempt: Attempt, policy: CostPolicy, windows: Sequence[OpenWindow]
) -> Attempt | None:
    """The call with the cheapest model that the organization allows, if a budget that downgrades is nearly used up."""
    if not _is_plain(order) or not any(_is_nearly_used(each, attempt.bound_nano) for each in windows):
        return None
    cheaper = cheapest_allowed(
        order.organization_id,
        RequestClass(order.request_class),
        (order.provider, order.model),
        order.messages,
        order.max_tokens,
    )
    if not cheaper:
        return None
    provider, model = cheaper[0]
    return _new_attempt(replace(order, provider=provider, model=model), policy)


def _is_plain(order: AttemptOrder) -> bool:
    """Whether any chat model can answer the call: text alone, and no parameter that a cheaper model may not have."""
    return not order.parameters and all(isinstance(each.get("content"), str) for each in order.messages)


def _is_nearly_used(each: OpenWindow, bound: int) -> bool:
    if each.window.enforcement != Enforcement.DOWNGRADE or not bound:
        return False
    return (each.used_nano + bound) * 100 > each.limit_nano * each.window.budget.alert_percent
