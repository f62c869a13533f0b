"""Context of the base template: navigation, organization, organization switcher, and sandbox banner."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from aiinfra.tenants.access import is_allowed
from aiinfra.tenants.authorization import Principal
from aiinfra.tenants.staff import STAFF_PREFIX, RightsOf, StaffRight


@dataclass(frozen=True)
class NavigationLink:
    """A navigation entry: shown to users with the permission if its URL exists.

    Links for staff name the required right, as the views do.
    """

    group: str
    title: str
    url_name: str
    icon: str
    permission: str
    shortcut: str = ""
    """A keyboard shortcut: two keys, pressed one after the other."""
    is_primary: bool = False
    """Always visible on phones, where "More" opens the others."""
    or_staff: str = ""
    """Staff with this right also see the link."""


ALERTS = STAFF_PREFIX + StaffRight.MANAGE_ALERTS
NOTIFICATIONS = STAFF_PREFIX + StaffRight.MANAGE_NOTIFICATIONS
APPROVE_PRICES = STAFF_PREFIX + StaffRight.APPROVE_PRICES
SECURITY_LOG = STAFF_PREFIX + StaffRight.READ_SECURITY_LOG

NAVIGATION = [
    NavigationLink("Operate", "Queue", "queue_live", "queue-list", "queue:read", "g q", is_primary=True),
    NavigationLink("Operate", "Providers", "providers", "server-stack", "queue:read", "g d"),
    NavigationLink("Operate", "Cache", "cache", "bolt", "cache:read", "g s"),
    NavigationLink("Operate", "Playground", "playground", "play-circle", "chat:write", "g y"),
    NavigationLink("Operate", "First call", "first_call", "rocket-launch", "queue:read"),
    NavigationLink("Operate", "API reference", "reference", "book-open", "queue:read"),
    NavigationLink("Spend", "Costs", "costs", "chart-bar", "cost:read", "g c", is_primary=True),
    NavigationLink("Spend", "Budgets", "budgets", "banknotes", "cost:read", "g b", is_primary=True),
    NavigationLink("Spend", "Alerts", "alerts", "bell-alert", "cost:read", "g l", is_primary=True),
    NavigationLink("Spend", "Recommendations", "recommendations", "light-bulb", "cost:read", "g r"),
    NavigationLink("Spend", "Prices", "prices", "tag", "cost:read", "g p", or_staff=APPROVE_PRICES),
    NavigationLink("Spend", "Finance", "finance", "document-chart-bar", "finance:read", "g f"),
    NavigationLink("Administer", "Members", "members", "users", "member:read", "g m"),
    NavigationLink("Administer", "API keys", "keys", "key", "key:manage", "g k"),
    NavigationLink("Administer", "Fallback routes", "routes", "arrows-right-left", "queue:read"),
    NavigationLink("Administer", "Model aliases", "aliases", "at-symbol", "chat:write"),
    NavigationLink("Administer", "Organization", "organization", "building-office-2", "organization:write", "g o"),
    NavigationLink("Administer", "Privacy", "privacy", "eye-slash", "privacy:manage"),
    NavigationLink("Administer", "Single sign-on", "sso_settings", "identification", "sso:manage"),
    NavigationLink("Administer", "Notifications", "notifications", "megaphone", "notification:manage", "g n"),
    NavigationLink("Administer", "Audit log", "audit", "clipboard-document-list", "audit:read", "g a"),
    NavigationLink("Installation", "Installation alerts", "installation_alerts", "bell-alert", ALERTS),
    NavigationLink("Installation", "Staff notifications", "installation_notifications", "megaphone", NOTIFICATIONS),
    NavigationLink("Installation", "Alert thresholds", "installation_settings", "adjustments-horizontal", ALERTS),
    NavigationLink("Installation", "Staff", "staff", "identification", SECURITY_LOG),
    NavigationLink("Installation", "Security log", "security_log", "shield-check", SECURITY_LOG),
]


@dataclass(frozen=True)
class Link:
    """A navigation link for the template."""

    title: str
    url: str
    url_name: str
    icon: str
    shortcut: str
    is_current: bool
    is_primary: bool


def base_template(request: HttpRequest) -> dict[str, Any]:
    """Context processor; adds no query to the request, except for staff who are not superusers."""
    principal: Principal | None = getattr(request, "principal", None)
    membership = getattr(request, "membership", None)
    return {
        "principal": principal,
        "membership": membership,
        "memberships": getattr(request, "memberships", []),
        "organization": membership.organization if membership else None,
        "navigation": navigation(principal, request.path, getattr(request, "user", None)),
        "staff": RightsOf(getattr(request, "user", None)),
        "sandbox": sandbox_in_use(),
    }


def navigation(principal: Principal | None, path: str, user: Any = None) -> dict[str, list[Link]]:
    """The links that the caller may open, by group title."""
    groups: dict[str, list[Link]] = {}
    for page in NAVIGATION:
        url = _address(page.url_name)
        if url and _is_shown(page, principal, user):
            groups.setdefault(page.group, []).append(
                Link(page.title, url, page.url_name, page.icon, page.shortcut, path.startswith(url), page.is_primary)
            )
    return groups


def _is_shown(page: NavigationLink, principal: Principal | None, user: Any) -> bool:
    permissions = filter(None, (page.permission, page.or_staff))
    return any(is_allowed(permission, principal, user) for permission in permissions)


def _address(url_name: str) -> str | None:
    try:
        return reverse(url_name)
    except NoReverseMatch:
        return None


def sandbox_in_use() -> bool:
    """Whether requests go to the sandbox provider. Every page must say so."""
    from aiinfra.providers.registry import sandbox_url

    return sandbox_url() is not None
