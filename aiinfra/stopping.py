"""Being told to stop by a signal."""

import time


class StopFlag:
    """Set by a signal handler, looked at by loops. Takes no lock.

    Python runs a handler between two steps of the main thread. `threading.Event.set` takes a lock: where the main
    thread was just holding it, in `wait`, the process would hang for good.
    """

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """Ask to stop. Safe in a signal handler, and from any thread."""
        self._is_set = True

    def clear(self) -> None:
        """Take it back."""
        self._is_set = False

    def is_set(self) -> bool:
        """Whether somebody asked."""
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Sleep, then say whether somebody asked. Not woken before the time is over: keep it short."""
        time.sleep(seconds)
        return self._is_set
