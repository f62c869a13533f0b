"""The live events of this process: one Redis subscription, while somebody listens, that fans out to its listeners.

A listener can miss events: Redis was away, the subscription is new, or its reader was slow. It is told so, and looks at
the history or at the rows.
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

LOOK_EVERY_S = 1.0
PAUSE_S = 1.0
UNREAD_MAX = 500
"""Events that a listener may leave unread; then it has missed some."""


class Listener:
    """What one client has not read yet. `wants` says which of its organization's events are for it."""

    def __init__(self, organization_id: int, wants: Callable[[LiveEvent], bool]) -> None:
        self.organization_id = organization_id
        self._wants = wants
        self._unread: deque[LiveEvent] = deque()
        self._has_missed = False
        self._lock = threading.Lock()
        self._moved = threading.Event()

    def offer(self, event: LiveEvent) -> None:
        """An event has come; never blocks."""
        if not self._wants(event):
            return
        with self._lock:
            if len(self._unread) >= UNREAD_MAX:
                self._unread.clear()
                self._has_missed = True
            self._unread.append(event)
        self._moved.set()

    def miss(self) -> None:
        """There may have been events that did not come."""
        with self._lock:
            self._has_missed = True
        self._moved.set()

    def take(self, timeout_s: float) -> tuple[list[LiveEvent], bool]:
        """Wait until something has come, then take it; and whether some were missed."""
        self._moved.wait(timeout_s)
        with self._lock:
            self._moved.clear()
            events, has_missed = list(self._unread), self._has_missed
            self._unread.clear()
            self._has_missed = False
        return events, has_missed


class Feed:
    """The listeners of one process, and the thread that reads for them while there are any."""

    def __init__(self) -> None:
        self._listeners: dict[int, list[Listener]] = defaultdict(list)
        self._lock = threading.Lock()
        self._reader: threading.Thread | None = None

    def join(self, listener: Listener) -> None:
        """Give the listener its organization's events from now on."""
        with self._lock:
            self._listeners[listener.organization_id].append(listener)
            if self._reader is None or not self._reader.is_alive():
                self._reader = threading.Thread(target=self._read, name="live-events", daemon=True)
                self._reader.start()

    def leave(self, listener: Listener) -> None:
        """Stop giving it events; safe to do twice."""
        with self._lock:
            those = self._listeners.get(listener.organization_id, [])
            if listener in those:
                those.remove(listener)
            if not those:
                self._listeners.pop(listener.organization_id, None)

    def count(self) -> int:
        """How many listen."""
        with self._lock:
            return sum(map(len, self._listeners.values()))

    def _read(self) -> None:
        while self._is_needed():
            try:
                self._fan_out()
            except RedisError:
                logger.info("no live events while Redis is away")
                self._tell_all_that_they_missed()
                time.sleep(PAUSE_S)

    def _is_needed(self) -> bool:
        """Under the lock, so that a new listener either finds a reader that goes on, or starts one."""
        with self._lock:
            if not self._listeners:
                self._reader = None
            return bool(self._listeners)

    def _fan_out(self) -> None:
        with redis_client().pubsub() as subscription:
            subscription.subscribe(CHANNEL)
            while self._listeners:
                message = subscription.get_message(timeout=LOOK_EVERY_S)
                if message and message["type"] == "subscribe":
                    self._tell_all_that_they_missed()
                elif message:
                    self._deliver(message["data"])

    def _deliver(self, message: str) -> None:
        try:
            event = LiveEvent.parse(message)
        except ValueError:
            logger.warning("a message that is no live event was ignored")
            return
        with self._lock:
            those = list(self._listeners.get(event.organization_id, ()))
        for listener in those:
            listener.offer(event)

    def _tell_all_that_they_missed(self) -> None:
        with self._lock:
            everyone = [listener for those in self._listeners.values() for listener in those]
        for listener in everyone:
            listener.miss()


feed = Feed()
"""The one of this process."""
