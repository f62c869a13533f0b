"""What the pages of the cache share."""

from aiinfra.tenants.access import MemberRequest


def rights(request: MemberRequest) -> dict[str, bool]:
    """What the person may do here, as the templates name it."""
    can = request.principal.can
    return {
        "can_read": can("content:read"),
        "can_write": can("cache:write"),
        "can_manage": can("cache:manage"),
    }
