"""Scheduled jobs that usually have nothing to do."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class IfWaiting:
    """A job that runs only if a cheap check finds work. Calling it runs the check, then the job.

    The scheduler runs all checks in one thread, and wakes the job's own thread only if there is work: waking a thread
    takes more CPU than a check.
    """

    is_waiting: Callable[[], bool]
    run: Callable[[], object]

    def __post_init__(self) -> None:
        self.__qualname__ = self.run.__qualname__

    def __call__(self) -> object:
        """The job's result, or None if there is no work. Raises what the check and the job raise."""
        return self.run() if self.is_waiting() else None
