"""Serves what the processes of this data directory have recorded, for hosts and pods without a web server.

`aiinfra/stack/metrics_server.py` is its gunicorn configuration.
"""

from collections.abc import Iterable
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.db import close_old_connections
from django.http import HttpResponse

from aiinfra.monitoring.metrics.endpoint import recorded_scraped


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Respond to a request with `METRICS_TOKEN`; 401 for any other."""
    close_old_connections()
    try:
        response = recorded_scraped(WSGIRequest(environ)) or HttpResponse("unauthorized\n", status=401)
    finally:
        close_old_connections()
    start_response(f"{response.status_code} {response.reason_phrase}", [*response.items()])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [response.content]
