"""A recorded request, and checks of its answer."""

import json
from dataclasses import dataclass, field
from typing import Any

import httpx2


@dataclass(frozen=True)
class Shape:
    """A recorded request."""

    name: str
    path: str
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)

    def send(self, product: str, key: str) -> httpx2.Response:
        """Send the request and read the whole answer."""
        headers = {"Authorization": f"Bearer {key}", **self.headers}
        with httpx2.Client(trust_env=False, timeout=60) as client:
            return client.post(f"{product}{self.path}", json=self.body, headers=headers)


def events_of(response: httpx2.Response) -> list[dict[str, Any]]:
    """The events of a streamed answer. Checks that it ended properly."""
    assert response.headers["content-type"] == "text/event-stream"
    data = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    if response.request.url.path.endswith("/chat/completions"):
        assert data.pop() == "[DONE]"
    events: list[dict[str, Any]] = [json.loads(each) for each in data]
    kinds = [event.get("type") for event in events]
    assert "error" not in kinds and "response.failed" not in kinds, events[-1]
    ends = {"/v1/messages": "message_stop", "/v1/responses": "response.completed"}
    assert kinds[-1] == ends.get(response.request.url.path)
    return events
