"""Shared parts of the cache pages."""

from aiinfra.tenants.access import MemberRequest
from aiinfra.tenants.security_log.reading import note_reading


def rights(request: MemberRequest) -> dict[str, bool]:
    """The user's permissions here, as the templates name them."""
    can = request.principal.can
    return {
        "can_read": can("content:read"),
        "can_write": can("cache:write"),
        "can_manage": can("cache:manage"),
    }


def note_texts(request: MemberRequest, target: str) -> None:
    """Record that questions or answers are shown, if the user may read them."""
    if request.principal.can("content:read"):
        note_reading(request.principal, target)
