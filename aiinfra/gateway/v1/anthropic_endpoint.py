"""Anthropic-style authentication."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from aiinfra.gateway.v1.vendor_endpoint import VendorEndpoint
from aiinfra.tenants.key_text import header_of


class AnthropicEndpoint(VendorEndpoint):
    """An endpoint of Anthropic's clients, which send the key as `Authorization: Bearer` or as `x-api-key`."""

    def __call__(self, request: HttpRequest, **captured: str) -> HttpResponseBase:
        if header := header_of(request.META):
            request.META["HTTP_AUTHORIZATION"] = header
        return super().__call__(request, **captured)
