"""Request body limits: 1 MiB, unless the view accepts larger bodies from signed-in users and API keys. A larger body
needs a `Content-Length`.
"""

from collections.abc import Callable
from typing import TypeVar

from django.urls import Resolver404, resolve

MIB = 1024 * 1024
BODY_BYTES_MAX = MIB

View = TypeVar("View", bound=Callable[..., object])


def accepts_bodies_up_to(size: int) -> Callable[[View], View]:
    """Decorator for a view that accepts bodies up to this size in bytes from signed-in users and API keys."""

    def decorate(view: View) -> View:
        view.body_bytes_max = size  # type: ignore[attr-defined]
        return view

    return decorate


def largest_body(path: str) -> int:
    """The limit in bytes for a URL path, even if nothing is served there."""
    try:
        view = resolve(path).func
    except Resolver404:
        return BODY_BYTES_MAX
    return int(getattr(view, "body_bytes_max", BODY_BYTES_MAX))
