"""Scheduled jobs for notifications. All of them can run in several schedulers at once."""

from collections.abc import Callable

from aiinfra.notifications.delivering import delete_old_deliveries, deliver_pending, deliver_request_webhooks

Jobs = list[tuple[float, Callable[[], object]]]
"""(seconds between two runs, function)"""


def jobs() -> Jobs:
    """Run these in a separate thread: they wait for other servers."""
    return [(2, deliver_pending), (3_600, delete_old_deliveries)]


def webhook_jobs() -> Jobs:
    """Run these in another thread: they send more than all channels together."""
    return [(1, deliver_request_webhooks)]
