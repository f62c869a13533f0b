"""Request errors, and the URLs that serve JSON."""

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest

from aiinfra import full_disk

PARAM_MAX = 200
"""Characters of a field's path in an error message: clients choose names, which can be as long as the body."""
DATABASE_AWAY = (OperationalError, InterfaceError)
AWAY_RETRY_S = "5"
PROGRAMS = ("/api/", "/v1/")
"""URL prefixes of the JSON APIs."""


class ApiError(Exception):
    """An error that the client can see. `aiinfra.error_responses` renders it."""

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
    """The row's state doesn't allow this. The message is shown to the user."""


def not_found() -> ApiError:
    """The same error for rows that don't exist and rows of another tenant."""
    return ApiError(404, "not_found", "Not found.")


def failure_of(problem: BaseException | None) -> ApiError:
    """The error for a failure that the client didn't cause, without internal details."""
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
