"""Re-check a caller's permissions while a long response is still streaming."""

from django.contrib.auth import get_user
from django.http import HttpRequest

from aiinfra.api import ApiCall
from aiinfra.gateway.waiting_threads import release_connections
from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Principal
from aiinfra.tenants.middleware import principal_of
from aiinfra.tenants.models import Membership


def current_permissions(call: ApiCall) -> Principal | None:
    """The caller with their current role and scopes, or None if the key was revoked, the session ended, or the member
    was removed.

    Costs at most one query for a key and three for a session.
    """
    try:
        if call.principal.user_id is None:
            return keys.authenticate(call.http.META.get("HTTP_AUTHORIZATION"))
        return _member(call)
    finally:
        release_connections()


def _member(call: ApiCall) -> Principal | None:
    # Load the session again: the one on the request dates from when the request arrived.
    stored = HttpRequest()
    stored.session = type(call.http.session)(call.http.session.session_key)
    user = get_user(stored)
    if not user.is_authenticated or user.pk != call.principal.user_id:
        return None
    mine = Membership.objects.filter(user_id=user.pk, organization_id=call.principal.organization_id)
    membership = mine.select_related("organization", "user").first()
    return principal_of(membership) if membership else None
