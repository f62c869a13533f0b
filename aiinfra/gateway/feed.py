"""Live events in one web process: one Redis subscription, open while there are listeners, fans out to all of them.

A listener can miss events if Redis was unreachable, the subscription is new, or its client is too slow. It is then
marked, and reads the history or the database instead.
"""

import logging
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable

from redis.exceptions import RedisError

from aiinfra.live_events import CHANNEL, LiveEvent
from aiinfra.redis import redis_client

logger = logging.getLogger(__name__)

POLL_EVERY_S = 1.0
PAUSE_S = 1.0
UNREAD_MAX = 500
"""Unread events a listener may hold. Beyond that they are dropped and the listener is marked as having missed some."""


class Listener:
    """One client's unread events. `wants` selects which of its organization's events it receives."""

    def __init__(self, organization_id: int, wants: Callable[[LiveEvent], bool]) -> None:
        self.organization_id = organization_id
        self._wants = wants
        self._unread: deque[LiveEvent] = deque()
        self._has_missed = False
        self._lock = threading.Lock()
        self._moved = threading.Event()

    def offer(self, event: LiveEvent) -> None:
        """Add an event if the listener wants it. Never blocks."""
        if not self._wants(event):
            return
        with self._lock:
            if len(self._unread) >= UNREAD_MAX:
                self._unread.clear()
                self._has_missed = True
            self._unread.append(event)
        self._moved.set()

    def miss(self) -> None:
        """Record that events may have been missed."""
        with self._lock:
            self._has_missed = True
        self._moved.set()

    def take(self, timeout_s: float) -> tuple[list[LiveEvent], bool]:
        """Wait up to `timeout_s` seconds for events. Return them, and whether some were missed."""
        self._moved.wait(timeout_s)
        with self._lock:
            self._moved.clear()
            events, has_missed = list(self._unread), self._has_missed
            self._unread.clear()
            self._has_missed = False
        return events, has_missed


class Feed:
    """The listeners of one process, and the thread that reads from Redis while there are any."""

    def __init__(self) -> None:
        self._listeners: dict[int, list[Listener]] = defaultdict(list)
        self._lock = threading.Lock()
        self._reader: threading.Thread | None = None

    def join(self, listener: Listener) -> None:
        """Start delivering its organization's events to the listener."""
        with self._lock:
            self._listeners[listener.organization_id].append(listener)
            if self._reader is None or not self._reader.is_alive():
                self._reader = threading.Thread(target=self._read, name="live-events", daemon=True)
                self._reader.start()

    def leave(self, listener: Listener) -> None:
        """Stop delivering events to the listener. Calling it twice is safe."""
        with self._lock:
            those = self._listeners.get(listener.organization_id, [])
            if listener in those:
                those.remove(listener)
            if not those:
                self._listeners.pop(listener.organization_id, None)

    def count(self) -> int:
        """The number of listeners."""
        with self._lock:
            return sum(map(len, self._listeners.values()))

    def _read(self) -> None:
        while self._is_needed():
            try:
                self._fan_out()
            except RedisError:
                logger.info("no live events while Redis is unreachable")
                self._mark_all_as_missed()
                time.sleep(PAUSE_S)

    def _is_needed(self) -> bool:
        """Checked under the lock, so that a new listener either finds a running reader or starts one."""
        with self._lock:
            if not self._listeners:
                self._reader = None
            return bool(self._listeners)

    def _fan_out(self) -> None:
        with redis_client().pubsub() as subscription:
            subscription.subscribe(CHANNEL)
            while self._listeners:
                message = subscription.get_message(timeout=POLL_EVERY_S)
                if message and message["type"] == "subscribe":
                    self._mark_all_as_missed()
                elif message:
                    self._deliver(message["data"])

    def _deliver(self, message: str) -> None:
        try:
            event = LiveEvent.parse(message)
        except ValueError:
            logger.warning("ignored a message that is not a live event")
            return
        with self._lock:
            those = list(self._listeners.get(event.organization_id, ()))
        for listener in those:
            listener.offer(event)

    def _mark_all_as_missed(self) -> None:
        with self._lock:
            everyone = [listener for those in self._listeners.values() for listener in those]
        for listener in everyone:
            listener.miss()


feed = Feed()
"""This process's feed."""
