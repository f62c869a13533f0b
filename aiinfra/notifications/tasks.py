"""Scheduled jobs for notifications. All of them can run in several schedulers at once."""

from collections.abc import Callable

from aiinfra.notifications.delivering import (
    delete_old_deliveries,
    deliver_pending,
    deliver_request_webhooks,
    is_channel_due,
    is_request_webhook_due,
)
from aiinfra.scheduled import IfWaiting

Jobs = list[tuple[float, Callable[[], object]]]
"""(seconds between two runs, function)"""


def jobs() -> Jobs:
    """Run these in a separate thread: they wait for other servers."""
    return [(2, IfWaiting(is_channel_due, deliver_pending)), (3_600, delete_old_deliveries)]


def webhook_jobs() -> Jobs:
    """Run these in another thread: they send more messages than all channels together."""
    return [(1, IfWaiting(is_request_webhook_due, deliver_request_webhooks))]
