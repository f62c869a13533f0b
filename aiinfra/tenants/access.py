"""How a view says who may see it. A test walks the URLconf and fails for one that does not say."""

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


class MemberRequest(HttpRequest):
    """What a view behind `permission_required` gets: somebody who is logged in and at work in one organization."""

    user: User
    principal: Principal
    membership: Membership
    htmx: HtmxDetails


View = Callable[..., HttpResponseBase]
AnyView = TypeVar("AnyView", bound=Callable[..., Any])

PUBLIC = "public"
SIGNED_IN = "signed-in"
STAFF = "staff"


def permission_required(permission: str) -> Callable[[View], View]:
    """For members of an organization that have the right: others get 403, strangers 404.

    Raises KeyError at import for a right that the authorization table does not have.
    """
    PERMISSIONS[permission]

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not principal_of_request(request).can(permission):
                raise PermissionDenied(permission)
            return view(request, *args, **kwargs)

        return _declare(guarded, permission)

    return decorate


def staff_required(view: View) -> View:
    """For those who run the installation (`is_staff`), at work in one of its organizations: others get 403.

    For what belongs to no organization and holds for all, as the price book does.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        principal_of_request(request)
        if not request.user.is_staff:
            raise PermissionDenied(STAFF)
        return view(request, *args, **kwargs)

    return _declare(guarded, STAFF)


def installation_required(view: View) -> View:
    """As `staff_required`; the view's queries see the installation's rows, and none of an organization."""

    @wraps(view)
    def scoped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with installation_scope():
            return view(request, *args, **kwargs)

    return staff_required(scoped)


def public(view: AnyView) -> AnyView:
    """For everyone, without a log-in."""
    return _declare(login_not_required(view), PUBLIC)


def signed_in(view: AnyView) -> AnyView:
    """For everyone who is logged in, whatever his organizations; the middleware sees to it."""
    return _declare(view, SIGNED_IN)


def principal_of_request(request: HttpRequest) -> Principal:
    """The caller. Raises Http404 for a person without an organization."""
    principal: Principal | None = getattr(request, "principal", None)
    if principal is None:
        raise Http404
    return principal


def _declare(view: AnyView, permission: str) -> AnyView:
    view.permission = permission  # type: ignore[attr-defined]
    return view
