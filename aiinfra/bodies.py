"""How large the body of a request may be: 1 MiB, unless the view of that URL accepts more from signed-in users and API
keys. A larger body needs a `Content-Length`.
"""

from collections.abc import Callable
from typing import TypeVar

from django.urls import Resolver404, resolve

MIB = 1024 * 1024
BODY_BYTES_MAX = MIB

View = TypeVar("View", bound=Callable[..., object])


def accepts_bodies_up_to(size: int) -> Callable[[View], View]:
    """Decorator of a view that takes bodies of this many bytes, from signed-in users and API keys only."""

    def decorate(view: View) -> View:
        view.body_bytes_max = size  # type: ignore[attr-defined]
        return view

    return decorate


def largest_body(path: str) -> int:
    """The limit in bytes at a URL path, which need not exist."""
    try:
        view = resolve(path).func
    except Resolver404:
        return BODY_BYTES_MAX
    return int(getattr(view, "body_bytes_max", BODY_BYTES_MAX))
