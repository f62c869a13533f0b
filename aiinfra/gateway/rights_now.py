"""What a caller may do now, asked again while an answer goes on."""

from django.contrib.auth import get_user
from django.db import close_old_connections
from django.http import HttpRequest

from aiinfra.api import ApiCall
from aiinfra.tenants import keys
from aiinfra.tenants.authorization import Principal
from aiinfra.tenants.middleware import principal_of
from aiinfra.tenants.models import Membership


def rights_now(call: ApiCall) -> Principal | None:
    """The caller with today's role and scopes; None once the key is revoked, the session over, or the member removed.

    At most one query for a key, three for a session.
    """
    try:
        if call.principal.user_id is None:
            return keys.authenticate(call.http.META.get("HTTP_AUTHORIZATION"))
        return _member(call)
    finally:
        close_old_connections()  # back to the pool: this thread will wait


def _member(call: ApiCall) -> Principal | None:
    # The session as it is stored now: that of the request is what it was when the request came.
    stored = HttpRequest()
    stored.session = type(call.http.session)(call.http.session.session_key)
    user = get_user(stored)
    if not user.is_authenticated or user.pk != call.principal.user_id:
        return None
    mine = Membership.objects.filter(user_id=user.pk, organization_id=call.principal.organization_id)
    membership = mine.select_related("organization", "user").first()
    return principal_of(membership) if membership else None
