"""Errors in the format of OpenAI's and Anthropic's APIs, for the endpoints under `/v1`."""

from collections.abc import Mapping
from typing import Any

from aiinfra.failures import ApiError, printable_path

NEVER_RETRIED = frozenset({"idempotency_conflict", "cancelled", "content_gone", "timeout"})
"""Errors that a retry can't fix, with statuses that the official SDKs would otherwise retry."""
SERVERS_FAULT = 500
OPENAI_TYPES = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    409: "conflict_error",
    429: "rate_limit_error",
}
"""HTTP status -> OpenAI's error type; for all others `invalid_request_error` below 500, and `server_error` above."""
ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""HTTP status -> Anthropic's error type; for all others `invalid_request_error` below 500, and `api_error` above."""
ANTHROPIC_STATUS = {503: 529}
"""HTTP statuses that are different in Anthropic's API."""


def openai_body(error: ApiError) -> dict[str, Any]:
    """The body of an error in OpenAI's shape."""
    kind = _type_of(error.status, OPENAI_TYPES, "server_error")
    param = printable_path(_param(error)) or None
    return {"error": {"message": error.message, "type": kind, "param": param, "code": error.kind}}


def anthropic_status(error: ApiError) -> int:
    """The HTTP status of an error in Anthropic's API."""
    return ANTHROPIC_STATUS.get(error.status, error.status)


def anthropic_body(error: ApiError, request_id: str | None) -> dict[str, Any]:
    """The body of an error in Anthropic's shape; a parameter is named in its message."""
    param = printable_path(_param(error))
    kind = _type_of(anthropic_status(error), ANTHROPIC_TYPES, "api_error")
    message = f"{param}: {error.message}" if param else error.message
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}


def retry_headers(error: ApiError) -> dict[str, str]:
    """`x-should-retry` where the status alone would mislead clients: Claude Code retries a 401."""
    is_final = error.kind in NEVER_RETRIED or error.status in {401, 402}
    return {"x-should-retry": "false"} if is_final else {}


def _type_of(status: int, types: Mapping[int, str], of_servers: str) -> str:
    return types.get(status, "invalid_request_error" if status < SERVERS_FAULT else of_servers)


def _param(error: ApiError) -> str:
    return error.param.removeprefix("parameters.") if error.param else ""
