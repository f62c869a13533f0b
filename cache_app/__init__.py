"""The semantic cache: serves stored answers to equal and similar questions."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cache_app.facade import SemanticCache


def create_semantic_cache() -> "SemanticCache":
    """Return the semantic cache. Imported late because Django loads this package before its models."""
    from cache_app.facade import SemanticCache

    return SemanticCache()
