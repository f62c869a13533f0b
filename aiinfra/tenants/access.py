"""Declares who may open each view. A test walks the URLconf and fails for a view that declares nothing."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django_htmx.middleware import HtmxDetails

from aiinfra.tenants.authorization import PERMISSIONS, Principal
from aiinfra.tenants.models import Membership, User
from aiinfra.tenants.scope import installation_scope
from aiinfra.tenants.staff import STAFF_PREFIX, StaffRight, declared, has_right


class MemberRequest(HttpRequest):
    """What a view behind `permission_required` receives: a signed-in user working in one organization."""

    user: User
    principal: Principal
    membership: Membership
    htmx: HtmxDetails


ViewFunction = Callable[..., HttpResponseBase]
AnyView = TypeVar("AnyView", bound=Callable[..., Any])

PUBLIC = "public"
SIGNED_IN = "signed-in"


def permission_required(
    permission: str, *, or_staff: StaffRight | None = None
) -> Callable[[ViewFunction], ViewFunction]:
    """Allow members of an organization whose role has the permission: others get 403, strangers 404.

    `or_staff` also allows staff with that right, members or not: for data that applies to all organizations.
    Raises KeyError at import for a permission that the authorization table does not have.
    """
    PERMISSIONS[permission]

    def decorate(view: ViewFunction) -> ViewFunction:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            is_staff = or_staff is not None and has_right(request.user, or_staff)
            if not is_staff and not principal_of_request(request).can(permission):
                raise PermissionDenied(permission)
            return view(request, *args, **kwargs)

        return _declare(guarded, permission)

    return decorate


def staff_required(right: StaffRight) -> Callable[[ViewFunction], ViewFunction]:
    """Allow staff with the right, whether or not they are members of an organization: others get 403.

    For data that belongs to no organization and applies to all, such as the price book. `request.principal` is None
    for staff without an organization.
    """

    def decorate(view: ViewFunction) -> ViewFunction:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not has_right(request.user, right):
                raise PermissionDenied(right)
            return view(request, *args, **kwargs)

        return _declare(guarded, STAFF_PREFIX + right)

    return decorate


def installation_required(right: StaffRight) -> Callable[[ViewFunction], ViewFunction]:
    """Like `staff_required`, but the view's queries see the installation's rows and no organization's."""

    def decorate(view: ViewFunction) -> ViewFunction:
        @wraps(view)
        def scoped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            with installation_scope():
                return view(request, *args, **kwargs)

        return staff_required(right)(scoped)

    return decorate


def is_allowed(permission: str, principal: Principal | None, user: Any) -> bool:
    """Whether the person may open what declares this permission. `user` is None for no person, `principal` for someone
    without an organization.
    """
    if right := declared(permission):
        return user is not None and has_right(user, right)
    return permission == SIGNED_IN or (principal is not None and principal.can(permission))


def public(view: AnyView) -> AnyView:
    """Allow everyone, signed in or not."""
    return _declare(login_not_required(view), PUBLIC)


def signed_in(view: AnyView) -> AnyView:
    """Allow everyone who is signed in, member of an organization or not; the middleware checks the session."""
    return _declare(view, SIGNED_IN)


def principal_of_request(request: HttpRequest) -> Principal:
    """The caller. Raises Http404 for a user without an organization."""
    principal: Principal | None = getattr(request, "principal", None)
    if principal is None:
        raise Http404
    return principal


def _declare(view: AnyView, permission: str) -> AnyView:
    view.permission = permission  # type: ignore[attr-defined]
    return view
