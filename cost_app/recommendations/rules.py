"""What applied recommendations change in later calls: looked up and applied at admission.

A rule changes only what its recommendation described, and a client's own choices take precedence:

- cheaper_model: requests of class simple at one model go to a cheaper one. A client that names the class complex or
  creative keeps its model. Never to a model that the organization's policy no longer allows, or that has no price or no
  configured provider.
- trim_max_tokens: the limit of answers of one model is lowered where the client set none or a higher one.
- retry_waste: limits the number of retries; a client's lower number stays.
- off_peak: requests of low priority wait for the cheap hours of their model's price, at most a day. All others leave at
  once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from aiinfra.providers.registry import is_configured
from aiinfra.timed_cache import TimedCache
from cost_app.models import ModelPrice, OptimizationRule, RecommendationKind, RequestClass, RuleUse
from cost_app.prices.lookup import ModelNotPricedError, price_of
from cost_app.recommendations.candidates import allowed_models
from cost_app.recommendations.pricing import Model, weight_of

LOW_PRIORITY = 10
"""The weight of the lowest priority; only such requests may be delayed."""
STEP = timedelta(minutes=15)
LONGEST_DELAY = timedelta(days=1)


@dataclass(frozen=True)
class Use:
    """A rule that changed a call, and the price version that the call would have had without it."""

    rule_id: int
    instead_of_id: int | None = None


@dataclass(frozen=True)
class CallTerms:
    """How to make a call. `max_tokens` is None if the client set no limit; `uses`: the rules that changed it."""

    provider: str
    model: str
    max_tokens: int | None
    request_class: str
    priority: int
    max_retries: int
    not_before: datetime | None = None
    uses: tuple[Use, ...] = ()


def shape(organization_id: int, terms: CallTerms, now: datetime | None = None) -> CallTerms:
    """The terms after applying the organization's active rules; unchanged if none applies.

    The rules are remembered within an epoch, and otherwise for a second. Rules do not chain: each kind changes a call
    once. Store `uses` with `record_uses` once the request is accepted.
    """
    now = now or timezone.now()
    done: set[str] = set()
    for rule in _active_rules.of(organization_id):
        if rule.kind not in done:
            shaped = CHANGES[rule.kind](rule, terms, now)
            done |= {rule.kind} if shaped is not terms else set()
            terms = shaped
    return terms


def record_uses(organization_id: int, request_id: UUID, uses: Sequence[Use]) -> None:
    """Record which rules changed a request, in the transaction that accepts it. No query if none did."""
    if uses:
        RuleUse.objects.bulk_create(
            RuleUse(
                organization_id=organization_id,
                request_id=request_id,
                rule_id=use.rule_id,
                instead_of_id=use.instead_of_id,
            )
            for use in uses
        )


def _read_rules(organization_id: int) -> list[OptimizationRule]:
    """In the order in which they are tried: by kind as in `CHANGES`, then oldest first."""
    order = list(CHANGES)
    rules = OptimizationRule.objects.filter(organization_id=organization_id, ended_at=None, kind__in=order)
    found = sorted(rules, key=lambda rule: (order.index(rule.kind), rule.id))
    if not any(rule.kind == RecommendationKind.CHEAPER_MODEL for rule in found):
        return found
    allowed = allowed_models(organization_id, RequestClass.SIMPLE)
    return [rule for rule in found if _may_route(rule, allowed)]


def _may_route(rule: OptimizationRule, allowed: set[Model] | None) -> bool:
    if rule.kind != RecommendationKind.CHEAPER_MODEL:
        return True
    to = _model_of(rule.terms["to"])
    return is_configured(to[0]) and (allowed is None or to in allowed)


def _model_of(name: str) -> Model:
    provider, _, model = name.partition("/")
    return provider, model


def _is_for(rule: OptimizationRule, terms: CallTerms) -> bool:
    return _model_of(rule.terms["model"]) == (terms.provider, terms.model)


def _changed(
    rule: OptimizationRule, terms: CallTerms, instead_of: ModelPrice | None = None, **terms_now: Any
) -> CallTerms:
    use = Use(rule.id, instead_of.id if instead_of else None)
    return replace(terms, uses=(*terms.uses, use), **terms_now)


def _trim(rule: OptimizationRule, terms: CallTerms, _now: datetime) -> CallTerms:
    limit = rule.terms["maxTokens"]
    if not _is_for(rule, terms) or (terms.max_tokens is not None and terms.max_tokens <= limit):
        return terms
    return _changed(rule, terms, max_tokens=limit)


def _route(rule: OptimizationRule, terms: CallTerms, _now: datetime) -> CallTerms:
    if terms.request_class != RequestClass.SIMPLE or not _is_for(rule, terms):
        return terms
    provider, model = _model_of(rule.terms["to"])
    if _price(provider, model) is None:
        return terms
    return _changed(rule, terms, _price(terms.provider, terms.model), provider=provider, model=model)


def _delay(rule: OptimizationRule, terms: CallTerms, now: datetime) -> CallTerms:
    if terms.priority > LOW_PRIORITY or not _is_for(rule, terms):
        return terms
    begin = off_peak_begin(terms.provider, terms.model, max(now, terms.not_before or now))
    if begin is None:
        return terms
    return _changed(rule, terms, _price(terms.provider, terms.model, now), not_before=begin)


def _retry_less(rule: OptimizationRule, terms: CallTerms, _now: datetime) -> CallTerms:
    limit = rule.terms["maxRetries"]
    return _changed(rule, terms, max_retries=limit) if terms.max_retries > limit else terms


CHANGES = {
    RecommendationKind.TRIM_MAX_TOKENS.value: _trim,
    RecommendationKind.CHEAPER_MODEL.value: _route,
    RecommendationKind.OFF_PEAK.value: _delay,
    RecommendationKind.RETRY_WASTE.value: _retry_less,
}
"""Kinds whose recommendations can be applied by a rule; for the others people act."""


def off_peak_begin(provider: str, model: str, now: datetime) -> datetime | None:
    """When the model's cheapest hours of the coming day begin, to the quarter hour; None if they are now, or if all
    hours cost the same.
    """
    present = _price(provider, model, now)
    if present is None:
        return None
    quarter = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0)
    later = [quarter + number * STEP for number in range(1, LONGEST_DELAY // STEP + 1)]
    prices = [(price, moment) for moment in later if (price := _price(provider, model, moment))]
    cheapest, begin = min(prices, key=lambda pair: (weight_of(pair[0]), pair[1]), default=(present, now))
    return begin if weight_of(cheapest) < weight_of(present) else None


def _price(provider: str, model: str, at: datetime | None = None) -> ModelPrice | None:
    try:
        return price_of(provider, model, at=at) if at else price_of(provider, model)
    except ModelNotPricedError:
        return None


_active_rules = TimedCache(_read_rules, seconds=1, owner=lambda organization_id, _: organization_id)
forget_rules = _active_rules.forget
