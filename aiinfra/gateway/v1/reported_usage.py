"""Members of a provider's usage report that aiinfra doesn't count, for clients of the provider's dialect."""

from collections.abc import Mapping
from typing import Any

from aiinfra.providers.base import Dialect
from aiinfra.providers.dialects.choosing import dialect_of
from queue_app.facade import RequestStatus


def reported_usage(status: RequestStatus, dialect: Dialect) -> Mapping[str, Any]:
    """What the provider reported; empty for an answer from the cache, and for a provider with another dialect."""
    attempt = status.answered_by
    reported: Mapping[str, Any] = attempt.raw_usage if attempt and dialect_of(attempt.provider) == dialect else {}
    return reported


def with_further(counts: Mapping[str, Any], reported: Mapping[str, Any]) -> dict[str, Any]:
    """Our counts and the reported members that they lack, at every level."""
    merged = {**reported, **counts}
    for name, ours in counts.items():
        theirs = reported.get(name)
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            merged[name] = with_further(ours, theirs)
    return merged
