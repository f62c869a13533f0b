"""Chat completions as streams: of answers in progress, and of completed ones."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aiinfra import vendor_errors
from aiinfra.failures import ApiError
from aiinfra.gateway.v1.chat_chunks import chunk_source
from aiinfra.gateway.v1.openai_completion import completion_of, envelope_of, usage_of
from aiinfra.gateway.v1.sse import event_of
from aiinfra.providers.base import StreamEvent
from queue_app.facade import AIRequest, RequestStatus

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"


class ChatStream:
    """Streams chat completions. The usage comes last, and only `with_usage`."""

    keep_alive = KEEP_ALIVE

    def __init__(self, *, with_usage: bool) -> None:
        self._with_usage = with_usage

    def live(self, request: AIRequest, provider: str, model: str) -> "LiveChunks":
        """The events of an answer that this provider is sending."""
        return LiveChunks(envelope_of(request, model), provider, with_usage=self._with_usage)

    def whole(self, status: RequestStatus) -> bytes:
        """All events of a completed answer."""
        return b"".join(chunks_of(completion_of(status), with_usage=self._with_usage))

    def error(self, error: ApiError, request: AIRequest) -> bytes:  # noqa: ARG002 - as in the protocol
        """The event of a failure, which the SDKs raise."""
        return event_of(vendor_errors.openai_body(error))


class LiveChunks:
    """The chunks of one answer, in our envelope."""

    def __init__(self, envelope: Mapping[str, Any], provider: str, *, with_usage: bool) -> None:
        self._envelope = {**envelope, "object": "chat.completion.chunk"}
        self._source = chunk_source(provider)
        self._with_usage = with_usage

    def pass_on(self, event: StreamEvent) -> bytes:
        """The chunks of one event of the provider."""
        return self._joined(self._source.chunks_of(event))

    def end(self, status: RequestStatus) -> bytes:
        """The missing chunks, the usage, and the mark of the end."""
        usage = {"choices": [], "usage": usage_of(status)}
        last = [*self._source.last_chunks(status), *([usage] if self._with_usage else [])]
        return self._joined(last) + DONE

    def _joined(self, chunks: Iterable[Mapping[str, Any]]) -> bytes:
        return b"".join(event_of({**chunk, **self._envelope}) for chunk in chunks)


def chunks_of(completion: Mapping[str, Any], *, with_usage: bool) -> Iterator[bytes]:
    """A whole completion as a stream: the same events that a provider would send, in fewer pieces."""
    envelope = {name: completion[name] for name in ("id", "created", "model", "system_fingerprint")}
    envelope["object"] = "chat.completion.chunk"
    [choice] = completion["choices"]
    message = choice["message"]
    calls = [{**call, "index": index} for index, call in enumerate(message.get("tool_calls", ()))]
    rest = {name: value for name, value in message.items() if name not in {"role", "tool_calls"} and value is not None}
    deltas = [{"role": "assistant", "content": ""}, rest, *([{"tool_calls": calls}] if calls else [])]
    for delta in deltas:
        yield event_of({**envelope, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    yield event_of({**envelope, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]})
    if with_usage:
        yield event_of({**envelope, "choices": [], "usage": completion["usage"]})
    yield DONE
