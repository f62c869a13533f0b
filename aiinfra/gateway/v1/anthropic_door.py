"""Anthropic's way to send the key."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from aiinfra.api import Endpoint


class AnthropicDoor(Endpoint):
    """An endpoint of Anthropic's clients. The key comes as `x-api-key` or as `Authorization: Bearer`."""

    is_in_schema = False

    def __call__(self, request: HttpRequest, **captured: str) -> HttpResponseBase:
        key = request.headers.get("x-api-key")
        if key and "HTTP_AUTHORIZATION" not in request.META:
            request.META["HTTP_AUTHORIZATION"] = f"Bearer {key}"
        return super().__call__(request, **captured)
