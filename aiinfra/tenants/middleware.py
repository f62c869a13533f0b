"""Resolves the user and organization of a signed-in session."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from aiinfra.middleware import GetResponse
from aiinfra.tenants.audit import user_actor
from aiinfra.tenants.authorization import Principal, Role
from aiinfra.tenants.caller import called_from, client_address
from aiinfra.tenants.login.sessions import bound_to
from aiinfra.tenants.models import Membership
from aiinfra.tenants.scope import organization_scope
from aiinfra.tenants.sso.enforcement import enforcing_organizations
from aiinfra.tenants.staff import StaffRight, has_right

SESSION_KEY = "organization_id"
WORKER_PAGES = ("/admin/django-rq/", "/admin/django_rq/")


def session_principal(get_response: GetResponse) -> GetResponse:
    """Middleware: sets `request.principal`, `request.membership` and `request.memberships` from the session.

    Queries of the request see only the chosen organization, and times are shown in its time zone. Permissions are read
    on every request, so a new role applies to the next request. A streamed body is read after this: it must set its own
    scope.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        memberships = memberships_of(request)
        membership = _chosen(request, memberships)
        request.memberships = memberships  # type: ignore[attr-defined]
        request.membership = membership  # type: ignore[attr-defined]
        request.principal = principal_of(membership) if membership else None  # type: ignore[attr-defined]
        with called_from(client_address(request)), _scope_of(membership):
            return get_response(request)

    return middleware


@contextmanager
def _scope_of(membership: Membership | None) -> Iterator[None]:
    if membership is None:
        yield
        return
    with organization_scope(membership.organization_id), timezone.override(zone_of(membership)):
        yield


def principal_of(membership: Membership) -> Principal:
    """The caller that a membership describes."""
    return Principal(
        organization_id=membership.organization_id,
        organization_slug=membership.organization.slug,
        role=Role(membership.role),
        actor=user_actor(membership.user),
        user_id=membership.user_id,
    )


def zone_of(membership: Membership) -> ZoneInfo:
    """The organization's time zone."""
    return ZoneInfo(membership.organization.time_zone)


def memberships_of(request: HttpRequest) -> list[Membership]:
    """What the session may see: through single sign-on, that organization; else all that do not require it."""
    if not request.user.is_authenticated:
        return []
    mine = request.user.memberships.select_related("organization").order_by("organization__name", "id")
    if (organization_id := bound_to(request)) is not None:
        return list(mine.filter(organization_id=organization_id))
    return list(mine.exclude(organization__in=enforcing_organizations()))


def _chosen(request: HttpRequest, memberships: list[Membership]) -> Membership | None:
    """The membership that the session names, otherwise the oldest."""
    if not memberships:
        return None
    wanted = request.session.get(SESSION_KEY)
    return next(
        (each for each in memberships if each.organization_id == wanted), min(memberships, key=lambda each: each.pk)
    )


class WorkerPages:
    """The pages of django-rq ask for staff only. They can empty the queue, so they need the right to operate queues."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_view: Any) -> None:
        """Raises PermissionDenied."""
        is_theirs = request.path_info.startswith(WORKER_PAGES)
        if is_theirs and request.user.is_authenticated and not has_right(request.user, StaffRight.OPERATE_QUEUES):
            raise PermissionDenied(StaffRight.OPERATE_QUEUES)
