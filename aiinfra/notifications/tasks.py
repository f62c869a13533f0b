"""What the scheduler runs for notifications. Everything here may be run by several at once."""

from collections.abc import Callable

from aiinfra.notifications.delivering import deliver_pending, forget_old_deliveries

Jobs = list[tuple[float, Callable[[], object]]]
"""(seconds between two runs, what is run)"""


def jobs() -> Jobs:
    """They wait for other people's servers: give them a thread of their own."""
    return [(2, deliver_pending), (3_600, forget_old_deliveries)]
