"""The web server's listen address and its URL on this machine."""

from django.conf import settings

ANY_HOST = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - the operator's choice, not ours


def bind_host() -> str:
    """The address to listen on; IPv6 ones are in brackets."""
    return str(settings.BIND)


def web_url() -> str:
    """The product's address on this machine."""
    return f"http://{ANY_HOST.get(bind_host(), bind_host())}:{settings.PORT}"
