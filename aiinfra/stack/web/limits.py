"""How many connections one address may have."""

from ipaddress import ip_address

from django.conf import settings

from aiinfra.proxies import is_trusted_proxy


def connections_limit(address: str) -> int | None:
    """The maximum for an IP address in one process. None for this machine and for proxies: they serve many people."""
    if ip_address(address).is_loopback or is_trusted_proxy(address):
        return None
    return int(settings.CONNECTIONS_PER_ADDRESS_MAX)
