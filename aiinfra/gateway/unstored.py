"""The error for clients that wait for an answer while the database can't store anything."""

from aiinfra.failures import AWAY_RETRY_S, ApiError, away_cause
from queue_app.facade import AIRequest


def unstored_error(request: AIRequest) -> ApiError:
    """503 with the cause, and how to get the answer later: the request is kept, and its call may have been made.

    Without an idempotency key, a repeat would be another request, so the SDKs must not repeat the call by themselves.
    """
    headers = {"x-aiinfra-request-id": str(request.id)}
    if request.idempotency_key is None:
        message = f"{away_cause()}. The answer will be that of request {request.id}, once it can be stored."
        return ApiError(503, "unavailable", message, headers={**headers, "x-should-retry": "false"})
    message = f"{away_cause()}. Repeat the call with the same Idempotency-Key to fetch the answer."
    return ApiError(503, "unavailable", message, headers={**headers, "Retry-After": AWAY_RETRY_S})
