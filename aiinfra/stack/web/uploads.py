"""Who may send a body above the usual limit: signed-in users and API keys. Decided from the headers, before the body is
read.
"""

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
    """Whether the WSGI environment has a valid API key, or the session of an active user. False if that cannot be found
    out.
    """
    from aiinfra.tenants import key_authentication, key_text  # gunicorn imports this module before Django is set up

    request = WSGIRequest({**environ, "wsgi.input": BytesIO(), "CONTENT_LENGTH": "0"})
    try:
        if header := key_text.header_of(environ):
            return key_authentication.authenticate(header) is not None
        SessionMiddleware(lambda _: HttpResponse()).process_request(request)
        return get_user(request).is_authenticated
    except Exception:
        logger.exception("cannot decide who may send a large body")
        return False
    finally:
        close_old_connections()
