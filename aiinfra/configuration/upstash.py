"""Upstash: its variables give the address and token of its REST API; the same database speaks the Redis protocol."""

from urllib.parse import quote, urlsplit

from aiinfra.configuration.addresses import WebUrl

PORT = 6379
"""Port of the Redis protocol over TLS, on the REST API's host and with its token as the password."""


class RestUrl(WebUrl):
    """The REST URL in Upstash's console."""

    range = "an https:// URL"

    def parse(self, text: str) -> str:
        """See Kind."""
        words = "must be https://<host>, as Upstash shows it under REST API (or set REDIS_URL instead)"
        try:
            parts = urlsplit(super().parse(text))
        except ValueError:
            raise ValueError(words) from None
        if parts.scheme != "https" or parts.path.strip("/") or parts.port not in (None, 443):
            raise ValueError(words)
        return text


def redis_url(rest_url: str, token: str) -> str:
    """The Redis URL of a database with this REST URL."""
    return f"rediss://default:{quote(token, safe='')}@{urlsplit(rest_url).hostname}:{PORT}"
