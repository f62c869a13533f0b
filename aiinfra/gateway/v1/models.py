"""`GET /v1/models`: the models that can be called, from the price book and the configured providers."""

from collections import Counter
from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel

from aiinfra.api import ApiCall, ApiModel, NoParameters, Operation
from aiinfra.failures import ApiError
from aiinfra.gateway.v1.door import OpenAIDoor
from aiinfra.gateway.v1.model_names import BUILT_IN, resolve, resolve_embedding, resolve_model
from aiinfra.providers import aliases
from aiinfra.providers.registry import is_configured
from aiinfra.tenants.key_access import ANY_ACCESS, KeyAccess
from cost_app import create_cost_optimizer
from queue_app.api import check_model

ALIAS_OWNER = "alias"
CREATED = 0
"""OpenAI's time stamp, which the price book does not have."""

cost = create_cost_optimizer()


class Model(BaseModel):
    """A model; `owned_by` is its provider."""

    id: str
    object: Literal["model"] = "model"
    created: int = CREATED
    owned_by: str


class ModelList(BaseModel):
    """All models. No provider is called."""

    object: Literal["list"] = "list"
    data: list[Model]


class ModelReference(ApiModel):
    """One model by its name."""

    model: str


def list_models(call: ApiCall, _query: NoParameters) -> ModelList:
    """Every model with a price and a configured provider that the key may use; with its provider's name where several
    have it.
    """
    access, organization_id = call.principal.limits.access, call.principal.organization_id
    names = named([*chat_models(), *_configured(cost.embedding_models())], access)
    names += [(alias, ALIAS_OWNER) for alias in alias_names(organization_id, access)]
    return ModelList(data=[Model(id=name, owned_by=provider) for name, provider in names])


def chat_models() -> list[tuple[str, str]]:
    """(provider, model) of every model that a chat can use."""
    return _configured(cost.priced_models())


def named(models: list[tuple[str, str]], access: KeyAccess = ANY_ACCESS) -> list[tuple[str, str]]:
    """(name, provider) of those that may be used; the name is what clients send."""
    offers = Counter(model for _, model in models)
    known = sorted(pair for pair in models if access.allows_model(*pair))
    return [(model if offers[model] == 1 else f"{provider}/{model}", provider) for provider, model in known]


def _configured(models: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [pair for pair in models if is_configured(pair[0])]


def alias_names(organization_id: int, access: KeyAccess = ANY_ACCESS) -> Iterator[str]:
    """The aliases that the key may use. The built-in ones choose among the models that it may use."""
    own = aliases.targets_of(organization_id)
    for name in sorted({*own, *BUILT_IN}):
        if name not in own or _may_use(access, own[name], name):
            yield name


def _may_use(access: KeyAccess, target: str, alias: str) -> bool:
    try:
        return access.allows_model(*resolve_model(target), alias)
    except ApiError:
        return False  # a model that has left the price book


def get_model(call: ApiCall, query: ModelReference) -> Model:
    """One model. Raises ApiError 404."""
    try:
        choice = resolve(call, query.model)
    except ApiError:
        choice = resolve_embedding(call.principal.organization_id, query.model)
    check_model(call.principal.limits.access, *choice)
    return Model(id=query.model, owned_by=ALIAS_OWNER if choice.alias else choice.provider)


models_endpoint = OpenAIDoor(
    {("GET", None): Operation(list_models, "chat:write", NoParameters, ModelList, "List models (OpenAI)")}
)
model_endpoint = OpenAIDoor(
    {("GET", None): Operation(get_model, "chat:write", ModelReference, Model, "Get a model (OpenAI)")}
)
