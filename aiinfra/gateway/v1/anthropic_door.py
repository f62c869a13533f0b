"""Errors in Anthropic's shape, and its way to send the key."""

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from aiinfra.api import Endpoint
from aiinfra.failures import ApiError
from aiinfra.gateway.v1.door import json_of, retry_headers

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    415: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""HTTP status -> Anthropic's error type; `api_error` for all others."""
OVERLOADED = {503: 529}


class AnthropicDoor(Endpoint):
    """An endpoint whose errors are Anthropic's. The key comes as `x-api-key` or as `Authorization: Bearer`."""

    is_in_schema = False

    def __call__(self, request: HttpRequest, **captured: str) -> HttpResponseBase:
        key = request.headers.get("x-api-key")
        if key and "HTTP_AUTHORIZATION" not in request.META:
            request.META["HTTP_AUTHORIZATION"] = f"Bearer {key}"
        return super().__call__(request, **captured)

    def refuse(self, request: HttpRequest, error: ApiError) -> HttpResponse:
        """The error in Anthropic's shape; a parameter is named in its message."""
        status = OVERLOADED.get(error.status, error.status)
        param = error.param.removeprefix("parameters.") if error.param else ""
        body = {
            "type": "error",
            "error": {
                "type": TYPES.get(status, "api_error"),
                "message": f"{param}: {error.message}" if param else error.message,
            },
            "request_id": getattr(request, "request_id", None),
        }
        return json_of(body, status, {**retry_headers(error), **error.headers})
