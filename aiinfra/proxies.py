"""Which peers are trusted reverse proxies."""

from ipaddress import ip_address

from django.conf import settings


def is_trusted_proxy(peer: str) -> bool:
    """Whether a trusted proxy has this IP address. Behind a proxy without a configured list, every peer is trusted."""
    if not settings.BEHIND_PROXY:
        return False
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    return not settings.TRUSTED_PROXIES or any(address in network for network in settings.TRUSTED_PROXIES)
