"""Holding a connection until its request ends.

A bounded share of the threads may wait, so that pages stay quick. A lost event costs a second: the row is looked at,
too.
"""

import json
import threading
import time
from uuid import UUID

from django.conf import settings
from django.db import close_old_connections

from aiinfra.gateway.feed import Listener, feed
from aiinfra.live_events import EventType, LiveEvent
from queue_app.models import ENDED, AIRequest

LOOK_EVERY_S = 1.0


class TooManyWaitingError(Exception):
    """All places for waiting clients of this process are taken."""


class WaitingRoom:
    """The waiting threads of one process."""

    def __init__(self, places: int) -> None:
        self._places = threading.BoundedSemaphore(places)

    def wait(self, organization_id: int, request_id: UUID, timeout_s: float) -> bool:
        """True once the request has ended, False after the time-out. Raises TooManyWaitingError."""
        if not self._places.acquire(blocking=False):
            raise TooManyWaitingError
        listener = Listener(organization_id, lambda event: _is_end_of(event, str(request_id)))
        try:
            feed.join(listener)
            return self._wait_until_ended(request_id, listener, time.monotonic() + timeout_s)
        finally:
            feed.leave(listener)
            self._places.release()

    def _wait_until_ended(self, request_id: UUID, listener: Listener, deadline: float) -> bool:
        while not AIRequest.objects.filter(id=request_id, status__in=ENDED).exists():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            close_old_connections()  # back to the pool while this thread waits
            listener.take(min(left, LOOK_EVERY_S))
        return True


def _is_end_of(event: LiveEvent, request_id: str) -> bool:
    if event.type != EventType.REQUEST or event.subject != request_id:
        return False
    return json.loads(event.data)["status"] in ENDED


waiting_room = WaitingRoom(settings.WAITING_CLIENTS_MAX)
