"""Scheduled jobs that usually have nothing to do."""

from collections.abc import Callable


class IfWaiting:
    """A job that runs only if a cheap check finds work. Calling it does both.

    The scheduler runs all checks one after another in one thread, and wakes the job's own thread only if there is
    work: waking a thread takes more CPU than a check.
    """

    def __init__(self, is_waiting: Callable[[], bool], run: Callable[[], object]) -> None:
        self.is_waiting, self.run = is_waiting, run
        self.__qualname__ = run.__qualname__

    def __call__(self) -> object:
        """The job's result, or None if there is no work. Raises what the check and the job raise."""
        return self.run() if self.is_waiting() else None
