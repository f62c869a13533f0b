"""Where a call comes from."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest

_address: ContextVar[str | None] = ContextVar("caller_address", default=None)


def client_address(request: HttpRequest) -> str | None:
    """The caller's IP address; behind a proxy, the last address in the list, which the proxy itself saw."""
    address = str(request.META.get("REMOTE_ADDR", ""))
    if settings.SECURE_PROXY_SSL_HEADER and (forwarded := request.META.get("HTTP_X_FORWARDED_FOR")):
        address = str(forwarded).rsplit(",", 1)[-1].strip()
    try:
        return str(ip_address(address))
    except ValueError:
        return None


@contextmanager
def called_from(address: str | None) -> Iterator[None]:
    """Give audit events of the block this address."""
    token = _address.set(address)
    try:
        yield
    finally:
        _address.reset(token)


def caller_address() -> str | None:
    """The address of the current request; None in jobs and commands."""
    return _address.get()
