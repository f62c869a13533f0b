"""Runs a call of a `/v1` endpoint and returns its answer, independent of the API format."""

from django.http import HttpRequest

from aiinfra.failures import ApiError
from aiinfra.gateway import chat
from aiinfra.gateway.client_socket import ClientSocket
from aiinfra.providers.base import ErrorCode
from queue_app.facade import ENDED, AIRequest, RequestStatus, Status, Submission, status_of

RETRY_AFTER_S = "5"
BY_CODE: dict[str, tuple[int, str]] = {
    ErrorCode.RATE_LIMITED: (429, "rate_limit_exceeded"),
    ErrorCode.TIMEOUT: (504, "provider_timeout"),
    ErrorCode.MODEL_NOT_FOUND: (404, "model_not_found"),
    ErrorCode.CONTEXT_LENGTH_EXCEEDED: (400, "context_length_exceeded"),
    ErrorCode.REQUEST_TOO_LARGE: (413, "too_large"),
    ErrorCode.INVALID_REQUEST: (400, "invalid_request"),
    ErrorCode.CONTENT_FILTERED: (400, "content_filter"),
    ErrorCode.CIRCUIT_OPEN: (503, "overloaded"),
}
"""Error code of a request -> HTTP status and code for the client; 502 for all others."""


def run(submission: Submission, request: HttpRequest) -> RequestStatus:
    """The completed request with its answer. Raises ApiError, and everything that `submit` raises; never returns early.

    After the timeout the call goes on in the queue: 504, which the SDKs must not repeat without an idempotency key.
    """
    require_waiting()
    return result_of(chat.ask_and_wait(submission, ClientSocket(request.META)), submission)


def require_waiting() -> None:
    """Raise ApiError 503 if this process doesn't let clients wait."""
    if not chat.can_wait():
        raise ApiError(503, "unavailable", "This server doesn't keep connections open. Use /api/ai/queue.")


def result_of(asked: AIRequest, submission: Submission) -> RequestStatus:
    """The completed request with its answer. Raises ApiError if it has none, or has not ended in time."""
    if asked.status not in ENDED:
        raise _timeout(submission)
    return result_of_ended(asked)


def result_of_ended(asked: AIRequest) -> RequestStatus:
    """A request that has ended, with its answer. Raises ApiError if it has none."""
    status = status_of(asked, with_content=True)
    if status.status == Status.CANCELLED:
        raise ApiError(409, "cancelled", "The request was cancelled.")
    if status.status == Status.FAILED:
        raise _failure(status)
    if status.response is None:
        raise ApiError(409, "content_gone", "The answer to this idempotency key was deleted by retention.")
    return status


def _timeout(submission: Submission) -> ApiError:
    if submission.idempotency_key is None:
        return ApiError(504, "timeout", "No answer in time. Send an Idempotency-Key to fetch it with the same call.")
    message = "No answer in time. Repeat the call with the same Idempotency-Key to fetch it."
    return ApiError(504, "still_running", message, headers={"Retry-After": RETRY_AFTER_S})


def _failure(status: RequestStatus) -> ApiError:
    request = status.request
    error = provider_failure(request.error_code, request.error_message or request.error_code)
    error.headers["x-aiinfra-request-id"] = str(request.id)
    return error


def provider_failure(error_code: str, message: str) -> ApiError:
    """The error for a call that a provider did not answer."""
    code, kind = BY_CODE.get(error_code, (502, "provider_error"))
    return ApiError(code, kind, message, headers={"Retry-After": RETRY_AFTER_S} if code in {429, 503} else {})
