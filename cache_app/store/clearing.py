"""Remove entries: by tag, by model, all, or one.

The tag's epoch is raised first; after that no process serves what was written before. The removal that follows only
frees memory and counts; if the process dies in between, the janitor removes the rest. Everything here raises
RedisError.
"""

from collections.abc import Iterable

from cache_app.store.scripts import EVERYTHING, model_tag, run, user_tag

CHUNK = 500
"""Entries removed per script call, so that Redis serves others in between."""


def clear_all(organization_id: int) -> int:
    """Remove every entry of an organization. Returns how many."""
    return _clear(organization_id, [EVERYTHING])


def clear_tags(organization_id: int, tags: Iterable[str]) -> int:
    """Remove the entries that have any of the tags. Returns how many."""
    return _clear(organization_id, [user_tag(tag) for tag in tags])


def clear_model(organization_id: int, provider: str, model: str) -> int:
    """Remove a model's answers. Returns how many."""
    return _clear(organization_id, [model_tag(provider, model)])


def delete(organization_id: int, entry_id: str) -> bool:
    """Remove one entry; False if there was none."""
    return bool(run("delete", organization_id, entry_id))


def sweep(organization_id: int, tag: str) -> int:
    """Remove what was written before the last clearing of a tag (as the scripts name it). Returns how many."""
    total, more = 0, 1
    while more:
        removed, more = run("sweep", organization_id, tag, CHUNK)
        total += removed
    return total


def _clear(organization_id: int, tags: list[str]) -> int:
    if not tags:
        return 0
    run("mark_cleared", organization_id, *tags)
    return sum(sweep(organization_id, tag) for tag in tags)
