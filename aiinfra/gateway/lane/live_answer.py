"""A buffer for a streamed answer, between the thread that reads it and the thread that sends it to the client."""

import threading
import time

from django.conf import settings

from aiinfra.failures import ApiError
from aiinfra.providers.base import StreamEvent

UNREAD_CHARACTERS_MAX = 4 * 1024 * 1024
"""A client that is further behind than this, plus the web server's buffer, is too slow."""


class LiveAnswer:
    """The `Receiver` of one call. The reading thread never waits for the client."""

    def __init__(self) -> None:
        self._events: list[StreamEvent] = []
        self._unread = 0
        self._is_overrun = False
        self._has_ended = False
        self._reads_until: float | None = None
        self._news = threading.Condition()

    def receive(self, event: StreamEvent) -> bool:
        """Buffer an event. Returns whether to keep reading: until `STREAM_DRAIN_S` after the client has left."""
        with self._news:
            if self._reads_until is not None:
                return time.monotonic() < self._reads_until
            self._events.append(event)
            self._unread += len(event.text)
            if self._unread > UNREAD_CHARACTERS_MAX:
                self._is_overrun = True
                self._stop_keeping()
            self._news.notify()
            return True

    def end(self) -> None:
        """Mark the end of the events."""
        with self._news:
            self._has_ended = True
            self._news.notify()

    def take(self, timeout_s: float) -> list[StreamEvent] | None:
        """The buffered events; empty after the timeout in seconds, None at the end.

        Raises ApiError if the client did not take them in time.
        """
        with self._news:
            self._news.wait_for(lambda: self._events or self._has_ended or self._is_overrun, timeout_s)
            if self._is_overrun:
                raise ApiError(503, "too_slow", "The stream was not read fast enough.")
            events, self._events, self._unread = self._events, [], 0
            return None if self._has_ended and not events else events

    def leave(self) -> None:
        """Stop buffering: the client has left or has received everything."""
        with self._news:
            if self._reads_until is None:
                self._stop_keeping()

    def _stop_keeping(self) -> None:
        self._events.clear()
        self._reads_until = time.monotonic() + settings.STREAM_DRAIN_S
