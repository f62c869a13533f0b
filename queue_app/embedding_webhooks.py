"""Webhooks for embedding calls, which are not queue requests: a signed POST at the end of each call.

The message that the call was lost is written in the transaction that marks the call as sent, and is due after the
call's deadline. The transaction that books the call replaces it with what happened, so each call is reported, whatever
is killed. Calls without a webhook cost nothing.
"""

from datetime import timedelta
from typing import Any

from aiinfra import database_time
from aiinfra.logs import request_id_var
from aiinfra.money import dollars
from aiinfra.notifications.messages import Notification
from aiinfra.notifications.outbox import replace_request_webhook, send_request_webhook
from aiinfra.one_by_one import one_by_one
from aiinfra.providers.base import ErrorCode
from cost_app.facade import Attempt, AttemptState
from queue_app.models import Status
from queue_app.payloads import RequestOut, priority_name
from queue_app.presenting import usage_out
from queue_app.submission.submission import Submission
from queue_app.webhooks import OMITTED_FIELDS

LOST_AFTER = timedelta(seconds=30)
"""After the deadline of its call, a process that has not booked it counts as lost. By then the cost is booked."""


class EmbeddingWebhook:
    """The webhook of one embedding call, if it has one."""

    def __init__(self, asked: Submission) -> None:
        self._asked = asked
        self._delivery_id: int | None = None

    def begin(self, attempt: Attempt, timeout: timedelta) -> None:
        """Queue the message that the call was lost, in the transaction that marks it as sent."""
        if self._asked.webhook:
            due_at = database_time.now() + timeout + LOST_AFTER
            lost = {"cost": dollars(attempt.bound_nano), "costEstimated": True, "errorCode": ErrorCode.CALLER_LOST}
            message = self._message({**self._data(attempt, Status.FAILED), **lost, "completedAt": due_at.isoformat()})
            self._delivery_id = self._send(message, attempt, due_at=due_at)

    def end(self, attempt: Attempt) -> None:
        """Report how the call has ended, in the transaction that books it. An error here is logged."""
        if self._asked.webhook:
            one_by_one([attempt], self._end, in_transaction=True)

    def _end(self, attempt: Attempt) -> None:
        attempt.refresh_from_db()
        message = self._message(self._data(attempt, Status.FAILED if attempt.error_code else Status.COMPLETED))
        if self._delivery_id is None or not replace_request_webhook(self._delivery_id, message):
            self._send(message, attempt)

    def _send(self, message: Notification, attempt: Attempt, **when: Any) -> int | None:
        whose: dict[str, Any] = {"about": str(attempt.id), "api_key_id": self._asked.api_key_id}
        return send_request_webhook(self._asked.organization_id, self._asked.webhook, message, **whose, **when)

    def _message(self, data: dict[str, Any]) -> Notification:
        title = f"Request {data['requestId']} {data['status']}"
        return Notification(f"request.{data['status']}", severity="", title=title, text="", data=data)

    def _data(self, attempt: Attempt, status: Status) -> dict[str, Any]:
        """The same figures as in a request's webhook. The ID is that of the HTTP request."""
        shown = RequestOut(
            request_id=request_id_var.get() or str(attempt.id),
            status=status.value,
            priority=priority_name(self._asked.priority),
            provider=self._asked.provider,
            model=self._asked.model,
            created_at=attempt.created_at,
            started_at=attempt.dispatched_at,
            completed_at=attempt.finished_at,
            cost=dollars(attempt.cost_nano),
            cached=False,
            error=None,
            position=None,
            attempts=[],
            response=None,
            usage=usage_out(attempt.usage) if status == Status.COMPLETED else None,
        ).model_dump(mode="json", by_alias=True, exclude=OMITTED_FIELDS)
        is_estimated = attempt.state == AttemptState.ESTIMATED
        return {**shown, "costEstimated": is_estimated, "errorCode": attempt.error_code or None, "conversationId": None}
