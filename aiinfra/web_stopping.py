"""Whether this web process is stopping, so that streams end and readiness checks fail."""

from collections.abc import Callable


def _never() -> bool:
    return False


_is_stopping: Callable[[], bool] = _never


def watch(is_stopping: Callable[[], bool]) -> None:
    """Register how to find out; the web server does so in each of its processes."""
    global _is_stopping
    _is_stopping = is_stopping


def is_stopping() -> bool:
    """Whether the process has received SIGTERM."""
    return _is_stopping()
