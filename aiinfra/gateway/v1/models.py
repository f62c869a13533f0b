"""`GET /v1/models`: the models that can be called, from the price book and the configured providers."""

from collections import Counter
from typing import Literal

from pydantic import BaseModel

from aiinfra.api import ApiCall, ApiModel, NoParameters, Operation
from aiinfra.failures import ApiError
from aiinfra.gateway.v1.door import OpenAIDoor
from aiinfra.gateway.v1.model_names import resolve, resolve_embedding
from aiinfra.providers.registry import is_configured
from cost_app import create_cost_optimizer
from queue_app.api import check_model

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
    may_use = call.principal.limits.access.allows_model
    configured = [pair for pair in cost.priced_models() + cost.embedding_models() if is_configured(pair[0])]
    known = sorted(pair for pair in configured if may_use(*pair))
    offers = Counter(model for _, model in configured)
    names = [(model if offers[model] == 1 else f"{provider}/{model}", provider) for provider, model in known]
    return ModelList(data=[Model(id=name, owned_by=provider) for name, provider in names])


def get_model(call: ApiCall, query: ModelReference) -> Model:
    """One model. Raises ApiError 404."""
    try:
        provider, model = resolve(query.model)
    except ApiError:
        provider, model = resolve_embedding(query.model)
    check_model(call.principal.limits.access, provider, model)
    return Model(id=query.model, owned_by=provider)


models_endpoint = OpenAIDoor(
    {("GET", None): Operation(list_models, "chat:write", NoParameters, ModelList, "List models (OpenAI)")}
)
model_endpoint = OpenAIDoor(
    {("GET", None): Operation(get_model, "chat:write", ModelReference, Model, "Get a model (OpenAI)")}
)
