"""Passes a new API key secret to the next page in a browser cookie, so that it is never stored on the server and a
reload doesn't show it again.
"""

from django.http import HttpRequest, HttpResponse

from aiinfra.tenants.models import ApiKey

COOKIE, SECONDS = "new_key", 60


def hand_over(request: HttpRequest, response: HttpResponse, key: ApiKey, text: str, page: str) -> HttpResponse:
    """Give the secret to the page at this path."""
    response.set_signed_cookie(
        COOKIE,
        f"{key.key_id}:{text}",
        max_age=SECONDS,
        path=page,
        httponly=True,
        secure=request.is_secure(),
        samesite="Strict",
    )
    return response


def take(request: HttpRequest) -> tuple[str, str]:
    """The id of the key and its new secret, or two empty texts."""
    key_id, _, text = (request.get_signed_cookie(COOKIE, default="", max_age=SECONDS) or "").partition(":")
    return key_id, text


def forget(response: HttpResponse, page: str) -> None:
    """Delete the cookie, once the page has shown the secret."""
    response.delete_cookie(COOKIE, path=page, samesite="Strict")
