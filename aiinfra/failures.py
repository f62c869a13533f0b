"""Errors of requests, and the URLs for programs."""

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest

from aiinfra import full_disk

PARAM_MAX = 200
"""Characters of a field's path that an error repeats: clients choose names, possibly as long as the body."""
DATABASE_AWAY = (OperationalError, InterfaceError)
AWAY_RETRY_S = "5"
PROGRAMS = ("/api/", "/v1/")
"""Prefixes of the URLs for programs."""


class ApiError(Exception):
    """An error that the client can see. `aiinfra.error_responses` gives it a shape."""

    def __init__(
        self, status: int, kind: str, message: str, *, param: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.param = param
        self.headers = headers or {}


class WrongStateError(ValueError):
    """The row is not in a state that allows this. The message says why, for the person who asked."""


def not_found() -> ApiError:
    """The same error for what does not exist and for what belongs to another tenant."""
    return ApiError(404, "not_found", "Not found.")


def failure_of(problem: BaseException | None) -> ApiError:
    """The error for a failure that the client did not cause, without any details."""
    if isinstance(problem, DATABASE_AWAY):
        message = f"{away_cause()}. Try again with the same Idempotency-Key."
        return ApiError(503, "unavailable", message, headers={"Retry-After": AWAY_RETRY_S})
    return ApiError(500, "internal_error", "Something went wrong on our end. The logs contain the request ID.")


def away_cause() -> str:
    """Why the database raised one of `DATABASE_AWAY`, as a sentence without its period."""
    return (full_disk.FULL if full_disk.is_full() else "the database is unreachable").capitalize()


def printable_path(path: str) -> str:
    """A field's path, shortened and without characters that UTF-8 cannot encode."""
    return path[:PARAM_MAX].encode(errors="backslashreplace").decode()


def is_for_programs(request: HttpRequest) -> bool:
    """Whether the URL serves JSON."""
    return request.path.startswith(PROGRAMS)
