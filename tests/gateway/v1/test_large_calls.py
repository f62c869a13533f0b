"""Calls under `/v1` can be larger than other requests, because they contain images and long conversations."""

from typing import Any

import pytest
from django.conf import settings

from aiinfra.bodies import BODY_BYTES_MAX, MIB
from aiinfra.gateway.waiting import WaitingRoom
from aiinfra.json_body import CALL_NODES_MAX, NODES_MAX
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


TURNS = [{"role": role, "content": [{"type": "text", "text": "x"}]} for role in ("user", "assistant")] * 2_000
ITEMS = [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}] * 4_000
CLAUDE: dict[str, Any] = {"model": "claude-haiku-4-5"}
LONG_CALLS: list[tuple[str, dict[str, Any]]] = [
    (COMPLETIONS, {"model": "gpt-4", "messages": TURNS}),
    (MESSAGES_DOOR, {**CLAUDE, "messages": TURNS, "max_tokens": 9}),
    (COUNT_TOKENS, {**CLAUDE, "messages": TURNS}),
    (RESPONSES, {"model": "gpt-4", "input": ITEMS}),
]


@pytest.mark.parametrize(("path", "body"), LONG_CALLS, ids=lambda each: each if isinstance(each, str) else "")
def test_a_long_session_of_an_agent_is_answered(
    program: Caller, sandbox: SandboxClient, room: WaitingRoom, path: str, body: dict[str, Any]
) -> None:
    """4,000 turns with 40,000 members."""
    index.mark_complete()
    add_shipped_prices()
    response = program.post(path, body)
    assert response.status_code == 200, response.content


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("path", [COMPLETIONS, CHAT])
def test_a_body_with_too_many_members_is_refused(program: Caller, path: str) -> None:
    limit = CALL_NODES_MAX if path == COMPLETIONS else NODES_MAX
    error = refused(program.post(path, {"model": "gpt-4", "messages": MESSAGES[:0], "x": [0] * limit}), 400)
    assert error["message"] == f"The request has more than {limit:,} members and array elements."
    assert error["param"] == "x"


REASONING = {"type": "reasoning", "id": "rs_1", "summary": []}
WIZARD = {**CLAUDE, "messages": [{"role": "tool", "content": "x"}], "max_tokens": 9}


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        (EMBEDDINGS, {"model": "text-embedding-3-small", "input": ["x"] * 2_049}, "at most 2048 items"),
        (RESPONSES, {"model": "gpt-4", "input": [REASONING]}, "at least 1 item"),
        (MESSAGES_DOOR, WIZARD, "messages.0.role: This must be user, assistant, or system."),
    ],
)
def test_an_error_speaks_of_the_client_s_own_field(
    program: Caller, path: str, body: dict[str, Any], message: str
) -> None:
    error = refused(program.post(path, body), 400)
    assert message in error["message"]
    assert error.get("param", "input") == "input"


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(("path", "size"), [(COMPLETIONS, settings.CALL_MIB_MAX * MIB + 1), (CHAT, BODY_BYTES_MAX + 1)])
def test_call_above_its_size_limit_is_refused(program: Caller, path: str, size: int) -> None:
    refused(program.post(path, b" " * size), 413)
