"""The vector index interface: nearest entries of a partition, which the store then validates."""

from dataclasses import dataclass
from typing import Protocol

from cache_app.embedding.base import Vector


@dataclass(frozen=True)
class Neighbor:
    """An entry near a vector. `similarity` is their cosine."""

    entry_id: str
    similarity: float


class VectorIndex(Protocol):
    """Finds vectors that the store has written. The store's scripts maintain them, so an index never writes.

    An entry in the result may be gone or belong elsewhere; only `cache_app.store.entries.fetch_valid` makes it
    servable. Thread-safe.
    """

    def nearest(self, organization_id: int, partition: str, vector: Vector, count: int = 3) -> list[Neighbor]:
        """The nearest entries, best first, including everything written before the call. Raises RedisError."""
        ...
