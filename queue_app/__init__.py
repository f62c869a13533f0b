"""The request queue. Python callers start with `create_ai_request_queue`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from queue_app.facade import AIRequestQueue


def create_ai_request_queue() -> "AIRequestQueue":
    """Return the queue. Imported late because Django loads this package before its models."""
    from queue_app.facade import AIRequestQueue

    return AIRequestQueue()
