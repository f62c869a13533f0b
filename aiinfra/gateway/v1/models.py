"""`GET /v1/models`: the models that can be called, from the price book and the configured providers.

OpenAI and Anthropic have this path in common, so the answers have the members of both.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel

from aiinfra.api import ApiCall, ApiModel, Operation
from aiinfra.failures import ApiError
from aiinfra.gateway.v1.anthropic_endpoint import AnthropicEndpoint
from aiinfra.gateway.v1.model_names import BUILT_IN, resolve, resolve_embedding, resolve_model
from aiinfra.providers import aliases
from aiinfra.providers.registry import is_configured
from aiinfra.tenants.key_access import ANY_ACCESS, KeyAccess
from cost_app import create_cost_optimizer
from queue_app.api import check_model

ALIAS_OWNER = "alias"
CREATED, CREATED_AT = 0, "1970-01-01T00:00:00Z"
"""The vendors' time stamps, which the price book does not have; Anthropic's own of models with an unknown date."""

cost = create_cost_optimizer()


class Model(BaseModel):
    """A model; `owned_by` is its provider. OpenAI's members, then Anthropic's."""

    id: str
    object: Literal["model"] = "model"
    created: int = CREATED
    owned_by: str
    type: Literal["model"] = "model"
    display_name: str
    created_at: str = CREATED_AT


class ModelList(BaseModel):
    """All models on one page. No provider is called."""

    object: Literal["list"] = "list"
    data: list[Model]
    has_more: Literal[False] = False
    first_id: str | None
    last_id: str | None


class ModelsQuery(ApiModel):
    """Nothing. Anthropic's clients ask for a page and add `beta`, and a larger page is as good."""

    model_config = {"extra": "ignore"}


class ModelReference(ModelsQuery):
    """One model by its name."""

    model: str


def list_models(call: ApiCall, _query: ModelsQuery) -> ModelList:
    """Every model with a price and a configured provider that the key may use; with its provider's name where several
    have it.
    """
    access, organization_id = call.principal.limits.access, call.principal.organization_id
    names = named([*chat_models(), *_configured(cost.embedding_models())], access)
    names += [(alias, ALIAS_OWNER) for alias in alias_names(organization_id, access)]
    data = [_shown(*each) for each in names]
    first, last = (data[0].id, data[-1].id) if data else (None, None)
    return ModelList(data=data, first_id=first, last_id=last)


def _shown(name: str, owner: str) -> Model:
    return Model(id=name, owned_by=owner, display_name=name)


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
        choice = resolve_embedding(call, query.model)
    check_model(call.principal.limits.access, *choice)
    return _shown(query.model, ALIAS_OWNER if choice.alias else choice.provider)


models_endpoint = AnthropicEndpoint(
    {("GET", None): Operation(list_models, "chat:write", ModelsQuery, ModelList, "List models (OpenAI, Anthropic)")}
)
model_endpoint = AnthropicEndpoint(
    {("GET", None): Operation(get_model, "chat:write", ModelReference, Model, "Get a model (OpenAI, Anthropic)")}
)
