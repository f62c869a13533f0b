"""Upstash: its variables name a database by the address and token of its REST API; the same database speaks Redis."""

from urllib.parse import quote, urlsplit

from aiinfra.configuration.addresses import WebUrl

PORT = 6379
"""Upstash serves the Redis protocol there, over TLS, under the REST API's host name and with its token as password."""


class RestUrl(WebUrl):
    """The REST address that Upstash's console shows."""

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
    """Where redis-py reaches the database of a REST address."""
    return f"rediss://default:{quote(token, safe='')}@{urlsplit(rest_url).hostname}:{PORT}"
