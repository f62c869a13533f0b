"""Line results in the format of OpenAI's output and error files, without the IDs."""

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
    """The result of a line with a response."""
    return {"response": {"status_code": 200, "request_id": request_id, "body": body}, "error": None}


def refused(error: ApiError, request_id: str = "") -> dict[str, Any]:
    """The result of a line that the endpoint rejected or no provider answered."""
    body = vendor_errors.openai_body(error)
    return {"response": {"status_code": error.status, "request_id": request_id, "body": body}, "error": None}


def stopped(code: str, message: str) -> dict[str, Any]:
    """The result of a line that was not sent or was cancelled."""
    return {"response": None, "error": {"code": code, "message": message}}


def used_by(status: RequestStatus) -> Used:
    """A request's usage; zero for cached answers."""
    return _used(status.cost_nano, status.usage)


def used_by_attempts(attempts: Sequence[Attempt]) -> Used:
    """The usage of a call that is not a queued request: the tokens of the last attempt, and the cost of all."""
    return _used(sum(each.cost_nano for each in attempts), attempts[-1].usage if attempts else None)


def _used(cost_nano: int, usage: TokenUsage | None) -> Used:
    usage = usage or TokenUsage()
    return Used(cost_nano, usage.prompt, usage.cache_read, usage.output, usage.reasoning)
