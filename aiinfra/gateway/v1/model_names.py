"""Which provider and model a client means by one name."""

from aiinfra.failures import ApiError
from aiinfra.gateway.chat import choose_model
from aiinfra.providers.registry import is_configured
from cost_app import create_cost_optimizer

cost = create_cost_optimizer()


def resolve(name: str, provider: str | None = None) -> tuple[str, str]:
    """Provider and model of `model` or `provider/model`; a name without a provider has that of the price book.

    `provider` is tried first for a name without one. Raises ApiError 404 for an unknown name.
    """
    named, slash, model = name.partition("/")
    if slash and model and is_configured(named):
        return named, model
    try:
        return choose_model(None, name)
    except ApiError:
        if provider and is_configured(provider):
            return provider, name
        raise _unknown(name) from None


def resolve_embedding(name: str) -> tuple[str, str]:
    """Like `resolve`, among the models that embed texts."""
    named, slash, model = name.partition("/")
    if slash and model and is_configured(named):
        return named, model
    found = [pair for pair in cost.embedding_models() if pair[1] == name and is_configured(pair[0])]
    if not found:
        raise _unknown(name)
    return found[0]


def _unknown(name: str) -> ApiError:
    message = f"The model `{name}` does not exist or you do not have access to it."
    return ApiError(404, "model_not_found", message, param="model")
