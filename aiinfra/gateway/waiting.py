"""Holds a connection open until its request ends.

A limited share of the threads may wait, so that pages stay fast. A call that finds no free slot is rejected before
anything is accepted for it: a client that waits for an answer would take a 202 for one. A lost event costs a second,
because the row is polled too.
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
from queue_app.facade import ENDED, has_ended

LOOK_EVERY_S = 1.0


class TooManyWaitingError(Exception):
    """All slots for waiting clients in this process are taken."""


class WaitingRoom:
    """The waiting threads of one process. Without slots no one waits here, and every call is answered immediately."""

    def __init__(self, places: int) -> None:
        self.is_open = places > 0
        self._places = threading.BoundedSemaphore(places)

    @contextmanager
    def visit(self) -> Iterator["Visit"]:
        """Context for one call; returns its slot at the end."""
        visit = Visit(self._places)
        try:
            yield visit
        finally:
            visit.leave()

    def wait(self, organization_id: int, request_id: UUID, timeout_s: float) -> bool:
        """True once the request has ended, False after the timeout. Raises TooManyWaitingError."""
        with self.visit() as visit:
            return visit.wait(organization_id, request_id, timeout_s)


class Visit:
    """One call's slot in the waiting room."""

    def __init__(self, places: threading.BoundedSemaphore) -> None:
        self._places = places
        self._has_place = False

    def take_place(self) -> None:
        """Take a slot before the request is accepted; idempotent. Raises TooManyWaitingError."""
        if not self._has_place and not self._places.acquire(blocking=False):
            raise TooManyWaitingError
        self._has_place = True

    def leave(self) -> None:
        """Return the slot, if there is one."""
        if self._has_place:
            self._places.release()
        self._has_place = False

    def wait(self, organization_id: int, request_id: UUID, timeout_s: float) -> bool:
        """True once the request has ended, False after the timeout. Raises TooManyWaitingError."""
        self.take_place()
        listener = Listener(organization_id, lambda event: _is_end_of(event, str(request_id)))
        try:
            feed.join(listener)
            return _wait_until_ended(request_id, listener, time.monotonic() + timeout_s)
        finally:
            feed.leave(listener)


def _wait_until_ended(request_id: UUID, listener: Listener, deadline: float) -> bool:
    while not has_ended(request_id):
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        close_old_connections()  # return the database connection to the pool while this thread waits
        listener.take(min(left, LOOK_EVERY_S))
    return True


def _is_end_of(event: LiveEvent, request_id: str) -> bool:
    if event.type != EventType.REQUEST or event.subject != request_id:
        return False
    return json.loads(event.data)["status"] in ENDED


waiting_room = WaitingRoom(settings.WAITING_CLIENTS_MAX)
