"""Redis behind Sentinels: `redis+sentinel://user:password@host:port,host:port/service/number?option=value`.

redis-py has no URL for Sentinels. This is the one that other libraries use. `rediss+sentinel://` uses TLS everywhere.
"""

import re
from dataclasses import dataclass
from typing import Any

SCHEMES = {"redis+sentinel": "redis", "rediss+sentinel": "rediss"}
PORT = 26_379
WORDS = "must be redis+sentinel://host:port,host:port/service/number"
LOGIN = ("username", "password")
PREFIX = "sentinel_"
"""Prefix of the options that log in to the Sentinels; the user before the @ logs in to Redis."""


@dataclass(frozen=True)
class Sentinels:
    """Where the Sentinels are, and redis-py's options for connections to Redis (`server`) and to them (`sentinel`)."""

    addresses: tuple[tuple[str, int], ...]
    service: str
    server: dict[str, Any]
    sentinel: dict[str, Any]


def sentinels_of(url: str) -> Sentinels | None:
    """None for a URL with another scheme. Raises ValueError if it is invalid."""
    from redis.connection import parse_url

    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES:
        return None
    place, _, query = rest.partition("?")
    authority, _, path = place.partition("/")
    login, at, hosts = authority.rpartition("@")
    service, _, number = path.partition("/")
    if not service or not re.fullmatch(r"[0-9]{0,6}", number, re.ASCII):
        raise ValueError(WORDS)
    server = parse_url(f"{SCHEMES[scheme]}://{login}{at}service/{number}?{query}")
    for name in ("host", "port", "connection_class"):
        server.pop(name, None)
    tls = {"ssl": True} if scheme.startswith("rediss") else {}
    tls |= {name: value for name, value in server.items() if name.startswith("ssl_")}
    logins = {name: server.pop(PREFIX + name) for name in LOGIN if PREFIX + name in server}
    return Sentinels(tuple(map(_address, hosts.split(","))), service, {**server, **tls}, {**logins, **tls})


def _address(text: str) -> tuple[str, int]:
    match = re.fullmatch(r"(\[[0-9a-f:.]+\]|[^\s:@\[\]]+)(?::([0-9]{1,5}))?", text, re.IGNORECASE | re.ASCII)
    if match is None or not 0 < int(match[2] or PORT) < 65_536:
        raise ValueError(WORDS)
    return match[1].strip("[]"), int(match[2] or PORT)


def rq_address(url: str) -> dict[str, Any]:
    """The URL as django-rq options, because its pages open their own connections."""
    found = sentinels_of(url)
    if found is None:
        return {"URL": url}
    return {
        "SENTINELS": list(found.addresses),
        "MASTER_NAME": found.service,
        "CONNECTION_KWARGS": found.server,
        "SENTINEL_KWARGS": found.sentinel,
    }
