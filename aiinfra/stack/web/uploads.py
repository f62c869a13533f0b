"""Who may send a body above the usual limit: signed-in users. Decided from the headers, before the body is read."""

import logging
from io import BytesIO
from typing import Any

from django.contrib.auth import get_user
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.handlers.wsgi import WSGIRequest
from django.db import close_old_connections
from django.http import HttpResponse

logger = logging.getLogger(__name__)


def may_send_large_body(environ: dict[str, Any]) -> bool:
    """Whether the session in the WSGI environment belongs to an active user. False if that cannot be found out."""
    request = WSGIRequest({**environ, "wsgi.input": BytesIO(), "CONTENT_LENGTH": "0"})
    try:
        SessionMiddleware(lambda _: HttpResponse()).process_request(request)
        return get_user(request).is_authenticated
    except Exception:
        logger.exception("cannot decide who may send a large body")
        return False
    finally:
        close_old_connections()
