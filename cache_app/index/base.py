"""What every vector index is: the nearest entries of a partition, which the store's validation then confirms."""

from dataclasses import dataclass
from typing import Protocol

from cache_app.embedding.base import Vector


@dataclass(frozen=True)
class Neighbour:
    """An entry near a vector; `similarity` is their cosine."""

    entry_id: str
    similarity: float


class VectorIndex(Protocol):
    """Finds vectors that the store has written: its scripts keep them, so an index has no writing of its own.

    What an index names may be gone or belong elsewhere; only `cache_app.store.entries.fetch_valid` makes it servable.
    Safe between threads.
    """

    def nearest(self, organization_id: int, partition: str, vector: Vector, count: int = 3) -> list[Neighbour]:
        """The nearest entries, best first, with everything that was written before the call. Raises RedisError."""
        ...
