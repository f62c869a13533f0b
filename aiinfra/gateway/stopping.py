"""Whether this web process has been told to stop: answers without an end must then come to one."""

from collections.abc import Callable


def _never() -> bool:
    return False


_is_stopping: Callable[[], bool] = _never


def watch(is_stopping: Callable[[], bool]) -> None:
    """Say how to find out; the web server does so in each of its processes."""
    global _is_stopping
    _is_stopping = is_stopping


def is_stopping() -> bool:
    """True from SIGTERM on."""
    return _is_stopping()
