"""Holds a connection open until its request ends.

A limited number of clients may wait, each on its own thread. A call that finds no free slot is rejected before it is
accepted: a client that expects an answer would mistake a 202 for one. A lost event delays the response by a second,
because the rows are also polled.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.conf import settings

from aiinfra.gateway.client_socket import ClientSocket
from aiinfra.gateway.connection_slots import ConnectionSlots, NoSlotError
from aiinfra.gateway.ended_rows import ended_rows
from aiinfra.gateway.feed import Listener, feed
from aiinfra.gateway.waiting_threads import release_connections, waiting
from aiinfra.live_events import EventType, LiveEvent
from queue_app.facade import ENDED, TURN, Turn, has_ended

POLL_EVERY_S = 1.0
"""How often a waiting thread checks whether its client is still connected."""


class TooManyWaitingError(Exception):
    """All slots for waiting clients in this process, or the organization's share of them, are taken."""


class WaitingRoom:
    """The waiting clients of one process. Without slots, clients can't wait, and every call returns immediately."""

    def __init__(self, slots: int) -> None:
        self.is_open = slots > 0
        self._slots = ConnectionSlots(slots)

    @contextmanager
    def visit(self, organization_id: int, client: ClientSocket) -> Iterator["Visit"]:
        """Context for one call; releases its slot at the end."""
        visit = Visit(self._slots, organization_id, client)
        try:
            yield visit
        finally:
            visit.leave()


class NothingStoredError(Exception):
    """The database can't store anything, so the request can't end."""


class Visit:
    """One call's slot in the waiting room."""

    def __init__(self, slots: ConnectionSlots, organization_id: int, client: ClientSocket) -> None:
        self._slots = slots
        self._organization_id = organization_id
        self._client = client
        self._has_slot = False

    def take_slot(self) -> None:
        """Take a slot before the request is accepted; idempotent. Raises TooManyWaitingError."""
        if self._has_slot:
            return
        try:
            self._slots.take(self._organization_id)
        except NoSlotError:
            raise TooManyWaitingError from None
        self._has_slot = True

    def leave(self) -> None:
        """Release the slot, if it has one."""
        if self._has_slot:
            self._slots.leave(self._organization_id)
        self._has_slot = False

    def wait(self, request_id: UUID, timeout_s: float, turn: Turn | None = None) -> bool:
        """True once the request has ended; False after the timeout, if the client left, or if its `turn` has come.

        Raises TooManyWaitingError, and NothingStoredError if the database stores nothing for the time of a lease.
        """
        self.take_slot()
        listener = Listener(self._organization_id, lambda event: _is_news_of(event, str(request_id)))
        try:
            feed.join(listener)
            with waiting(), ended_rows.watched(request_id, listener):
                return self._wait_until_ended(request_id, listener, time.monotonic() + timeout_s, turn)
        finally:
            feed.leave(listener)

    def _wait_until_ended(self, request_id: UUID, listener: Listener, deadline: float, turn: Turn | None) -> bool:
        is_news = True
        while not (is_news and has_ended(request_id)):
            left = deadline - time.monotonic()
            if self._client.is_gone() or (turn and turn.has_come(is_news=is_news)) or left <= 0:
                return False
            if ended_rows.is_nothing_stored():
                raise NothingStoredError
            release_connections()
            events, has_missed = listener.take(min(left, POLL_EVERY_S))
            is_news = bool(events) or has_missed
        return True


def _is_news_of(event: LiveEvent, request_id: str) -> bool:
    """Whether it announces the request's end or its turn."""
    if event.subject != request_id:
        return False
    return event.type == TURN or (event.type == EventType.REQUEST and json.loads(event.data)["status"] in ENDED)


waiting_room = WaitingRoom(settings.WAITING_CLIENTS_MAX)
