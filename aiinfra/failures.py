"""Failures in the contract's error shape, for programs; people get pages."""

import sys

import pydantic_core
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views import defaults

PARAM_MAX = 200
"""Characters of a field's path that an error repeats: its names are the client's and may be as long as the body."""
DATABASE_AWAY = (OperationalError, InterfaceError)
PROGRAMS = ("/api/", "/v1/")
"""Where the addresses of programs begin."""


class ApiError(Exception):
    """An answer in the contract's error shape."""

    def __init__(
        self, status: int, kind: str, message: str, *, param: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.param = param
        self.headers = headers or {}


def not_found() -> ApiError:
    """The one answer for what is missing and for what is another tenant's."""
    return ApiError(404, "not_found", "There is no such thing here.")


def failure_of(problem: BaseException | None) -> ApiError:
    """What a client is told of a failure that is not his: nothing of its details."""
    if isinstance(problem, DATABASE_AWAY):
        message = "The database does not answer. Try again, with the same Idempotency-Key."
        return ApiError(503, "unavailable", message, headers={"Retry-After": "5"})
    return ApiError(500, "internal_error", "Something went wrong here; the request's id is in our logs.")


def error_response(request: HttpRequest, error: ApiError) -> HttpResponse:
    """The one error shape of the contract."""
    body = {
        "error": {
            "type": error.kind,
            "message": error.message,
            "param": printable_path(error.param) if error.param else None,
            "requestId": getattr(request, "request_id", None),
        }
    }
    return HttpResponse(
        pydantic_core.to_json(body), status=error.status, content_type="application/json", headers=error.headers
    )


def printable_path(path: str) -> str:
    """A field's path, short enough to repeat and without what UTF-8 cannot write."""
    return path[:PARAM_MAX].encode(errors="backslashreplace").decode()


def is_for_programs(request: HttpRequest) -> bool:
    """Whether the address speaks JSON."""
    return request.path.startswith(PROGRAMS)


def handle_400(request: HttpRequest, exception: Exception) -> HttpResponse:
    """For what Django refuses before a view sees it."""
    if is_for_programs(request):
        return error_response(request, ApiError(400, "invalid_request", "The request is malformed."))
    return defaults.bad_request(request, exception)


def handle_404(request: HttpRequest, exception: Exception) -> HttpResponse:
    """For an address that does not exist."""
    if is_for_programs(request):
        return error_response(request, not_found())
    return defaults.page_not_found(request, exception)


def handle_500(request: HttpRequest) -> HttpResponse:
    """For a defect of ours, or a database that is away, outside of an endpoint."""
    if is_for_programs(request):
        return error_response(request, failure_of(sys.exception()))
    return defaults.server_error(request)
