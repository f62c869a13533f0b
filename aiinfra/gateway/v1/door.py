"""What all doors under `/v1` share: errors in the shape of the vendor, and bodies with parameters of any name."""

from collections.abc import Mapping
from typing import Any

import pydantic_core
from django.http import HttpRequest, HttpResponse
from pydantic import ConfigDict

from aiinfra.api import ApiModel, Endpoint
from aiinfra.failures import ApiError, printable_path

NEVER_RETRIED = frozenset({"idempotency_conflict", "cancelled", "content_gone", "timeout"})
"""Errors that a repeat cannot heal, with statuses that the official SDKs would otherwise repeat."""
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "invalid_request_error",
    409: "conflict_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}
"""HTTP status -> OpenAI's error type."""
SERVER_ERROR = "server_error"


class OpenBody(ApiModel):
    """A body in the vendor's own names. Members that we do not know are passed on."""

    model_config = ConfigDict(alias_generator=None, extra="allow")


class OpenAIDoor(Endpoint):
    """An endpoint whose errors are OpenAI's."""

    is_in_schema = False

    def refuse(self, request: HttpRequest, error: ApiError) -> HttpResponse:  # noqa: ARG002 - as in the base
        """The error in OpenAI's shape, with the headers that its SDKs obey."""
        return json_of(error_of(error), error.status, {**retry_headers(error), **error.headers})


def error_of(error: ApiError) -> dict[str, Any]:
    """The body of an error."""
    kind = TYPES.get(error.status, SERVER_ERROR)
    param = printable_path(error.param.removeprefix("parameters.")) if error.param else None
    return {"error": {"message": error.message, "type": kind, "param": param, "code": error.kind}}


def retry_headers(error: ApiError) -> dict[str, str]:
    """`x-should-retry` where the SDKs would decide wrongly by the status alone."""
    return {"x-should-retry": "false"} if error.kind in NEVER_RETRIED or error.status == 402 else {}


def json_of(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """A JSON response with the body's own names."""
    return HttpResponse(
        pydantic_core.to_json(body), status=status, content_type="application/json", headers=dict(headers or {})
    )
