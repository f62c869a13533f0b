"""Loads the earlier responses that a call continues, by `previous_response_id` or by `item_reference`s.

Both are read from the stored content of requests, so they are subject to its retention and erasure. A key sees only its
own requests, and none that was sent with `store: false`.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from aiinfra.failures import ApiError
from aiinfra.gateway.v1.openai_completion import message_of
from aiinfra.gateway.v1.openai_response import output_of
from aiinfra.gateway.v1.responses_tools import Tools
from aiinfra.validation import REQUIRED
from queue_app.facade import Conversation, conversations_of

RESPONSE_ID = re.compile(r"resp_([0-9a-f]{32})")
ITEM_ID = re.compile(r"[a-z]+_([0-9a-f]{32})_\d+")
REFERENCE = "item_reference"
REASONING = "rs_"

Object = dict[str, Any]


def messages_before(response_id: str, api_key_id: int | None) -> list[Object]:
    """The conversation that ended with a response. Raises ApiError 400 for an unknown response."""
    conversations = _read([_request_in(RESPONSE_ID, response_id)], api_key_id)
    if not conversations:
        message = f"Previous response with id '{response_id}' not found."
        raise ApiError(400, "previous_response_not_found", message, param="previous_response_id")
    [found] = conversations
    return [*found.messages, message_of(found.response)]


def with_references(items: Sequence[Object], api_key_id: int | None) -> list[Object]:
    """The input with the items that `item_reference`s name. Raises ApiError 404 for an item that does not exist."""
    named = [str(item.get("id")) for item in items if item.get("type") == REFERENCE]
    if not named:
        return list(items)
    conversations = _read((_request_in(ITEM_ID, name) for name in named), api_key_id)
    known = {item["id"]: item for found in conversations for item in _items_of(found)}
    return [
        _resolved(item, known, index) if item.get("type") == REFERENCE else item for index, item in enumerate(items)
    ]


def _resolved(reference: Object, known: dict[str, Object], index: int) -> Object:
    name = reference.get("id")
    if name is None:
        raise ApiError(400, "invalid_request", REQUIRED, param=f"input.{index}.id")
    if name.startswith(REASONING):
        return {"type": "reasoning", "id": name}
    if name not in known:
        raise ApiError(404, "not_found", f"Item with id '{name}' not found.", param=f"input.{index}.id")
    return known[name]


def _items_of(found: Conversation) -> list[Object]:
    return output_of(message_of(found.response), found.request_id.hex, Tools(()))


def _request_in(pattern: re.Pattern[str], name: str) -> UUID | None:
    match = pattern.fullmatch(name)
    return UUID(match[1]) if match else None


def _read(request_ids: Iterable[UUID | None], api_key_id: int | None) -> list[Conversation]:
    return conversations_of({each for each in request_ids if each}, api_key_id)
