"""This process's vector index."""

import os
from functools import cache

from django.conf import settings

from cache_app.index.base import VectorIndex

INDEXES = ("matrix", "vector_set")


def configured_index() -> VectorIndex:
    """The index that `settings.CACHE_INDEX` names: matrix or vector_set. Raises ValueError for any other name."""
    return _index(settings.CACHE_INDEX, settings.CACHE_INDEX_MB)


@cache
def _index(name: str, megabytes: int) -> VectorIndex:
    from cache_app.index.matrix import MatrixIndex
    from cache_app.index.vector_set import VectorSetIndex

    match name:
        case "matrix":
            return MatrixIndex(megabytes * 1_000_000)
        case "vector_set":
            return VectorSetIndex()
        case _:
            raise ValueError(f"CACHE_INDEX is neither matrix nor vector_set: {name}")


# A thread of the parent may have held a lock during the fork.
os.register_at_fork(after_in_child=_index.cache_clear)
