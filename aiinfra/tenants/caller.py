"""The IP address of the caller."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from ipaddress import IPv6Network, ip_address

from django.conf import settings
from django.http import HttpRequest

from aiinfra.proxies import is_trusted_proxy

ADDRESS_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d+)?|([0-9.]+):\d+", re.ASCII)

IPV6_PREFIX = 64
"""One subscriber has at least this network, and could use a new IP address for each request."""

_address: ContextVar[str | None] = ContextVar("caller_address", default=None)


def client_address(request: HttpRequest) -> str | None:
    """The caller's IP address.

    Behind a proxy, it is the last one in `X-Forwarded-For`, which the proxy itself saw; with several known proxies, the
    last one that is none of them.
    """
    peer = str(request.META.get("REMOTE_ADDR", ""))
    forwarded = str(request.META.get("HTTP_X_FORWARDED_FOR", "")).split(",")
    if not is_trusted_proxy(peer) or not forwarded[-1].strip():
        return _parsed(peer)
    seen = [_parsed(each) for each in reversed(forwarded)]
    if not settings.TRUSTED_PROXIES:
        return seen[0]
    return next((each for each in seen if each is None or not is_trusted_proxy(each)), seen[-1])


def _parsed(text: str) -> str | None:
    """Some proxies add a port: `192.0.2.1:4711`, `[2001:db8::1]:4711`."""
    match = ADDRESS_WITH_PORT.fullmatch(text.strip())
    try:
        address = ip_address(match[1] or match[2] if match else text.strip())
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def network_of(address: str | None) -> str:
    """The key of per-address limits: an IPv4 address, or the network of an IPv6 address. "::/64" if unknown."""
    ip = ip_address(address or "::")
    return str(ip) if ip.version == 4 else str(IPv6Network((ip, IPV6_PREFIX), strict=False))


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
