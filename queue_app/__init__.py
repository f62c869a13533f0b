"""The request queue. `create_ai_request_queue` is the door for Python callers."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from queue_app.facade import AIRequestQueue


def create_ai_request_queue() -> "AIRequestQueue":
    """The queue. Imported late, because Django loads this package before its models."""
    from queue_app.facade import AIRequestQueue

    return AIRequestQueue()
