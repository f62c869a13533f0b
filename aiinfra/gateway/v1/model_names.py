"""Resolves a client's model name to a provider and model."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from aiinfra.api import ApiCall
from aiinfra.failures import ApiError
from aiinfra.gateway.chat import choose_model
from aiinfra.providers import aliases
from aiinfra.providers.registry import is_configured
from aiinfra.tenants.key_access import ANY_ACCESS, KeyAccess
from aiinfra.tenants.scope import organization_in_scope
from cost_app import create_cost_optimizer
from cost_app.facade import NoModelError

BUILT_IN: Mapping[str, str | None] = {"auto": None, "cheap": "low", "fast": "critical"}
"""Names that stand for the model recommended for a call, and the priority that it is recommended for: the lowest
weighs only the cost, the highest mostly the latency. None: the priority of the call.
"""

cost = create_cost_optimizer()


class ModelChoice(NamedTuple):
    """The resolved model; `alias` is the client's name for it, if that was an alias."""

    provider: str
    model: str
    alias: str = ""


def resolve(
    call: ApiCall, name: str, messages: Sequence[Mapping[str, Any]] = (), provider: str | None = None
) -> ModelChoice:
    """The model of `model`, `provider/model`, or an alias of the organization.

    An unknown name is a new model of `provider` if the organization allows models without a price. Raises ApiError 404
    for any other unknown name, and for an alias that stands for no model that the key may use.
    """
    organization_id, access = call.principal.organization_id, call.principal.limits.access
    if target := aliases.targets_of(organization_id).get(name):
        return ModelChoice(*resolve_model(target), alias=name)
    if name in BUILT_IN:
        wanted = BUILT_IN[name] or call.http.headers.get("x-aiinfra-priority") or access.priority or "normal"
        return ModelChoice(*_recommended(organization_id, access, messages, wanted, name), alias=name)
    try:
        return ModelChoice(*resolve_model(name, access))
    except ApiError:
        if provider and is_configured(provider) and cost.accepts_model(organization_id, provider, name):
            return ModelChoice(provider, name)
        raise


def resolve_model(name: str, access: KeyAccess = ANY_ACCESS) -> tuple[str, str]:
    """Provider and model of `model` or `provider/model`; a name without a provider has that of the price book, one that
    the key may use if there is any.

    Raises ApiError 404 for an unknown name.
    """
    named, slash, model = name.partition("/")
    if slash and model and is_configured(named):
        return named, model
    try:
        return choose_model(None, name, access)
    except ApiError:
        raise unknown_model(name) from None


def check_target(name: str) -> None:
    """Check the model that an alias of the organization in scope will stand for: it must be one that calls can use.

    Raises ApiError 404.
    """
    organization_id, choice = organization_in_scope(), resolve_model(name)
    if organization_id is None or not cost.accepts_model(organization_id, *choice):
        raise unknown_model(name)


def _recommended(
    organization_id: int, access: KeyAccess, messages: Sequence[Mapping[str, Any]], priority: str, name: str
) -> tuple[str, str]:
    """The best model for the class of the call that the key may use. About ten queries."""
    request_class = cost.classify([dict(message) for message in messages], 0)
    try:
        choice = cost.choose_model(organization_id, request_class, priority)
    except NoModelError:
        raise unknown_model(name) from None
    except ValueError:
        message = "This must be low, normal, high, or critical."
        raise ApiError(400, "invalid_request", message, param="x-aiinfra-priority") from None
    for option in (choice.best, *choice.alternatives):
        if access.allows_model(option.provider, option.model, name):
            return option.provider, option.model
    raise unknown_model(name)


def resolve_embedding(call: ApiCall, name: str) -> ModelChoice:
    """Like `resolve`, among the models that embed texts, for which there are no built-in aliases."""
    if target := aliases.targets_of(call.principal.organization_id).get(name):
        return ModelChoice(*_embedding_model(target), alias=name)
    return ModelChoice(*_embedding_model(name, call.principal.limits.access))


def _embedding_model(name: str, access: KeyAccess = ANY_ACCESS) -> tuple[str, str]:
    named, slash, model = name.partition("/")
    if slash and model and is_configured(named):
        return named, model
    found = [pair for pair in cost.embedding_models() if pair[1] == name and is_configured(pair[0])]
    if not found:
        raise unknown_model(name)
    return next((each for each in found if access.allows_model(*each)), found[0])


def unknown_model(name: str) -> ApiError:
    """The error for a model that does not exist, or that the key may not use."""
    message = f"The model `{name}` does not exist or you do not have access to it."
    return ApiError(404, "model_not_found", message, param="model")
