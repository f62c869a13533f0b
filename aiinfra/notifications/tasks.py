"""Scheduled jobs for notifications. All of them can run in several schedulers at once."""

from collections.abc import Callable

from aiinfra.notifications.delivering import delete_old_deliveries, deliver_pending

Jobs = list[tuple[float, Callable[[], object]]]
"""(seconds between two runs, function)"""


def jobs() -> Jobs:
    """Run these in a separate thread: they wait for other servers."""
    return [(2, deliver_pending), (3_600, delete_old_deliveries)]
