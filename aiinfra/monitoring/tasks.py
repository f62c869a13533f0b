"""What the scheduler runs for monitoring. Everything here may be run by several at once."""

from collections.abc import Callable

from aiinfra.monitoring.incidents import LOOK_EVERY_S
from aiinfra.monitoring.watch import look

Jobs = list[tuple[float, Callable[[], object]]]
"""(seconds between two runs, what is run)"""


def jobs() -> Jobs:
    """Give them a thread of their own: what watches the product must not wait for what takes minutes."""
    return [(LOOK_EVERY_S, look)]
