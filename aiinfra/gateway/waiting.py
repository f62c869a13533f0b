"""Holding a connection until its request ends.

A bounded share of the threads may wait, so that pages stay quick. A call that finds every place taken is turned away
before anything is accepted for it: a client that waits for an answer takes a 202 for one. A lost event costs a second:
the row is looked at, too.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
    """The waiting threads of one process. Without any places nobody waits here, and every call is answered at once."""

    def __init__(self, places: int) -> None:
        self.is_open = places > 0
        self._places = threading.BoundedSemaphore(places)

    @contextmanager
    def visit(self) -> Iterator["Visit"]:
        """The stay of one call; the place that it took is free again at the end."""
        visit = Visit(self._places)
        try:
            yield visit
        finally:
            visit.leave()

    def wait(self, organization_id: int, request_id: UUID, timeout_s: float) -> bool:
        """True once the request has ended, False after the time-out. Raises TooManyWaitingError."""
        with self.visit() as visit:
            return visit.wait(organization_id, request_id, timeout_s)


class Visit:
    """One call's place in the waiting room, from the moment at which it is sure to wait."""

    def __init__(self, places: threading.BoundedSemaphore) -> None:
        self._places = places
        self._has_place = False

    def take_place(self) -> None:
        """Do so before the request is accepted; safe to do twice. Raises TooManyWaitingError."""
        if not self._has_place and not self._places.acquire(blocking=False):
            raise TooManyWaitingError
        self._has_place = True

    def leave(self) -> None:
        """Give the place back, if there is one."""
        if self._has_place:
            self._places.release()
        self._has_place = False

    def wait(self, organization_id: int, request_id: UUID, timeout_s: float) -> bool:
        """True once the request has ended, False after the time-out. Raises TooManyWaitingError."""
        self.take_place()
        listener = Listener(organization_id, lambda event: _is_end_of(event, str(request_id)))
        try:
            feed.join(listener)
            return _wait_until_ended(request_id, listener, time.monotonic() + timeout_s)
        finally:
            feed.leave(listener)


def _wait_until_ended(request_id: UUID, listener: Listener, deadline: float) -> bool:
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
