"""A WSGI application that does nothing, to see what a server costs alone."""

from collections.abc import Callable, Iterable
from typing import Any

import aiinfra.wsgi  # noqa: F401 - gunicorn's configuration needs Django's apps

HEADERS = [("Content-Type", "text/plain"), ("Content-Length", "3")]


def application(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer at once."""
    start_response("200 OK", HEADERS)
    return [b"ok\n"]
