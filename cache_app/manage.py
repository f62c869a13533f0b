"""Actions on the cache: clear, remove, pin. Each writes an audit row and takes effect in every process immediately."""

from collections.abc import Sequence

from aiinfra.tenants import audit
from cache_app.store import clearing, entries


def clear(
    *,
    organization_id: int,
    actor: str,
    tags: Sequence[str] = (),
    model: tuple[str, str] | None = None,
    everything: bool = False,
) -> int:
    """Remove all entries with any of the tags, of a model (provider, name), or all. Returns how many there were.

    Raises RedisError; nothing is recorded then.
    """
    if everything:
        target, removed = "all entries", clearing.clear_all(organization_id)
    elif model:
        target, removed = f"entries of {'/'.join(model)}", clearing.clear_model(organization_id, *model)
    else:
        target, removed = f"entries tagged {', '.join(tags)}", clearing.clear_tags(organization_id, tags)
    _record(organization_id, actor, "cache.cleared", target, removed=[0, removed])
    return removed


def remove_entry(*, organization_id: int, entry_id: str, actor: str) -> bool:
    """Remove one entry; False if there is none. Raises RedisError."""
    removed = clearing.delete(organization_id, entry_id)
    if removed:
        _record(organization_id, actor, "cache.entry_removed", entry_id)
    return removed


def pin(*, organization_id: int, entry_id: str, pinned: bool, actor: str) -> bool:
    """Protect an entry from eviction until it expires, or stop protecting it. False if there is none.

    Raises RedisError.
    """
    known = entries.pin(organization_id, entry_id) if pinned else entries.unpin(organization_id, entry_id)
    if known:
        _record(organization_id, actor, "cache.entry_pinned" if pinned else "cache.entry_unpinned", entry_id)
    return known


def record_given(*, organization_id: int, entry_id: str, actor: str) -> None:
    """Record that someone stored an answer."""
    _record(organization_id, actor, "cache.entry_given", entry_id)


def _record(organization_id: int, actor: str, verb: str, target: str, **changes: list[int]) -> None:
    audit.record(organization_id=organization_id, actor=actor, verb=verb, target=target[:200], changes=changes)
