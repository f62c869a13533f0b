"""`/settings/security/` and the reset of a forgotten password."""

import uuid
from typing import cast

from allauth.account import views as account
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from aiinfra.plurals import plural
from aiinfra.tenants.access import public, signed_in
from aiinfra.tenants.audit import user_actor
from aiinfra.tenants.login import sessions
from aiinfra.tenants.login.middleware import without_referrer
from aiinfra.tenants.models import User
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.recorder import record

WITHOUT_TOKEN = "set-password"  # noqa: S105 - no secret
"""What allauth puts in the place of the token."""


@signed_in
@never_cache
@require_GET
def security(request: HttpRequest) -> HttpResponse:
    """Password, second factors and sessions of the person."""
    user = cast(User, request.user)
    factors = list(Authenticator.objects.filter(user=user).order_by("created_at", "pk"))
    kinds = Authenticator.Type
    context = {
        "app": next((each for each in factors if each.type == kinds.TOTP), None),
        "passkeys": [each.wrap() for each in factors if each.type == kinds.WEBAUTHN],
        "recovery": next((each.wrap() for each in factors if each.type == kinds.RECOVERY_CODES), None),
        "sessions": list(sessions.visible_sessions(request)),
        "current_session": sessions.current_id(request),
        "has_own_login": sessions.bound_to(request) is None,
    }
    return render(request, "tenants/security.html", context)


@signed_in
@require_POST
def end_session(request: HttpRequest, session_id: uuid.UUID) -> HttpResponse:
    """Log out of one session. 404 for another person's."""
    user = cast(User, request.user)
    row = get_object_or_404(sessions.visible_sessions(request), pk=session_id)
    row.delete()
    record(Event.SESSION_ENDED, actor=user_actor(user), target=user.get_username(), details={"sessions": 1})
    messages.success(request, "The session was logged out.")
    return redirect("mfa_index")


@signed_in
@require_POST
def end_other_sessions(request: HttpRequest) -> HttpResponse:
    """Log out everywhere else."""
    count = sessions.end_sessions(
        cast(User, request.user),
        except_for=request,
        organization_id=sessions.bound_to(request),
        why="ended by the person",
    )
    messages.success(request, f"{plural(count, 'other session')} logged out.")
    return redirect("mfa_index")


@public
@never_cache
@require_http_methods(["GET", "POST"])
def forgot_password(request: HttpRequest) -> HttpResponseBase:
    """Send a link by email. Without a mail server, say who can help instead."""
    if not settings.EMAIL_HOST:
        return render(request, "account/password_reset_unavailable.html")
    response: HttpResponseBase = account.password_reset(request)
    return response


@public
@never_cache
@require_http_methods(["GET", "POST"])
def reset_password(request: HttpRequest, uidb36: str, key: str) -> HttpResponseBase:
    """The link in the email. allauth moves its token to the session and redirects to a form without it."""
    response: HttpResponse = account.password_reset_from_key(request, uidb36=uidb36, key=key)
    # The form keeps its referrer: without one, browsers send no Origin, and the CSRF check fails.
    return response if key == WITHOUT_TOKEN else without_referrer(response)


@public
@require_GET
def password_was_reset(_request: HttpRequest) -> HttpResponse:
    """Back to the login page."""
    return redirect("login")
