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


def list_models(_call: ApiCall, _query: NoParameters) -> ModelList:
    """Every model that has a price and a configured provider; with its provider's name where several have it."""
    known = sorted(pair for pair in cost.priced_models() + cost.embedding_models() if is_configured(pair[0]))
    offers = Counter(model for _, model in known)
    names = [(model if offers[model] == 1 else f"{provider}/{model}", provider) for provider, model in known]
    return ModelList(data=[Model(id=name, owned_by=provider) for name, provider in names])


def get_model(_call: ApiCall, query: ModelReference) -> Model:
    """One model. Raises ApiError 404."""
    try:
        provider, _ = resolve(query.model)
    except ApiError:
        provider, _ = resolve_embedding(query.model)
    return Model(id=query.model, owned_by=provider)


models_endpoint = OpenAIDoor(
    {("GET", None): Operation(list_models, "chat:write", NoParameters, ModelList, "List models (OpenAI)")}
)
model_endpoint = OpenAIDoor(
    {("GET", None): Operation(get_model, "chat:write", ModelReference, Model, "Get a model (OpenAI)")}
)
