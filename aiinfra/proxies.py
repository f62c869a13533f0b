"""Which peers are reverse proxies, whose forwarding headers count."""

from ipaddress import ip_address

from django.conf import settings


def is_trusted_proxy(peer: str) -> bool:
    """Whether a proxy of ours is at this IP address. Without a list, behind a proxy, every peer is one."""
    if not settings.BEHIND_PROXY:
        return False
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    return not settings.TRUSTED_PROXIES or any(address in network for network in settings.TRUSTED_PROXIES)
