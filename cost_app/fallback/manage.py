"""Changes an organization's fallback chains. All rules about chains are here.

A change applies to the next failure, in every worker, because chains are not cached.
"""

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from aiinfra.providers.models import FallbackOptOut, FallbackRoute
from aiinfra.providers.registry import is_configured
from aiinfra.tenants import audit
from aiinfra.tenants.models import Organization
from cost_app.fallback.chains import EVERY_MODEL, Chain, defaults_are_on, effective_chain
from cost_app.prices.lookup import priced_models
from cost_app.recommendations.pricing import Model

STEPS_MAX = 5
"""Each step can use all of the request's retries, so a longer chain could take minutes."""


class ChainError(ValueError):
    """The chain is invalid; the message says why."""


class ChainChangedError(ChainError):
    """The chain changed since it was read."""

    def __init__(self) -> None:
        super().__init__("This chain was changed in the meantime. Check it and try again.")


def check_steps(asked: Model, steps: Sequence[Model], *, known: Sequence[Model] = ()) -> None:
    """Raise ChainError unless `asked` may fall back to `steps`.

    Every step needs a configured provider and a chat price, appears once, and is not `asked` itself. `known` steps
    may stay although their provider or price has gone: they are skipped until it returns.
    """
    if len(steps) > STEPS_MAX:
        raise ChainError(f"A chain has at most {STEPS_MAX} steps.")
    priced = set(priced_models([asked, *steps]))
    if asked not in priced:
        raise ChainError(f"{_name(asked)} is not in the price book.")
    for position, step in enumerate(steps):
        if step == asked:
            raise ChainError(f"{_name(step)} can't fall back to itself.")
        if step in steps[:position]:
            raise ChainError(f"{_name(step)} is already in the chain.")
        if step in known:
            continue
        if not is_configured(step[0]):
            raise ChainError(f"The provider {step[0]} is not configured.")
        if step not in priced:
            raise ChainError(f"{_name(step)} is not in the price book, or not a chat model.")


@transaction.atomic
def set_chain(*, organization_id: int, asked: Model, steps: Sequence[Model], actor: str, seen: str = "") -> Chain:
    """Set the model's chain to `steps`. With no steps, the model has no fallback. Returns the effective chain.

    `seen` is the `version` of the chain that the caller changed. Raises ChainError, and ChainChangedError if the chain
    has changed since.
    """
    before = _locked_chain(organization_id, asked, seen)
    check_steps(asked, steps, known=[(step.provider, step.model) for step in before.steps])
    _clear(organization_id, asked)
    if not steps:
        FallbackOptOut.objects.create(organization_id=organization_id, provider=asked[0], model=asked[1])
    for position, (to_provider, to_model) in enumerate(steps, start=1):
        FallbackRoute.objects.create(
            organization_id=organization_id,
            provider=asked[0],
            model=asked[1],
            position=position,
            to_provider=to_provider,
            to_model=to_model,
        )
    return _recorded(organization_id, before, actor)


@transaction.atomic
def restore_default(*, organization_id: int, asked: Model, actor: str, seen: str = "") -> Chain:
    """Delete the model's own chain; returns the effective chain. Raises ChainChangedError."""
    before = _locked_chain(organization_id, asked, seen)
    _clear(organization_id, asked)
    return _recorded(organization_id, before, actor)


@transaction.atomic
def use_defaults(*, organization_id: int, enabled: bool, actor: str) -> None:
    """Turn the default chain on or off for models without their own."""
    _lock(organization_id)
    if enabled == defaults_are_on(organization_id):
        return
    if enabled:
        FallbackOptOut.objects.filter(organization_id=organization_id, provider="", model="").delete()
    else:
        FallbackOptOut.objects.create(organization_id=organization_id, provider=EVERY_MODEL[0], model=EVERY_MODEL[1])
    audit.record(
        organization_id=organization_id,
        actor=actor,
        verb="fallback.defaults_changed",
        target="default fallback chains",
        changes={"enabled": [not enabled, enabled]},
    )


def _locked_chain(organization_id: int, asked: Model, seen: str) -> Chain:
    _lock(organization_id)
    chain = effective_chain(organization_id, *asked)
    if seen and seen != chain.version:
        raise ChainChangedError
    return chain


def _lock(organization_id: int) -> None:
    """Serialize changes to one organization's chains."""
    Organization.objects.select_for_update().get(pk=organization_id)


def _clear(organization_id: int, asked: Model) -> None:
    for table in (FallbackRoute, FallbackOptOut):
        table.objects.filter(organization_id=organization_id, provider=asked[0], model=asked[1]).delete()


def _recorded(organization_id: int, before: Chain, actor: str) -> Chain:
    after = effective_chain(organization_id, before.provider, before.model)
    if after.version != before.version:
        changes: dict[str, list[Any]] = {
            "source": [before.source, after.source],
            "steps": [[step.name for step in before.steps], [step.name for step in after.steps]],
        }
        audit.record(
            organization_id=organization_id,
            actor=actor,
            verb="fallback.changed",
            target=before.name,
            changes={name: pair for name, pair in changes.items() if pair[0] != pair[1]},
        )
    return after


def _name(model: Model) -> str:
    return "/".join(model)
