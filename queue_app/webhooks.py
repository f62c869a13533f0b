"""Request webhooks: a signed POST for the end of each request that names a URL, or whose API key does.

The message is written in the transaction that ends the request, so it is sent if and only if the request has ended,
whatever is killed. It has the request's figures, never its prompt or answer. Requests without a webhook cost nothing.
"""

from typing import Any

from aiinfra.notifications.messages import Notification
from aiinfra.notifications.outbox import can_send_request_webhooks, send_request_webhook
from aiinfra.one_by_one import one_by_one
from aiinfra.python_api import InvalidValueError
from aiinfra.webhook_urls import check_url
from queue_app.models import AIRequest
from queue_app.presenting import request_out
from queue_app.queries import status_of

UNSIGNED = (
    'Request webhooks need a signing secret. An administrator adds or enables the channel "Request webhooks", or '
    "creates a signing secret for the API key."
)
OMITTED_FIELDS = {"position", "attempts", "response", "error"}
"""Members of a request's status that are empty at its end, or that say more than who can post to the URL may read."""


def check_webhook(url: str, api_key_id: int | None) -> None:
    """Raise InvalidValueError for a URL that nothing can be sent to, or if nothing signs what this key sends there.

    One statement, and one more for an organization without a signing secret.
    """
    try:
        check_url(url)
    except ValueError as error:
        raise InvalidValueError("webhook", str(error)) from None
    if not can_send_request_webhooks(api_key_id):
        raise InvalidValueError("webhook", UNSIGNED)


def notify_end(request: AIRequest) -> None:
    """Queue the webhook of a request that has just ended and been booked, in the caller's transaction.

    An error here is logged, and the request ends without its webhook.
    """
    if request.webhook:
        one_by_one([request], _notify, in_transaction=True)


def _notify(request: AIRequest) -> None:
    title = f"Request {request.id} {request.status}"
    message = Notification(f"request.{request.status}", severity="", title=title, text="", data=_data(request))
    about, api_key_id = str(request.id), request.api_key_id
    send_request_webhook(request.organization_id, request.webhook or "", message, about=about, api_key_id=api_key_id)


def _data(request: AIRequest) -> dict[str, Any]:
    status = status_of(request, with_content=False)
    shown = request_out(status).model_dump(mode="json", by_alias=True, exclude=OMITTED_FIELDS)
    ours = {"costEstimated": status.is_cost_estimated, "errorCode": request.error_code or None}
    return {**shown, **ours, "conversationId": request.conversation_id or None}
