"""Where demo accounts are allowed: on a machine that only its own user can reach, without anything that costs money."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from django.conf import settings

DEMO_SUFFIX = "@demo"


def obstacles() -> list[str]:
    """Why demo accounts are not allowed here, one short sentence per setting; empty if they are."""
    found = []
    if not is_loopback(settings.BIND):
        found.append(f"BIND is {settings.BIND}")
    if settings.HTTPS:
        found.append("AIINFRA_HTTPS is on")
    if settings.SECURE_PROXY_SSL_HEADER:
        found.append("AIINFRA_BEHIND_PROXY is on")
    return found + [f"{name} is set" for name in _real_keys()]


def is_demo_name(username: str) -> bool:
    """Whether an account is one of the demo's, by its name."""
    return username.endswith(DEMO_SUFFIX)


def is_loopback(host: str) -> bool:
    """Whether a host name or address (IPv6 with or without brackets) means this machine and cannot be reached from
    another one.
    """
    name = host.strip("[]").rstrip(".").lower()
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def _real_keys() -> list[str]:
    """The settings that hold a key of a provider elsewhere; a server on this machine is not a real provider."""
    known = [(name, key, settings.PROVIDER_BASE_URLS[name]) for name, key in settings.PROVIDER_API_KEYS.items()]
    compatible = [
        (name, settings.COMPATIBLE_API_KEYS.get(name), url) for name, url in settings.COMPATIBLE_PROVIDERS.items()
    ]
    return [
        f"{name.upper().replace('-', '_')}_API_KEY"
        for name, key, url in known + compatible
        if key and not is_loopback(urlsplit(url).hostname or "")
    ]
