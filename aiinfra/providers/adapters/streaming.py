"""Reads a streamed answer: passes its events on as they arrive, and ends with the same result as a plain call."""

import contextlib
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx2
from django.conf import settings

from aiinfra import egress
from aiinfra.providers.adapters import errors
from aiinfra.providers.adapters.cleaning import read_json
from aiinfra.providers.adapters.merging import MergedBody
from aiinfra.providers.adapters.openai_answer import raw_usage_of
from aiinfra.providers.adapters.sse import ServerEvent, server_events
from aiinfra.providers.base import ChatAnswer, ErrorCode, ProviderError, StreamEvent, TokenUsage
from aiinfra.providers.usage import storable

DONE = "[DONE]"
TAIL_S = 0.1
"""Time for reading the rest of a body after its last event, so that the connection can be reused."""


def accept(*, streams: bool) -> dict[str, str]:
    """The header that marks a stream for the transport, which then applies a larger size limit."""
    return {"Accept": f"{egress.EVENT_STREAM}, application/json"} if streams else {}


def timeouts(total_s: float, *, streams: bool) -> httpx2.Timeout:
    """Timeouts of the single steps of a call."""
    return egress.timeouts(total_s, settings.PROVIDER_STREAM_IDLE_S if streams else None)


@dataclass(frozen=True)
class Dialect:
    """How one dialect streams: `read_body` makes the answer of a whole body, `read_error` the error of an object."""

    merged: MergedBody
    read_body: Callable[[dict[str, Any], httpx2.Headers], ChatAnswer]
    read_usage: Callable[..., TokenUsage | None]
    read_error: Callable[[object], ProviderError]


def read_stream(
    response: httpx2.Response, dialect: Dialect, ends_at: float
) -> Generator[StreamEvent, None, ChatAnswer]:
    """Yield the events of an answer until `ends_at` (monotonic), and return it. Closes the response.

    A server that answers with a plain body instead yields no event. Raises ProviderError for everything that is not a
    clean answer; it includes usage only if the answer had ended, because earlier counts are too low.
    """
    with contextlib.closing(response):
        if not response.headers.get("content-type", "").startswith(egress.EVENT_STREAM):
            return dialect.read_body(_plain_body(response, ends_at), response.headers)
        first_token_at = None
        try:
            for event in _events(response, dialect.merged, ends_at):
                if first_token_at is None and dialect.merged.size:
                    first_token_at = time.monotonic()
                yield event
            if error := dialect.merged.error():
                raise dialect.read_error(error)
        except ProviderError as error:
            raise _completed(error, dialect) from None
        return replace(dialect.read_body(dialect.merged.body(), response.headers), first_token_at=first_token_at)


def _plain_body(response: httpx2.Response, ends_at: float) -> dict[str, Any]:
    pieces = b"".join(_pieces(response, ends_at))
    try:
        body = read_json(pieces)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise errors.unreadable_answer()
    return body


def _events(response: httpx2.Response, merged: MergedBody, ends_at: float) -> Iterator[StreamEvent]:
    pieces = _pieces(response, ends_at)
    try:
        for received in server_events(pieces):
            if received.data == DONE:
                _read_tail(response)
                return
            event = _parsed(received)
            merged.add(event)
            if merged.error():
                return
            _check_size(merged)
            yield event
    except ProviderError:
        # The connection may break after the answer, which is whole then.
        if not merged.is_whole():
            raise
    if not merged.is_whole():
        message = "The stream ended before the answer did."
        raise ProviderError(ErrorCode.CONNECTION_ERROR, message, may_be_billed=True, status=200)


def _pieces(response: httpx2.Response, ends_at: float) -> Iterator[bytes]:
    """The body as it arrives. The deadline applies to reading alone, not to what the consumer does between events."""
    body = response.iter_bytes()
    while True:
        try:
            with egress.deadline(max(ends_at - time.monotonic(), 0)):
                piece = next(body, None)
        except httpx2.HTTPError as error:
            raise errors.transport_error(error) from None
        if piece is None:
            return
        yield piece


def _read_tail(response: httpx2.Response) -> None:
    with contextlib.suppress(httpx2.HTTPError, httpx2.StreamError), egress.deadline(TAIL_S):
        for _ in response.iter_raw():
            continue


def _parsed(received: ServerEvent) -> StreamEvent:
    try:
        data = read_json(received.data.encode())
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise errors.unreadable_answer()
    return StreamEvent(received.name, received.data, data)


def _check_size(merged: MergedBody) -> None:
    most = settings.PROVIDER_ANSWER_MAX_MIB * 1024 * 1024
    if merged.size > most:
        message = f"The answer has more than {most} characters."
        raise ProviderError(ErrorCode.ANSWER_TOO_LARGE, message, may_be_billed=True, status=200)


def _completed(error: ProviderError, dialect: Dialect) -> ProviderError:
    """The error with what the stream had reported. An answer that has begun may be billed, whatever the error says."""
    merged = dialect.merged
    raw_usage = raw_usage_of(merged.body())
    error.may_be_billed |= bool(merged.size)
    error.raw_usage = storable(raw_usage)
    error.usage = dialect.read_usage(raw_usage, answered=bool(merged.size)) if merged.is_whole() else None
    return error
