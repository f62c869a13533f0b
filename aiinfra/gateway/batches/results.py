"""Results of lines, in the format of OpenAI's output and error files, without the IDs."""

from collections.abc import Sequence
from typing import Any

from aiinfra import vendor_errors
from aiinfra.batches.progress import Used
from aiinfra.failures import ApiError
from aiinfra.providers.base import TokenUsage
from cost_app.facade import Attempt
from queue_app.facade import RequestStatus

CANCELLED = ("batch_cancelled", "The batch was cancelled before this request was answered.")
EXPIRED = ("batch_expired", "The batch expired before this request was answered.")


def answered(body: dict[str, Any], request_id: str) -> dict[str, Any]:
    """A line with an answer."""
    return {"response": {"status_code": 200, "request_id": request_id, "body": body}, "error": None}


def refused(error: ApiError, request_id: str = "") -> dict[str, Any]:
    """A line that the endpoint refused, or that no provider answered."""
    body = vendor_errors.openai_body(error)
    return {"response": {"status_code": error.status, "request_id": request_id, "body": body}, "error": None}


def stopped(code: str, message: str) -> dict[str, Any]:
    """A line that was not called, or whose call was cancelled."""
    return {"response": None, "error": {"code": code, "message": message}}


def used_by(status: RequestStatus) -> Used:
    """What a call has used. Answers from the cache have used nothing."""
    return _used(status.cost_nano, status.usage)


def used_by_attempts(attempts: Sequence[Attempt]) -> Used:
    """What calls have used that are no request of the queue: the tokens of the last one, and the cost of all."""
    return _used(sum(each.cost_nano for each in attempts), attempts[-1].usage if attempts else None)


def _used(cost_nano: int, usage: TokenUsage | None) -> Used:
    usage = usage or TokenUsage()
    return Used(cost_nano, usage.prompt, usage.cache_read, usage.output, usage.reasoning)
