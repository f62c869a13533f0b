"""Helpers that send requests and return the parsed response."""

import json
from typing import Any

from tests.api.support import QUEUE, Caller, enqueue_body


def read(caller: Caller, **query: Any) -> dict[str, Any]:
    response = caller.get(QUEUE, **query)
    assert response.status_code == 200, response.content
    body: dict[str, Any] = json.loads(response.content)
    return body


def enqueue(caller: Caller, **changes: Any) -> str:
    response = caller.post(QUEUE, enqueue_body(**changes))
    assert response.status_code == 202, response.content
    return str(json.loads(response.content)["requestId"])
