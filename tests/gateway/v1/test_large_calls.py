"""Calls under `/v1` can be larger than other requests, because they contain images and long conversations."""

from typing import Any

import pytest
from django.conf import settings

from aiinfra.bodies import BODY_BYTES_MAX, MIB
from aiinfra.gateway.waiting import WaitingRoom
from cost_app.prices.lookup import add_shipped_prices
from queue_app.ordering import index
from tests.api.support import CHAT, COMPLETIONS, COUNT_TOKENS, EMBEDDINGS, MESSAGES_DOOR, RESPONSES, Caller, refused
from tests.providers.conftest import SandboxClient

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("redis_url")]
LARGE = "I walk and the dog follows. " * (2 * BODY_BYTES_MAX // 28)
MESSAGES = [{"role": "user", "content": LARGE}]
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 2 * BODY_BYTES_MAX}}
CALLS: list[tuple[str, dict[str, Any]]] = [
    (COMPLETIONS, {"model": "gpt-4", "messages": MESSAGES}),
    (COMPLETIONS, {"model": "gpt-4", "messages": [{"role": "user", "content": [IMAGE]}]}),
    (MESSAGES_DOOR, {"model": "claude-haiku-4-5", "messages": MESSAGES, "max_tokens": 9}),
    (COUNT_TOKENS, {"model": "claude-haiku-4-5", "messages": MESSAGES}),
    (RESPONSES, {"model": "gpt-4", "input": LARGE}),
    (EMBEDDINGS, {"model": "text-embedding-3-small", "input": ["word " * 1_000] * 500}),
]


@pytest.mark.parametrize(("path", "body"), CALLS, ids=lambda each: each if isinstance(each, str) else "")
def test_call_of_two_mebibytes_is_answered(
    program: Caller, sandbox: SandboxClient, room: WaitingRoom, path: str, body: dict[str, Any]
) -> None:
    index.mark_complete()
    add_shipped_prices()
    response = program.post(path, body)
    assert response.status_code == 200, response.content


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(("path", "size"), [(COMPLETIONS, settings.CALL_MIB_MAX * MIB + 1), (CHAT, BODY_BYTES_MAX + 1)])
def test_call_above_its_size_limit_is_refused(program: Caller, path: str, size: int) -> None:
    refused(program.post(path, b" " * size), 413)
