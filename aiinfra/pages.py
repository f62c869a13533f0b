"""What the views of pages share: which part HTMX wants, and saying that something is done."""

from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpResponse
from django_htmx.http import trigger_client_event

from aiinfra.tenants.access import MemberRequest


@dataclass(frozen=True)
class UrlNames:
    """Looks like a mapping to templates: `names.alert` is `alert` or `installation_alert`."""

    prefix: str

    def __getitem__(self, name: str) -> str:
        return self.prefix + name


@dataclass(frozen=True)
class Desk:
    """Whose rows a set of pages shows: an organization's, or the installation's.

    Both have the same pages at addresses of their own. `{% url desk.names.alert alert.id %}` leads to the right one.
    """

    is_installation: bool = False

    @property
    def names(self) -> UrlNames:
        """The names of the addresses."""
        return UrlNames("installation_" if self.is_installation else "")

    def owner_id(self, request: MemberRequest) -> int | None:
        """The organization, or None for the installation."""
        return None if self.is_installation else request.principal.organization_id

    def allows(self, request: MemberRequest, permission: str) -> bool:
        """Whether the caller has the right here; staff may do everything to what is the installation's."""
        return self.is_installation or request.principal.can(permission)


ORGANIZATION, INSTALLATION = Desk(), Desk(is_installation=True)


def is_partial(request: MemberRequest) -> bool:
    """Whether HTMX asks for a part of the page; when it restores its history it needs the whole."""
    return bool(request.htmx) and not request.htmx.history_restore_request


def tell(request: MemberRequest, response: HttpResponse, level: str, text: str) -> HttpResponse:
    """Say it in a toast: at once with HTMX, else on the page that comes next."""
    if request.htmx:
        return trigger_client_event(response, "toast", {"level": level, "text": text})
    messages.add_message(request, getattr(messages, level.upper()), text)
    return response
