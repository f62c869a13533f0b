"""Staff need a second factor where `STAFF_SECOND_FACTOR` is on."""

from collections.abc import Mapping
from typing import Any

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from aiinfra.middleware import GetResponse
from aiinfra.tenants.models import User

REQUIRED = "Administrators of this installation need a second factor. Add one to continue."
ALWAYS_OPEN = {"logout", "plotly_js"}


def second_factors(user: User) -> QuerySet[Authenticator]:
    """Apps and passkeys; recovery codes only stand in for them."""
    factors: QuerySet[Authenticator] = Authenticator.objects.filter(user=user)
    return factors.exclude(type=Authenticator.Type.RECOVERY_CODES)


def must_keep_second_factor(authenticator: Authenticator) -> bool:
    """Whether it is the last one of a person who needs one."""
    user = authenticator.user
    others = second_factors(user).exclude(pk=authenticator.pk)
    is_one = authenticator.type != Authenticator.Type.RECOVERY_CODES
    return bool(settings.STAFF_SECOND_FACTOR and user.is_staff and is_one and not others.exists())


class RequireSecondFactor:
    """Middleware: staff without one can only add one."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, _args: tuple[Any, ...], _kwargs: Mapping[str, Any]
    ) -> HttpResponse | None:
        """Redirect to the page with the second factors; scripts of an open page get 403."""
        if not settings.STAFF_SECOND_FACTOR or not request.user.is_authenticated or not request.user.is_staff:
            return None
        if _is_open(request, view) or second_factors(request.user).exists():
            return None
        if request.method != "GET" or "HX-Request" in request.headers:
            raise PermissionDenied(REQUIRED)
        messages.warning(request, REQUIRED)
        return redirect("mfa_index")


def _is_open(request: HttpRequest, view: Any) -> bool:
    name = request.resolver_match.url_name if request.resolver_match else None
    is_public = not getattr(view, "login_required", True)
    return is_public or name in ALWAYS_OPEN or request.path.startswith(reverse("mfa_index"))
