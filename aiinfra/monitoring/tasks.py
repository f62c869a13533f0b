"""Scheduled jobs for monitoring. All of them can run in several schedulers at once."""

from collections.abc import Callable

from aiinfra.monitoring.alert_checks import check_alerts
from aiinfra.monitoring.incidents import CHECK_EVERY_S

Jobs = list[tuple[float, Callable[[], object]]]
"""(seconds between two runs, function)"""


def jobs() -> Jobs:
    """Run these in a separate thread: monitoring must not wait for jobs that take minutes."""
    return [(CHECK_EVERY_S, check_alerts)]
