"""A WSGI application that does nothing, to measure the server alone."""

from collections.abc import Callable, Iterable
from typing import Any

import aiinfra.wsgi  # noqa: F401 - gunicorn's configuration needs Django's apps

HEADERS = [("Content-Type", "text/plain"), ("Content-Length", "3")]


def application(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Respond immediately."""
    start_response("200 OK", HEADERS)
    return [b"ok\n"]
