"""Helpers for page views: owners, partial pages for HTMX, and toasts."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, NamedTuple

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page
from django_htmx.http import trigger_client_event

from aiinfra.tenants.access import MemberRequest, ViewFunction, installation_required, permission_required
from aiinfra.tenants.staff import StaffRight


@dataclass(frozen=True)
class UrlNames:
    """A mapping for templates: `names.alert` is `alert` or `installation_alert`."""

    prefix: str

    def __getitem__(self, name: str) -> str:
        return self.prefix + name


@dataclass(frozen=True)
class PageOwner:
    """Whose rows a set of pages shows: an organization's, or the installation's.

    Both have the same pages at different URLs. `{% url owner.names.alert alert.id %}` leads to the right one.
    """

    is_installation: bool = False

    @property
    def names(self) -> UrlNames:
        """The names of the URLs."""
        return UrlNames("installation_" if self.is_installation else "")

    def owner_id(self, request: MemberRequest) -> int | None:
        """The organization, or None for the installation."""
        return None if self.is_installation else request.principal.organization_id

    def allows(self, request: MemberRequest, permission: str) -> bool:
        """Whether the caller has the permission here; staff have every permission for the installation's rows."""
        return self.is_installation or request.principal.can(permission)


ORGANIZATION, INSTALLATION = PageOwner(), PageOwner(is_installation=True)


class OwnerViews(NamedTuple):
    """The views of one page: an organization's, for members with the permission; the installation's, for staff."""

    organization: ViewFunction
    installation: ViewFunction


def owner_views(permission: str, right: StaffRight) -> Callable[[Callable[..., HttpResponseBase]], OwnerViews]:
    """Make both views of a function that takes the request, the owner, and the parts of the address.

    Members of an organization need the permission, staff the right.
    """

    def decorate(view: Callable[..., HttpResponseBase]) -> OwnerViews:
        @wraps(view)
        def organization(request: HttpRequest, **address: Any) -> HttpResponseBase:
            return view(request, ORGANIZATION, **address)

        @wraps(view)
        def installation(request: HttpRequest, **address: Any) -> HttpResponseBase:
            return view(request, INSTALLATION, **address)

        return OwnerViews(permission_required(permission)(organization), installation_required(right)(installation))

    return decorate


def is_partial(request: MemberRequest) -> bool:
    """Whether HTMX requests part of the page; when it restores its history it needs the whole page."""
    return bool(request.htmx) and not request.htmx.history_restore_request


def kept_by_open_pages(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Decorator for parts that an open page polls: HTMX gets 304 if nothing has changed, so that the browser keeps the
    part. A whole page is never cached.
    """
    revalidated = cache_control(private=True, no_cache=True)(conditional_page(view))

    @wraps(view)
    def choose(request: MemberRequest, **address: Any) -> HttpResponse:
        response: HttpResponse = revalidated(request, **address) if is_partial(request) else view(request, **address)
        return response

    return choose


def with_toast(request: MemberRequest, response: HttpResponse, level: str, text: str) -> HttpResponse:
    """Show a toast: immediately with HTMX, otherwise on the next page."""
    if request.htmx:
        return trigger_client_event(response, "toast", {"level": level, "text": text})
    messages.add_message(request, getattr(messages, level.upper()), text)
    return response
