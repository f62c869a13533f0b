"""OpenAI's message list in Anthropic's words."""

from typing import Any

import pytest

from aiinfra.providers.adapters.anthropic_dialect import split_messages
from aiinfra.providers.base import ErrorCode, ProviderError


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def test_system_messages_are_joined_wherever_they_stand() -> None:
    system, turns = split_messages(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hi"},
            {"role": "developer", "content": [text("Be kind.")]},
        ]
    )
    assert system == "Be brief.\n\nBe kind."
    assert turns == [{"role": "user", "content": [text("hi")]}]


def test_system_messages_alone_become_a_user_message() -> None:
    """Anthropic takes no call without a turn."""
    system, turns = split_messages([{"role": "system", "content": "Say hi."}, {"role": "developer", "content": "Now."}])
    assert (system, turns) == ("", [{"role": "user", "content": [text("Say hi.\n\nNow.")]}])


def test_consecutive_turns_of_one_role_become_one() -> None:
    _, turns = split_messages(
        [
            {"role": "user", "content": "a"},
            {"role": "user", "content": [text("b")]},
            {"role": "assistant", "content": "c"},
            {"role": "user", "content": ""},
        ]
    )
    assert turns == [
        {"role": "user", "content": [text("a"), text("b")]},
        {"role": "assistant", "content": [text("c")]},
        {"role": "user", "content": []},
    ]


def test_images_keep_their_source() -> None:
    parts = [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}},
    ]
    _, turns = split_messages([{"role": "user", "content": parts}])
    assert [block["source"] for block in turns[0]["content"]] == [
        {"type": "base64", "media_type": "image/png", "data": "aGk="},
        {"type": "url", "url": "https://example.org/cat.png"},
    ]


def test_tool_calls_and_their_results_are_blocks() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    _, turns = split_messages(
        [
            {"role": "user", "content": "add"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "1"},
        ]
    )
    assert turns[1]["content"] == [{"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}}]
    assert turns[2]["role"] == "user"
    assert turns[2]["content"] == [{"type": "tool_result", "tool_use_id": "c1", "content": [text("1")]}]


@pytest.mark.parametrize(
    "message",
    [
        {"role": "narrator", "content": "x"},
        {"content": "x"},
        {"role": "user", "content": [{"type": "input_audio"}]},
        {"role": "user", "content": 3},
        {"role": "tool", "content": "x"},
        {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "no json"}}]},
        {"role": "system", "content": [{"type": "image_url", "image_url": {"url": "https://example.org/x"}}]},
    ],
)
def test_an_unsupported_message_is_refused_before_sending(message: dict[str, Any]) -> None:
    with pytest.raises(ProviderError) as caught:
        split_messages([message])
    assert (caught.value.code, caught.value.may_be_billed) == (ErrorCode.INVALID_REQUEST, False)
