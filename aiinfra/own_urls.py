"""Which URLs lead back to this installation."""

from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme


def is_own_url(request: HttpRequest, url: str) -> bool:
    """Whether a URL that the client sent is on the request's host, so that redirecting there is safe."""
    return url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())
