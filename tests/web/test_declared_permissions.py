"""Every URL declares its permission, so that a view without access control fails here."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from aiinfra.tenants.access import PUBLIC, SIGNED_IN, permission_required
from aiinfra.tenants.authorization import PERMISSIONS
from aiinfra.tenants.staff import STAFF_PREFIX, StaffRight

STAFF_ONLY = ("admin/",)
STAFF_RIGHTS = {STAFF_PREFIX + right for right in StaffRight}
PUBLIC_ADDRESSES = {
    "login/",
    "login/second-factor/",
    "login/passkey/",
    "password/forgot/",
    "password/forgot/sent/",
    r"^password/reset/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>[-\w]+)/$",
    "password/reset/",
    "sso/",
    "sso/callback/",
    "sso/<slug:slug>/",
    "invitation/",
    "invitations/<slug:token>/",
    "assets/plotly-<str:release>.min.js",
    "api/schema",
    "healthz",
    "readyz",
}


def url_patterns_of(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for entry in resolver.url_patterns:
        here = prefix + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield here, entry.callback
        else:
            yield from url_patterns_of(entry, here)


def own_views() -> list[tuple[str, Any]]:
    return [(path, view) for path, view in url_patterns_of(get_resolver()) if not path.startswith(STAFF_ONLY)]


def is_declared(view: Any) -> bool:
    permission = getattr(view, "permission", None)
    return hasattr(view, "operations") or permission in {PUBLIC, SIGNED_IN, *PERMISSIONS, *STAFF_RIGHTS}


def test_every_view_declares_its_permission() -> None:
    assert len(own_views()) > 15
    assert [path for path, view in own_views() if not is_declared(view)] == []


def test_only_listed_views_are_public() -> None:
    assert {path for path, view in own_views() if getattr(view, "permission", None) == PUBLIC} == PUBLIC_ADDRESSES


def test_a_view_without_login_is_declared_public() -> None:
    open_ones = [(path, view) for path, view in own_views() if not getattr(view, "login_required", True)]
    assert [path for path, view in open_ones if not hasattr(view, "operations") and path not in PUBLIC_ADDRESSES] == []


def test_declaring_an_unknown_permission_raises_an_error() -> None:
    with pytest.raises(KeyError):
        permission_required("no:such")
