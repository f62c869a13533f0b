"""Shared parts of the cache pages."""

from aiinfra.tenants.access import MemberRequest


def rights(request: MemberRequest) -> dict[str, bool]:
    """The user's permissions here, as the templates name them."""
    can = request.principal.can
    return {
        "can_read": can("content:read"),
        "can_write": can("cache:write"),
        "can_manage": can("cache:manage"),
    }
