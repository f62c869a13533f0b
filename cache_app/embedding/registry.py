"""The embedders, by the names that settings use. Their libraries are loaded at first use."""

from functools import cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from cache_app.embedding.base import Embedder

EMBEDDERS = {
    "minilm": "cache_app.embedding.minilm.MiniLmEmbedder",
    "openai": "cache_app.embedding.openai.OpenAiEmbedder",
}


def configured_embedder() -> Embedder:
    """The embedder that `CACHE_EMBEDDER` names, one instance per process. Raises ImproperlyConfigured."""
    return embedder_named(settings.CACHE_EMBEDDER)


@cache
def embedder_named(name: str) -> Embedder:
    """The embedder with this name, one instance per process. Raises ImproperlyConfigured."""
    if name not in EMBEDDERS:
        raise ImproperlyConfigured(f"CACHE_EMBEDDER: {name!r} is not one of {', '.join(EMBEDDERS)}")
    embedder: Embedder = import_string(EMBEDDERS[name])()
    return embedder
