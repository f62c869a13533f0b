"""Server-sent events as the official clients parse them."""

import json
from collections.abc import Mapping
from typing import Any


def event_of(data: Mapping[str, Any], name: str = "") -> bytes:
    """One event with JSON data; without a name, clients see a `message` event.

    Escaped characters stay escaped: a provider may split a surrogate pair between two events.
    """
    event = f"event: {name}\n" if name else ""
    return f"{event}data: {json.dumps(data, separators=(',', ':'))}\n\n".encode()
