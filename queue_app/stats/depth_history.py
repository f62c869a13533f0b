"""Queue depth over time: a sample every 5 s for the last hour, kept in Redis because losing it only costs a curve."""

import json
import time
from dataclasses import dataclass

from aiinfra.redis import redis_client
from queue_app.models import Priority
from queue_app.ordering import index

SAMPLES_KEPT = 720
SAMPLE_EVERY_S = 5


@dataclass(frozen=True)
class DepthSample:
    """Ready requests by priority at a moment, and those held for a retry. `at` is a Unix time."""

    at: float
    depth: dict[int, int]
    held: int = 0

    @property
    def waiting(self) -> int:
        """All waiting requests, ready or held."""
        return sum(self.depth.values()) + self.held


def sample_depths() -> None:
    """Store the current depths of every organization with waiting requests, now or recently. Raises RedisError."""
    by_organization: dict[int | None, dict[int, int]] = {None: {}}
    for (organization_id, priority), count in index.depths().items():
        by_organization.setdefault(organization_id, {})[priority] = count
    held = index.held()
    for organization_id in held:
        by_organization.setdefault(organization_id, {})
    client = redis_client()
    waiting = {str(owner) for owner in by_organization if owner is not None}
    for emptied in {str(owner) for owner in client.smembers(_key("waiting"))} - waiting:
        by_organization[int(emptied)] = {}
    with client.pipeline(transaction=False) as pipeline:
        for owner, depth in by_organization.items():
            depths = [depth.get(priority, 0) for priority in Priority.values]
            sample = json.dumps([time.time(), depths, held.get(owner, 0)])
            pipeline.lpush(_key(owner), sample)
            pipeline.ltrim(_key(owner), 0, SAMPLES_KEPT - 1)
            pipeline.expire(_key(owner), SAMPLES_KEPT * SAMPLE_EVERY_S)
        pipeline.delete(_key("waiting"))
        if waiting:
            pipeline.sadd(_key("waiting"), *waiting)
        pipeline.execute()


def depth_samples(organization_id: int | None) -> list[DepthSample]:
    """The last hour of an organization (None: of all together), oldest first. Raises RedisError."""
    samples = [json.loads(text) for text in redis_client().lrange(_key(organization_id), 0, -1)]
    return [
        DepthSample(at, dict(zip(Priority.values, depths, strict=True)), *held)
        for at, depths, *held in reversed(samples)
    ]


def _key(owner: int | str | None) -> str:
    return f"{index.PREFIX}depth_history:{'all' if owner is None else owner}"
