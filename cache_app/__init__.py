"""The semantic cache: answers that are served again to equal and to similar questions."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cache_app.facade import SemanticCache


def create_semantic_cache() -> "SemanticCache":
    """The semantic cache. Imported late, because Django loads this package before its models."""
    from cache_app.facade import SemanticCache

    return SemanticCache()
