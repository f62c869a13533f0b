"""The sessions of people: a list, a way to end each of them, and when they expire."""

import uuid
from contextlib import suppress
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, cast

from django.conf import settings
from django.contrib import auth
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from aiinfra.failures import DATABASE_AWAY
from aiinfra.middleware import GetResponse
from aiinfra.tenants.access import AnyView, signed_in
from aiinfra.tenants.audit import user_actor
from aiinfra.tenants.caller import client_address
from aiinfra.tenants.models import PersonSession, User
from aiinfra.tenants.security_log.events import Event
from aiinfra.tenants.security_log.recorder import record

SESSION_KEY = "person_session"
ORGANIZATION_KEY = "sso_organization"
NOWHERE = uuid.UUID(int=0)
EVENT_STREAM = "text/event-stream"
SEEN_EVERY = timedelta(minutes=1)
"""How often a request writes that a session is in use."""


def begin(request: HttpRequest, user: User, **_: Any) -> None:
    """Receiver of Django's `user_logged_in`: whichever code logs a person in, the session is in the list."""
    PersonSession.objects.filter(_is_over(), user=user).delete()
    row = PersonSession.objects.create(
        user=user,
        ip_address=client_address(request),
        user_agent=request.META.get("HTTP_USER_AGENT", "")[:200],
    )
    request.session[SESSION_KEY] = str(row.pk)


def bind_to_organization(request: HttpRequest, organization_id: int) -> None:
    """Let the session see only the organization whose identity provider opened it: others never agreed to trust it."""
    PersonSession.objects.filter(pk=current_id(request)).update(organization_id=organization_id)
    request.session[ORGANIZATION_KEY] = organization_id


def bound_to(request: HttpRequest) -> int | None:
    """The only organization that the session may see; None for a session that began with a password or passkey."""
    found: int | None = request.session.get(ORGANIZATION_KEY)
    return found


def with_own_login(view: AnyView) -> AnyView:
    """Allow people who are signed in with a password or a passkey, and refuse those who came through single sign-on.

    For how a person logs in: the provider of one organization must not add a passkey that opens all others. allauth
    asks for a password or a factor before, but that is its default and not our rule.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated and bound_to(request) is not None:
            raise PermissionDenied("single sign-on")
        response: HttpResponseBase = view(request, *args, **kwargs)
        return response

    return signed_in(cast(AnyView, guarded))


def visible_sessions(request: HttpRequest) -> QuerySet[PersonSession]:
    """The sessions that the person may see and end from here: through single sign-on, only those through it."""
    rows = active_sessions(cast(User, request.user))
    organization_id = bound_to(request)
    return rows if organization_id is None else rows.filter(organization_id=organization_id)


def active_sessions(user: User) -> QuerySet[PersonSession]:
    """The sessions in which the person is logged in, the last used first."""
    return PersonSession.objects.filter(~_is_over(), user=user).order_by("-last_seen_at", "pk")


def current_id(request: HttpRequest) -> uuid.UUID:
    """The row of the request's session; an id that no row has if there is none."""
    return uuid.UUID(request.session.get(SESSION_KEY, str(NOWHERE)))


def live_session(request: HttpRequest) -> PersonSession | None:
    """The row of the request's session; None if it was ended elsewhere, has expired, or its user may not use it."""
    row = PersonSession.objects.filter(~_is_over(), pk=current_id(request), user=request.user.pk).first()
    if row is None or row.organization_id != bound_to(request):
        return None
    if row.organization_id is not None and request.user.is_staff:
        return None
    return row


def end_sessions(
    user: User,
    *,
    except_for: HttpRequest | None = None,
    organization_id: int | None = None,
    begun_before: datetime | None = None,
    why: str,
) -> int:
    """Log the person out of all sessions except the request's. The next request of each one is anonymous.

    With an organization, only out of those through its single sign-on; with a time, only out of older ones. `why` goes
    into the security log. Returns the number of sessions.
    """
    rows = PersonSession.objects.filter(user=user)
    if organization_id is not None:
        rows = rows.filter(organization_id=organization_id)
    if begun_before is not None:
        rows = rows.filter(created_at__lt=begun_before)
    if except_for is not None:
        rows = rows.exclude(pk=current_id(except_for))
    count, _ = rows.delete()
    if count:
        details = {"sessions": count, "reason": why}
        record(Event.SESSION_ENDED, actor=user_actor(user), target=user.get_username(), details=details)
    return count


def end_session(request: HttpRequest) -> None:
    """Log out of the request's session."""
    user = cast(User, request.user)
    PersonSession.objects.filter(pk=current_id(request)).delete()
    record(Event.LOG_OUT, actor=user_actor(user), target=user.get_username())
    auth.logout(request)


def check_session(get_response: GetResponse) -> GetResponse:
    """Middleware: logs out sessions that were ended elsewhere, that were idle for `SESSION_IDLE_HOURS`, or that are
    older than `SESSION_MAX_HOURS`.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.user.is_authenticated and not _is_alive(request):
            auth.logout(request)
        return get_response(request)

    return middleware


def _is_alive(request: HttpRequest) -> bool:
    row = live_session(request)
    if row is None:
        return False
    now = timezone.now()
    if _is_by_a_person(request) and now - row.last_seen_at >= SEEN_EVERY:
        with suppress(*DATABASE_AWAY):  # a database that takes no writes can still be read
            PersonSession.objects.filter(pk=row.pk).update(last_seen_at=now, ip_address=client_address(request))
    return True


def _is_by_a_person(request: HttpRequest) -> bool:
    """Whether a person sent the request: open pages poll without user activity."""
    is_poll = "HX-Request" in request.headers or request.headers.get("Accept") in {"application/json", EVENT_STREAM}
    return request.method != "GET" or not is_poll


def _is_over() -> Q:
    now = timezone.now()
    return Q(last_seen_at__lt=now - timedelta(hours=settings.SESSION_IDLE_HOURS)) | Q(
        created_at__lt=now - timedelta(hours=settings.SESSION_MAX_HOURS)
    )
