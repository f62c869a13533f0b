"""Limits of an API key: rates, IP addresses, models, and endpoints."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from aiinfra.tenants.key_access import ANY_ACCESS, KeyAccess

REQUESTS_MAX = 10_000_000
CONCURRENT_MAX = 10_000
TOKENS_MAX = 10**12
DOLLARS_MAX = 1_000_000
NETWORKS_MAX = 50
NANO = 10**9

Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class KeyLimits:
    """The limits of one key. None: the installation's default for requests, no limit for the rest."""

    requests_per_minute: int | None = None
    concurrent_requests: int | None = None
    tokens_per_minute: int | None = None
    nano_per_minute: int | None = None
    networks: tuple[Network, ...] = ()
    """Where calls may come from; empty: anywhere."""
    access: KeyAccess = ANY_ACCESS

    def allows(self, address: str | None) -> bool:
        """Whether a call may come from this IP address."""
        if not self.networks:
            return True
        return address is not None and any(ip_address(address) in network for network in self.networks)

    def as_json(self) -> dict[str, object]:
        """For the audit log."""
        return {
            "requests_per_minute": self.requests_per_minute,
            "concurrent_requests": self.concurrent_requests,
            "tokens_per_minute": self.tokens_per_minute,
            "dollars_per_minute": None if self.nano_per_minute is None else f"{self.nano_per_minute / NANO:.9f}",
            "allowed_networks": [str(each) for each in self.networks],
            **self.access.as_json(),
        }


NO_LIMITS = KeyLimits()


def limit_changes(before: KeyLimits, after: KeyLimits) -> dict[str, list[object]]:
    """The changes as the audit log stores them. Of a webhook, only its host is included."""
    old, new = before.as_json(), after.as_json()
    differs = {name for name in old if old[name] != new[name]}
    if before.access.webhook != after.access.webhook:
        differs.add("webhook_host")
    return {name: [old[name], new[name]] for name in old if name in differs}


def networks_of(texts: Iterable[str]) -> tuple[Network, ...]:
    """Parse addresses and networks in CIDR notation; an address is a network of one. Raises ValueError naming one."""
    found = []
    for text in texts:
        try:
            found.append(ip_network(text.strip()))
        except ValueError:
            raise ValueError(f"{text.strip()!r} is neither an IP address nor a network like 10.0.0.0/8.") from None
    if len(found) > NETWORKS_MAX:
        raise ValueError(f"A key can have at most {NETWORKS_MAX} networks.")
    return tuple(dict.fromkeys(found))
