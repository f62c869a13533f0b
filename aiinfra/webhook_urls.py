"""Validates webhook URLs."""

from urllib.parse import urlsplit

from django.conf import settings

from aiinfra.public_addresses import is_private_literal

LENGTH_MAX = 500
HOST_MAX = 253
SCHEMA = {
    "type": "string",
    "maxLength": LENGTH_MAX,
    "pattern": r"^https://[a-z0-9][a-z0-9.-]{0,240}\.[a-z]{2,6}(/[!-~]*)?$",
}
"""JSON Schema of the common forms that `check_url` accepts."""

PRIVATE = "The URL must have a public address. This one is private, local, or reserved."


def check_url(url: str) -> None:
    """Raise ValueError unless messages can be sent to the URL. The host's IP addresses are checked on each send."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or len(host) > HOST_MAX or any(character.isspace() or not character.isprintable() for character in url):
        raise ValueError("Enter a valid URL.")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_trusted(host)):
        raise ValueError("The URL must start with https://.")
    if parts.username is not None or parts.password is not None:
        raise ValueError("The URL must not contain a username or password.")
    if is_private_literal(host) and not is_trusted(host):
        raise ValueError(PRIVATE)
    if len(url) > LENGTH_MAX:
        raise ValueError(f"The URL must have at most {LENGTH_MAX} characters.")


def host_of(url: str) -> str:
    """The part of a checked URL that is safe to display and to log."""
    return urlsplit(url).hostname or ""


def is_trusted(host: str | None) -> bool:
    """Whether the settings allow messages to this host even if its IP address is private."""
    return (host or "").lower() in settings.NOTIFICATION_TRUSTED_HOSTS
