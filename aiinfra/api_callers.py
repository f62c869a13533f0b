"""Resolves the caller of a JSON API request, its organization, and the user it acts for."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.middleware.csrf import CsrfViewMiddleware

from aiinfra.api_limits import count_refused
from aiinfra.failures import ApiError, not_found
from aiinfra.names import normal_name
from aiinfra.tenants import key_authentication
from aiinfra.tenants.authorization import Principal
from aiinfra.tenants.middleware import principal_of
from aiinfra.tenants.models import Membership


def credential_of(request: HttpRequest) -> str:
    """The `Authorization` header; empty if there is none."""
    return str(request.META.get("HTTP_AUTHORIZATION", ""))


def authenticate(
    request: HttpRequest, owner_of: Callable[[str], Principal | None] = key_authentication.authenticate
) -> tuple[Principal, bool]:
    """The caller, and whether they use a browser session. Raises ApiError 401, or 404 without an organization.

    `owner_of` finds the owner of an API key.
    """
    if header := credential_of(request):
        if principal := owner_of(header):
            return principal, False
        count_refused(request)
        raise _unauthorized("Invalid API key.")
    if not request.user.is_authenticated:
        count_refused(request)
        raise _unauthorized("Send an API key in the header `Authorization: Bearer <key>`.")
    if principal := getattr(request, "principal", None):
        return principal, True
    raise not_found()


def _unauthorized(message: str) -> ApiError:
    return ApiError(401, "unauthorized", message, headers={"WWW-Authenticate": 'Bearer realm="aiinfra"'})


class _CsrfCheck(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> HttpResponseForbidden:  # noqa: ARG002 - as in the base
        return HttpResponseForbidden(reason)


def check_csrf(request: HttpRequest) -> None:
    """API keys need no CSRF token, so the views are exempt; a session needs one.

    Runs after the body has been read as JSON. Before that, Django would parse the body as a form to find the token.
    """
    check = _CsrfCheck(HttpResponse)
    check.process_request(request)
    if check.process_view(request, HttpResponse, (), {}):
        message = "Send the session's CSRF token in the header X-CSRFToken, or use an API key."
        raise ApiError(403, "csrf_failed", message)


def in_organization(principal: Principal, slug: object, request: HttpRequest) -> Principal:
    """The caller in the organization that the request names.

    A single sign-on session can access only its own organization; a password session, only those that don't require
    single sign-on. Raises ApiError 404 for any other organization, 400 if the name is malformed.
    """
    if slug is None or slug == principal.organization_slug:
        return principal
    if not isinstance(slug, str):
        raise ApiError(400, "invalid_request", "This must be a string.", param="organizationId")
    if principal.user_id is None:
        raise not_found()
    mine: list[Membership] = getattr(request, "memberships", [])
    membership = next((each for each in mine if each.organization.slug == slug), None)
    if membership is None:
        raise not_found()
    return principal_of(membership)


def check_user(principal: Principal, request: HttpRequest, named: str) -> None:
    """Raise ApiError 403 if the caller may not act for the named user.

    A session acts for its own user. A key with the scope `user:name` acts for any user, other keys for none.
    """
    if not named or principal.can("user:name"):
        return
    if principal.api_key_id is not None:
        message = "This key can't name users. It requires the scope user:name."
        raise ApiError(403, "forbidden", message, param="userId")
    if named != normal_name(request.user.get_username()):
        message = "A browser session can only name its own user. Use an API key with the scope user:name."
        raise ApiError(403, "forbidden", message, param="userId")
