"""Clean up after expired entries: Redis deletes their hashes itself, but not their vectors, tags and places."""

from cache_app.store import clearing
from cache_app.store.scripts import ORGANIZATIONS, client, prefix, run

EPOCH = b"epoch:"


def organizations() -> list[int]:
    """IDs of all organizations that have anything in the cache. Raises RedisError."""
    return sorted(int(name) for name in client().smembers(ORGANIZATIONS))


def clean_up(organization_id: int) -> int:
    """Remove the traces of expired entries and finish interrupted clearings. Returns how many entries were removed.

    Raises RedisError.
    """
    removed = _remove_expired(organization_id) + _finish_clearings(organization_id)
    if run("retire", organization_id):
        _unlist(organization_id)
    return removed


def _remove_expired(organization_id: int) -> int:
    total = 0
    while removed := int(run("remove_expired", organization_id, clearing.CHUNK)):
        total += removed
    return total


def _finish_clearings(organization_id: int) -> int:
    state = client().hkeys(prefix(organization_id) + "state")
    tags = [name.removeprefix(EPOCH).decode() for name in state if name.startswith(EPOCH)]
    return sum(clearing.sweep(organization_id, tag) for tag in tags)


def _unlist(organization_id: int) -> None:
    """Listed again if something was written in the meantime."""
    redis = client()
    redis.srem(ORGANIZATIONS, organization_id)
    if redis.exists(prefix(organization_id) + "state"):
        redis.sadd(ORGANIZATIONS, organization_id)
