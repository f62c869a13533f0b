"""Re-check a caller's permissions while a long response is still being sent."""

import time
from collections.abc import Iterable, Iterator

from django.contrib.auth import get_user
from django.http import HttpRequest

from aiinfra.tenants import key_authentication
from aiinfra.tenants.authorization import PERMISSIONS, Principal
from aiinfra.tenants.caller import client_address
from aiinfra.tenants.login.sessions import live_session
from aiinfra.tenants.middleware import memberships_of, principal_of

CHECK_S = 2.0


class LostRightsError(RuntimeError):
    """The caller lost a permission while a file was being sent; the connection is aborted."""


def current_permissions(request: HttpRequest, principal: Principal) -> Principal | None:
    """The caller with their current role and scopes, or None if the key was revoked, the session ended, or the member
    was deactivated or removed.

    Costs at most one query for a key and four for a session.
    """
    if principal.api_key_id is not None:
        now = key_authentication.authenticate(request.META.get("HTTP_AUTHORIZATION"))
        return now if now and now.limits.allows(client_address(request)) else None
    # Load the session again: the one on the request dates from when the request arrived.
    stored = HttpRequest()
    stored.session = type(request.session)(request.session.session_key)
    stored.user = user = get_user(stored)
    if not user.is_authenticated or user.pk != principal.user_id or live_session(stored) is None:
        return None
    mine = (each for each in memberships_of(stored) if each.organization_id == principal.organization_id)
    membership = next(mine, None)
    return principal_of(membership) if membership else None


def while_allowed(request: HttpRequest, principal: Principal, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks of a file, checked every 2 seconds. Raises LostRightsError once the caller has lost any right."""
    check_at = time.monotonic() + CHECK_S
    for chunk in chunks:
        if time.monotonic() >= check_at:
            now = current_permissions(request, principal)
            if now is None or any(principal.can(each) and not now.can(each) for each in PERMISSIONS):
                raise LostRightsError(principal.actor)
            check_at = time.monotonic() + CHECK_S
        yield chunk
