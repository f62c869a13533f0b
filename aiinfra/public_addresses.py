"""Distinguishes public IP addresses from private ones."""

import ipaddress
import socket
from collections.abc import Sequence

LOCALHOST = "localhost"
"""It and all names below it are loopback (RFC 6761, section 6.3)."""

# IPv6 ranges that embed an IPv4 address (NAT64, Teredo, 6to4), which may be private, and ranges that `ipaddress` treats
# as global although nothing public is there: the old site-local range, and two IPv4 ranges of IETF protocols.
_NEVER_PUBLIC = [
    ipaddress.ip_network(text)
    for text in (
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/32",
        "2002::/16",
        "fec0::/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
    )
]


def is_public(address: str) -> bool:
    """Whether an IP address is a public unicast address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        return is_public(str(ip.ipv4_mapped))
    if any(ip in network for network in _NEVER_PUBLIC):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def resolve(host: str, port: int | None, flags: int = 0) -> list[str]:
    """The addresses of a host. Raises OSError and UnicodeError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def are_public(addresses: Sequence[str]) -> bool:
    """Whether a host with these addresses may be called: it has some, and all of them are public."""
    return bool(addresses) and all(map(is_public, addresses))


def is_private_literal(host: str) -> bool:
    """Whether a URL's host is refused without a DNS lookup: `localhost`, or an IP address that is not public, in any
    notation that the resolver accepts (`127.1`, `0x7f000001`, `2130706433`).
    """
    name = host.partition("%")[0].rstrip(".").lower()
    if name == LOCALHOST or name.endswith(f".{LOCALHOST}"):
        return True
    try:
        return not are_public(resolve(name, None, socket.AI_NUMERICHOST))
    except (OSError, UnicodeError):
        return False
