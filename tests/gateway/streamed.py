"""Requests a stream and reads it event by event."""

import json
from collections.abc import Iterator
from typing import Any

from django.http import StreamingHttpResponse

from tests.api.support import COMPLETIONS, Caller
from tests.gateway.stepwise import MODEL

QUESTION = [{"role": "user", "content": "How do I plan a garden?"}]
DONE = "data: [DONE]"
KEEP_ALIVE = ": keep-alive"


def ask(program: Caller, model: str = MODEL, headers: dict[str, str] | None = None, **body: Any) -> Any:
    return program.post(COMPLETIONS, {"model": model, "messages": QUESTION, "stream": True, **body}, **(headers or {}))


def events_of(response: Any) -> Iterator[str]:
    """The events of a stream, one at a time."""
    assert isinstance(response, StreamingHttpResponse), response.content
    assert (response.status_code, response["Content-Type"]) == (200, "text/event-stream")
    assert (response["X-Accel-Buffering"], "no-transform" in response["Cache-Control"]) == ("no", False)
    for part in response:
        yield from part.decode().removesuffix("\n\n").split("\n\n")


def data_of(event: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(event.removeprefix("data: "))
    return parsed


def text_of(events: list[str]) -> str:
    chunks = [data_of(event) for event in events if event not in {DONE, KEEP_ALIVE}]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
