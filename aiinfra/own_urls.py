"""Checks redirect targets."""

from django.http import HttpRequest
from django.utils.http import url_has_allowed_host_and_scheme


def is_own_url(request: HttpRequest, url: str) -> bool:
    """Whether a URL that the client sent is a path, or on the request's host, so that redirecting there is safe.

    Other text is rejected: `redirect` would treat `1` as the name of a view.
    """
    is_url = url.startswith(("/", "http://", "https://"))
    return is_url and url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())
