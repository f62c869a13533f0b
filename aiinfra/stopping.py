"""A flag that stops loops on a signal."""


class StopFlag:
    """Set by a signal handler, checked by loops. Takes no lock.

    Python runs a signal handler between two steps of the main thread. `threading.Event.set` takes a lock: if the main
    thread held it at that moment, in `wait`, the process would hang forever.
    """

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """Request a stop. Safe in a signal handler and from any thread."""
        self._is_set = True

    def clear(self) -> None:
        """Withdraw the request to stop."""
        self._is_set = False

    def is_set(self) -> bool:
        """Whether a stop was requested."""
        return self._is_set
