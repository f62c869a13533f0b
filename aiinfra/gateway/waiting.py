"""Holding a connection until its request ends.

Each process has one Redis subscription, while somebody waits, that fans out to its waiting threads; a bounded share of
the threads may wait, so that pages stay quick. A lost event costs a second: who waits also looks at the row.
"""

import json
import logging
import threading
import time
from collections import defaultdict
from uuid import UUID

from django.conf import settings
from django.db import close_old_connections
from redis.exceptions import RedisError

from aiinfra.redis import redis_client
from queue_app.events import CHANNEL
from queue_app.models import ENDED, AIRequest

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
PAUSE_S = 1.0


class TooManyWaitingError(Exception):
    """All places for waiting clients of this process are taken."""


class WaitingRoom:
    """The waiting threads of one process."""

    def __init__(self, places: int) -> None:
        self._places = threading.BoundedSemaphore(places)
        self._waiting: dict[str, list[threading.Event]] = defaultdict(list)
        self._lock = threading.Lock()
        self._listener: threading.Thread | None = None

    def wait(self, request_id: UUID, timeout_s: float) -> bool:
        """True once the request has ended, False after the time-out. Raises TooManyWaitingError."""
        if not self._places.acquire(blocking=False):
            raise TooManyWaitingError
        moved = threading.Event()
        try:
            self._join(str(request_id), moved)
            return self._wait_until_ended(request_id, moved, time.monotonic() + timeout_s)
        finally:
            self._leave(str(request_id), moved)
            self._places.release()

    def _wait_until_ended(self, request_id: UUID, moved: threading.Event, deadline: float) -> bool:
        while not AIRequest.objects.filter(id=request_id, status__in=ENDED).exists():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            close_old_connections()  # back to the pool while this thread waits
            moved.wait(min(left, LOOK_EVERY_S))
            moved.clear()
        return True

    def _join(self, request_id: str, moved: threading.Event) -> None:
        with self._lock:
            self._waiting[request_id].append(moved)
            if self._listener is None or not self._listener.is_alive():
                self._listener = threading.Thread(target=self._listen, name="events", daemon=True)
                self._listener.start()

    def _leave(self, request_id: str, moved: threading.Event) -> None:
        with self._lock:
            self._waiting[request_id].remove(moved)
            if not self._waiting[request_id]:
                del self._waiting[request_id]

    def _listen(self) -> None:
        while self._is_needed():
            try:
                self._fan_out()
            except RedisError:
                logger.info("no events while Redis is away")
                time.sleep(PAUSE_S)

    def _is_needed(self) -> bool:
        """Under the lock, so that who joins either finds a listener that goes on, or starts one."""
        with self._lock:
            if not self._waiting:
                self._listener = None
            return bool(self._waiting)

    def _fan_out(self) -> None:
        with redis_client().pubsub(ignore_subscribe_messages=True) as subscription:
            subscription.subscribe(CHANNEL)
            while self._waiting:
                message = subscription.get_message(timeout=LOOK_EVERY_S)
                if message:
                    for moved in self._waiting.get(json.loads(message["data"])["request"], []):
                        moved.set()


waiting_room = WaitingRoom(settings.WAITING_CLIENTS_MAX)
