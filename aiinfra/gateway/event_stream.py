"""The response body of one client's live events: a generator that lives as long as the connection.

It runs in a web server thread, after the middleware, so it sets its own organization scope. It holds no database
connection while it waits, and at most `feed.UNREAD_MAX` unread events.
"""

import json
import time
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.conf import settings
from redis.exceptions import RedisError

from aiinfra import web_stopping
from aiinfra.api import ApiCall
from aiinfra.failures import DATABASE_AWAY
from aiinfra.gateway.client_socket import ClientSocket
from aiinfra.gateway.connection_slots import ConnectionSlots
from aiinfra.gateway.current_permissions import current_permissions
from aiinfra.gateway.feed import Listener, feed
from aiinfra.gateway.waiting_threads import release_connections, waiting
from aiinfra.live_events import (
    PAGE,
    PERMISSIONS,
    EventType,
    LiveEvent,
    events_after,
    mark_listening,
    newest_id,
    position_of,
)
from aiinfra.tenants.authorization import Principal
from aiinfra.tenants.scope import organization_scope
from queue_app.facade import event_of, request_by_id

HEARTBEAT_S = 15.0
CHECK_S = 3.0
"""How often the caller's permissions are checked."""
TICK_S = 1.0
STALLED_S = 30.0
"""A client that reads nothing for this long is disconnected."""
RETRY_MS = 2_000
EVENTS_PER_CHUNK = 4
"""About 2 kB, so that little is lost in buffers when a client disconnects."""


slots = ConnectionSlots(settings.EVENT_CLIENTS_MAX)
"""The slots of this process."""


@dataclass(frozen=True)
class Wanted:
    """What a client subscribed to: some event types, and possibly a single request."""

    types: frozenset[EventType]
    request_id: str | None = None

    def allowed_to(self, principal: Principal) -> frozenset[EventType]:
        """The subscribed types that the caller may see."""
        return frozenset(each for each in self.types if principal.can(PERMISSIONS[each]))


