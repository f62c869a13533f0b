"""Anthropic's way to send the key."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from aiinfra.api import Endpoint
from aiinfra.api_callers import credential_of
from aiinfra.tenants.key_text import SCHEME


class AnthropicDoor(Endpoint):
    """An endpoint of Anthropic's clients. The key comes as `Authorization: Bearer`, or else as `x-api-key`: a proxy may
    need another scheme of `Authorization`.
    """

    is_in_schema = False

    def __call__(self, request: HttpRequest, **captured: str) -> HttpResponseBase:
        key = request.headers.get("x-api-key")
        if key and not credential_of(request).lower().startswith(SCHEME):
            request.META["HTTP_AUTHORIZATION"] = f"Bearer {key}"
        return super().__call__(request, **captured)
