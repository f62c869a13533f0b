"""Applies a plan to an organization. Repeating it changes nothing more."""

import re
from collections.abc import Iterator

from aiinfra.failures import ApiError
from aiinfra.gateway.litellm.reading import BudgetPlan, KeyPlan, Plan
from aiinfra.gateway.v1.model_names import resolve_model
from aiinfra.names import check_visible
from aiinfra.providers import aliases
from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Role
from aiinfra.tenants.key_access import KeyAccess, models_of, tags_of
from aiinfra.tenants.key_limits import KeyLimits
from aiinfra.tenants.models import ApiKey, Organization
from cost_app import create_cost_optimizer
from cost_app.facade import ChainError, InvalidValueError

SCOPES = ("chat:write",)
"""LiteLLM keys only call models."""
ALIAS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")

cost = create_cost_optimizer()


def apply(plan: Plan, organization: Organization, actor: str) -> Iterator[str]:
    """Import everything, in the organization's scope; yields a line for each thing, imported or not."""
    for name, model in plan.models.items():
        yield _alias(organization.pk, name, model, actor)
    for asked, steps in plan.fallbacks.items():
        yield _chain(plan, organization.pk, asked, steps, actor)
    for tag, budget in plan.team_budgets.items():
        yield _budget(organization, f"team {tag}", {"type": "tag", "value": tag}, budget)
    for key in plan.keys:
        yield from _key(key, organization, actor)
    yield from (f"NOT IMPORTED {note}" for note in plan.notes)


def target_of(model: str) -> tuple[str, str] | None:
    """Provider and model of LiteLLM's name; None if it has no price or no configured provider here."""
    for name in (model, model.rpartition("/")[2]):
        try:
            found = resolve_model(name)
        except ApiError:
            continue
        if found in cost.priced_models([found]):
            return found
    return None


def _alias(organization_id: int, name: str, model: str, actor: str) -> str:
    target = target_of(model)
    if target is None:
        return f"NOT IMPORTED model {name}: {model} has no price or no configured provider here"
    if name in {target[1], "/".join(target)}:
        return f"model {name}: known"
    if not ALIAS.fullmatch(name):
        return f"NOT IMPORTED model {name}: the name cannot be an alias; use {'/'.join(target)}"
    try:
        aliases.set_alias(organization_id=organization_id, name=name, target="/".join(target), actor=actor)
    except aliases.TooManyAliasesError as error:
        return f"NOT IMPORTED model {name}: {error}"
    return f"alias {name}: {'/'.join(target)}"


def _chain(plan: Plan, organization_id: int, asked: str, steps: list[str], actor: str) -> str:
    found = [target_of(plan.models.get(name, name)) for name in (asked, *steps)]
    first, *rest = found
    known = [step for step in rest if step is not None]
    if first is None or len(known) < len(rest):
        return f"NOT IMPORTED fallbacks of {asked}: not all of its models have a price and a configured provider here"
    try:
        cost.set_chain(organization_id=organization_id, asked=first, steps=known, actor=actor)
    except ChainError as error:
        return f"NOT IMPORTED fallbacks of {asked}: {error}"
    return f"fallbacks of {'/'.join(first)}: {', '.join(map('/'.join, known))}"


def _key(plan: KeyPlan, organization: Organization, actor: str) -> Iterator[str]:
    key = ApiKey.objects.filter(name=plan.name, revoked_at=None).order_by("id").last()
    if key is not None:
        yield f"key {plan.name}: there is a key of this name already"
    else:
        try:
            check_visible(plan.name)
            access = KeyAccess(models=models_of(plan.models), tags=tags_of(plan.tags))
        except ValueError as error:
            yield f"NOT IMPORTED key {plan.name}: {error}"
            return
        limits = KeyLimits(
            requests_per_minute=plan.requests_per_minute,
            tokens_per_minute=plan.tokens_per_minute,
            concurrent_requests=plan.concurrent_requests,
            access=access,
        )
        key, secret = keys.create_key(
            organization=organization, name=plan.name, role=Role.OPERATOR, scopes=SCOPES, limits=limits, actor=actor
        )
        yield f"key {plan.name}: {secret}"
    if plan.budget:
        yield _budget(organization, f"key {plan.name}", {"type": "api_key", "value": key.key_id}, plan.budget)


def _budget(organization: Organization, named: str, scope: dict[str, str], plan: BudgetPlan) -> str:
    budget = {"period": plan.period, "limit": plan.limit, "scope": scope, "enforcement": "block"}
    try:
        cost.set_budget(organization.slug, budget)
    except InvalidValueError as error:
        return f"NOT IMPORTED budget of {named}: {error}"
    return f"budget of {named}: ${plan.limit} {plan.period}"
