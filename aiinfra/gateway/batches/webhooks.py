"""Batch webhooks: a signed POST for the end of each batch whose creation, or whose API key, names a URL.

Written in the transaction that ends the batch, as those of requests are; the calls of a batch have none.
"""

from datetime import datetime
from typing import Any

from aiinfra.api import ApiModel
from aiinfra.batches.models import Batch
from aiinfra.money import Dollars, dollars
from aiinfra.notifications.messages import Notification
from aiinfra.notifications.outbox import send_request_webhook
from aiinfra.one_by_one import one_by_one


class BatchEnded(ApiModel):
    """What a batch webhook says: counts and costs, never prompts or answers."""

    batch_id: str
    status: str
    endpoint: str
    total: int
    completed: int
    failed: int
    cost: Dollars
    prompt_tokens: int
    completion_tokens: int
    created_at: datetime
    completed_at: datetime | None


def notify_end(batch: Batch) -> None:
    """Queue the webhook of a batch that has just ended. An error is logged, and the batch ends without it."""
    if batch.webhook:
        one_by_one([batch], _notify, in_transaction=True)


def _notify(batch: Batch) -> None:
    title = f"Batch {batch} {batch.status}"
    message = Notification(f"batch.{batch.status}", severity="", title=title, text="", data=_data(batch))
    send_request_webhook(
        batch.organization_id, batch.webhook or "", message, about=str(batch), api_key_id=batch.api_key_id
    )


def _data(batch: Batch) -> dict[str, Any]:
    ended = BatchEnded(
        batch_id=str(batch),
        status=batch.status,
        endpoint=batch.endpoint,
        total=batch.total,
        completed=batch.completed,
        failed=batch.failed,
        cost=dollars(batch.cost_nano),
        prompt_tokens=batch.input_tokens,
        completion_tokens=batch.output_tokens,
        created_at=batch.created_at,
        completed_at=batch.finished_at,
    )
    return ended.model_dump(mode="json", by_alias=True)