class EventStream:
    """Iterable response body. It holds a slot until it is closed."""

    def __init__(self, call: ApiCall, wanted: Wanted, cursor: str | None) -> None:
        self._call = call
        self._wanted = wanted
        self._cursor = cursor
        self._organization_id = call.principal.organization_id
        self._types = wanted.allowed_to(call.principal)
        self._listener = Listener(self._organization_id, self._is_for_client)
        self._socket = ClientSocket(call.http.META)
        self._is_behind = True
        self._is_ready = False
        self._is_interrupted = False
        self._check_at = 0.0
        self._heartbeat_at = time.monotonic() + HEARTBEAT_S
        # Also releases the slot of a response that the server never iterates over or closes.
        self._leave_slot = weakref.finalize(self, slots.leave, self._organization_id)

    def __iter__(self) -> Iterator[bytes]:
        release_connections()
        feed.join(self._listener)
        try:
            with waiting():
                yield from self._chunks()
        finally:
            self.close()

    def _chunks(self) -> Iterator[bytes]:
        for text in self._texts():
            if not self._can_write():
                return
            yield text.encode()

    def close(self) -> None:
        """Release the slot; idempotent."""
        feed.leave(self._listener)
        self._leave_slot()

    def _can_write(self) -> bool:
        """Wait for a slow client, but not forever."""
        deadline = time.monotonic() + STALLED_S
        while not self._socket.is_ready(TICK_S):
            if web_stopping.is_stopping() or time.monotonic() > deadline:
                return False
        return True

    def _texts(self) -> Iterator[str]:
        yield f"retry: {RETRY_MS}\n\n"
        while not (reason := self._why_over()):
            events, has_missed = self._listener.take(TICK_S)
            self._is_behind |= has_missed
            yield from self._catch_up() if self._is_behind else self._news(events)
            if time.monotonic() >= self._heartbeat_at:
                yield from self._heartbeat()
        if not self._socket.is_gone():
            yield _event("end", {"reason": reason})

    def _why_over(self) -> str:
        """Why the stream must end; empty while it may continue."""
        if web_stopping.is_stopping():
            return "shutdown"
        if self._socket.is_gone():
            return "gone"
        if time.monotonic() < self._check_at:
            return ""
        self._check_at = time.monotonic() + CHECK_S
        self._note_listening()
        try:
            principal = current_permissions(self._call)
        except DATABASE_AWAY:
            return "unavailable"
        self._types = self._wanted.allowed_to(principal) if principal else frozenset()
        return "" if self._types else "forbidden" if principal else "unauthorized"

    def _note_listening(self) -> None:
        try:
            mark_listening(self._organization_id)
        except RedisError:
            self._is_behind = True

    def _is_for_client(self, event: LiveEvent) -> bool:
        return event.type in self._types and self._wanted.request_id in (None, event.subject)

    def _catch_up(self) -> Iterator[str]:
        """Replay the history up to now: at the start, and whenever events may have been missed."""
        try:
            events, is_whole = self._read()
            if not self._is_ready:
                yield from self._opened(is_whole)
            elif not is_whole or self._is_interrupted:
                yield self._reset("interrupted" if self._is_interrupted else "too_old")
            self._is_interrupted = False
            yield from self._news(events)
            self._is_behind = len(events) == PAGE
        except RedisError:
            self._is_behind = True
            if not self._is_interrupted:
                self._is_interrupted = True
                yield _event("interrupted", {"reason": "redis_unavailable"})

    def _read(self) -> tuple[list[LiveEvent], bool]:
        """The events after the cursor, and whether they are complete; if not, moves the cursor to now."""
        if self._cursor is None:
            self._cursor = newest_id(self._organization_id)
        events, is_whole = events_after(self._organization_id, self._cursor)
        if is_whole:
            return events, True
        self._cursor = newest_id(self._organization_id)
        return [], False

    def _opened(self, is_whole: bool) -> Iterator[str]:
        self._is_ready = True
        yield _event("ready", {"types": sorted(self._types)}, self._cursor)
        if self._is_interrupted or not is_whole:
            yield self._reset("interrupted" if self._is_interrupted else "too_old")
        if self._wanted.request_id:
            yield from self._status_now(self._wanted.request_id)

    def _reset(self, reason: str) -> str:
        return _event("reset", {"reason": reason}, self._cursor)

    def _status_now(self, request_id: str) -> Iterator[str]:
        """The status of the one request: it may have changed before the client connected."""
        try:
            with organization_scope(self._organization_id):
                request = request_by_id(request_id)
                text = _lines(EventType.REQUEST, event_of(request).model_dump_json(by_alias=True)) if request else ""
        finally:
            release_connections()
        if text:
            yield text

    def _news(self, events: Iterable[LiveEvent]) -> Iterator[str]:
        """The events that the client has not received yet, without duplicates, in batches."""
        texts: list[str] = []
        for event in events:
            if self._cursor is not None and event.position <= position_of(self._cursor):
                continue
            self._cursor = event.id
            if self._is_for_client(event):
                texts.append(_lines(event.type, event.data, event.id))
            if len(texts) == EVENTS_PER_CHUNK:
                yield "".join(texts)
                texts = []
        if texts:
            yield "".join(texts)

    def _heartbeat(self) -> Iterator[str]:
        """Keep proxies from closing the connection, send the client's position, and recover lost events."""
        self._heartbeat_at = time.monotonic() + HEARTBEAT_S
        self._is_behind = True
        yield f"id: {self._cursor}\n: heartbeat\n\n" if self._is_ready else ": heartbeat\n\n"


def _event(name: str, data: dict[str, object], event_id: str | None = None) -> str:
    return _lines(name, json.dumps(data), event_id)


def _lines(name: str, data: str, event_id: str | None = None) -> str:
    identity = f"id: {event_id}\n" if event_id else ""
    return f"{identity}event: {name}\ndata: {data}\n\n"
