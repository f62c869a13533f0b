"""Vector sets of Redis 8 and later: one index for all processes, in the server's memory.

The store's scripts maintain a set for each partition while `CACHE_INDEX` is vector_set; entries written before that are
found by exact matches only. An element has no expiry: it is an attribute that lookups filter by, and the janitor
removes the element.
"""

import time

from cache_app.embedding.base import Vector
from cache_app.index.base import Neighbor
from cache_app.store.scripts import client, prefix


class VectorSetIndex:
    """Asks Redis for the nearest entries."""

    def nearest(self, organization_id: int, partition: str, vector: Vector, count: int = 3) -> list[Neighbor]:
        """See VectorIndex. Raises RedisError, also if the server has no vector sets."""
        key = f"{prefix(organization_id)}s:{partition}"
        query = ("FP32", vector.astype("<f4").tobytes(), "WITHSCORES", "COUNT", count)
        alive = ("FILTER", f".expires > {round(time.time() * 1000)}")
        # A dictionary in version 3 of the Redis protocol, a list in version 2.
        reply = client().execute_command("VSIM", key, *query, *alive)
        pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
        return [Neighbor(name.decode(), _cosine(score)) for name, score in pairs]


def _cosine(score: bytes | float) -> float:
    """Redis scores by (1 + cosine) / 2."""
    return 2 * float(score) - 1
