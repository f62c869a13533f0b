"""Answers a streamed call in any API format: forwards the events as the provider sends them.

Errors before the first part use an HTTP status. Once the first part or a keep-alive has been sent, a failure is an
error event, and the stream ends without the format's closing event.
"""

import logging
import time
from collections.abc import Generator, Iterator
from typing import Protocol

from django.http import HttpRequest, StreamingHttpResponse

from aiinfra.failures import ApiError, failure_of
from aiinfra.gateway import chat
from aiinfra.gateway.client_socket import ClientSocket
from aiinfra.gateway.lane.streamed_call import streamed
from aiinfra.gateway.unstored import unstored_error
from aiinfra.gateway.v1.call_headers import headers_of, headers_while_running
from aiinfra.gateway.v1.running import require_waiting, result_of
from aiinfra.gateway.waiting import NothingStoredError, Visit
from aiinfra.providers.base import StreamEvent
from aiinfra.tenants.scope import organization_scope
from queue_app.facade import ENDED, AIRequest, DirectCall, RequestStatus, Submission, Turn, request_by_id

logger = logging.getLogger(__name__)

KEEP_ALIVE_S = 10.0
"""The longest silence on the connection; until then, the status of the response is open."""
TICK_S = 1.0
"""How often a silent stream checks whether its client is still connected."""
NO_BUFFERING = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
NOTHING_YET = b""


class LiveEvents(Protocol):
    """Converts one answer to events in an endpoint's API format while it arrives."""

    def pass_on(self, event: StreamEvent) -> bytes:
        """One provider event in the endpoint's API format; may be empty."""
        ...

    def end(self, status: RequestStatus) -> bytes:
        """The rest, once the call is booked."""
        ...


class StreamDialect(Protocol):
    """How an API format streams."""

    keep_alive: bytes
    """A keep-alive that clients ignore."""

    def live(self, request: AIRequest, provider: str, model: str) -> LiveEvents:
        """The events of an answer that this provider is sending."""
        ...

    def whole(self, status: RequestStatus) -> bytes:
        """All events of a completed answer."""
        ...

    def error(self, error: ApiError, request: AIRequest) -> bytes:
        """The event of a failure."""
        ...


def stream(submission: Submission, http: HttpRequest, dialect: StreamDialect) -> StreamingHttpResponse:
    """Answer a call with events. Raises ApiError for what fails before the first of them, and what `submit` raises."""
    require_waiting()
    body = StreamedAnswer(submission, ClientSocket(http.META), dialect)
    body.open()
    return StreamingHttpResponse(body, content_type="text/event-stream", headers={**NO_BUFFERING, **body.headers()})


class StreamedAnswer:
    """The body of one response: it lives as long as its connection, and holds the client's slot."""

    def __init__(self, submission: Submission, client: ClientSocket, dialect: StreamDialect) -> None:
        self._submission = submission
        self._client = client
        self._dialect = dialect
        self._request: AIRequest | None = None
        self._status: RequestStatus | None = None
        self._waits_until: float | None = None
        self._parts = self._answer()
        self._first = NOTHING_YET

    def open(self) -> None:
        """Submit the call, and wait for the first part until a keep-alive is due.

        Raises ApiError, and everything that `submit` raises.
        """
        due_at = time.monotonic() + KEEP_ALIVE_S
        for part in self._parts:
            self._first = part
            if part or time.monotonic() >= due_at or self._client.is_gone():
                return

    def headers(self) -> dict[str, str]:
        """What is known about the call so far. The cost is included only if it has ended."""
        if self._status:
            return headers_of(self._status)
        return headers_while_running(self._request) if self._request else {}

    def __iter__(self) -> Iterator[bytes]:
        yield self._first or self._dialect.keep_alive
        try:
            yield from self._rest()
        except ApiError as error:
            yield self._failed(error)
        except Exception as error:
            logger.exception("a stream failed")
            yield self._failed(failure_of(error))

    def _failed(self, error: ApiError) -> bytes:
        assert self._request is not None  # noqa: S101 - for the type checker: `open` came first
        return self._dialect.error(error, self._request)

    def close(self) -> None:
        """Called when the client has everything or has left. Waits until the call is recorded."""
        self._parts.close()

    def _rest(self) -> Iterator[bytes]:
        sent_at = time.monotonic()
        for part in self._parts:
            if self._client.is_gone():
                return
            if part or time.monotonic() - sent_at >= KEEP_ALIVE_S:
                yield part or self._dialect.keep_alive
                sent_at = time.monotonic()

    def _answer(self) -> Generator[bytes, None, None]:
        """The parts of the body; `NOTHING_YET` whenever there has been none for a while."""
        with chat.visiting(self._submission.organization_id, self._client) as visit:
            direct = DirectCall(awaits_turn=True)
            self._request = request = chat.ask(self._submission, visit.take_slot, direct)
            turn = Turn(request)
            try:
                started = direct if direct.has_started else None
                while self._status is None:
                    if started is not None and (yield from self._live(request, started)):
                        return
                    if self._status is None:
                        started = yield from self._wait(visit, request, turn)
            finally:
                if self._status is None or turn.is_awaited:
                    turn.give_up()
        yield self._dialect.whole(self._status)

    def _live(self, request: AIRequest, direct: DirectCall) -> Generator[bytes, None, bool]:
        """The parts of a direct call. False if it ended without any event, or continues in the queue."""
        live, has_begun = self._dialect.live(request, *direct.called), False
        with streamed(direct, self._conclude) as call:
            for events in call.batches(TICK_S):
                has_begun = has_begun or bool(events)
                yield b"".join(map(live.pass_on, events))
            self._status = call.outcome()
        if has_begun and (self._status is None or not call.is_whole):
            raise ApiError(502, "provider_error", "The answer was cut off.")
        if has_begun and self._status is not None:
            yield live.end(self._status)
        return has_begun

    def _conclude(self, request: AIRequest) -> RequestStatus | None:
        """The answer of a recorded call; None if the request has not ended. Raises ApiError if it failed."""
        if request.status not in ENDED:  # it may have been cancelled during the call
            request = request_by_id(request.id) or request
        return result_of(request, self._submission) if request.status in ENDED else None

    def _wait(self, visit: Visit, request: AIRequest, turn: Turn) -> Generator[bytes, None, DirectCall | None]:
        """Wait until the request has ended elsewhere, or its turn has come: its call, which has started then.

        Raises ApiError if it has no answer in time.
        """
        if self._waits_until is None:
            self._waits_until = time.monotonic() + chat.longest_wait_s(self._submission)
        has_ended = request.status in ENDED
        while not has_ended and (left := self._waits_until - time.monotonic()) > 0:
            try:
                with organization_scope(request.organization_id):
                    has_ended = visit.wait(request.id, min(left, KEEP_ALIVE_S), turn)
            except NothingStoredError:
                raise unstored_error(request) from None
            if started := turn.start():
                return started
            if not has_ended:
                yield NOTHING_YET
        with organization_scope(request.organization_id):
            self._status = result_of(request_by_id(request.id) or request, self._submission)
        return None
