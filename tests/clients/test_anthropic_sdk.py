"""The official `anthropic` client with only its base URL and key changed."""

from typing import Any

import anthropic
import pytest

from aiinfra.tenants.scope import system_scope
from cost_app.models import LedgerEntry
from queue_app.models import RequestContent
from queue_app.packing import unpack

pytestmark = pytest.mark.django_db(transaction=True)
CLAUDE = "claude-haiku-4-5"
TOOLS = [{"name": "add", "input_schema": {"type": "object", "properties": {}}}]
QUESTION = [{"role": "user", "content": [{"type": "text", "text": "How do I plan a garden?"}]}]


@pytest.mark.parametrize("model", [CLAUDE, "deepseek-chat"])
def test_message_is_answered_and_booked(anthropic_client: anthropic.Anthropic, model: str) -> None:
    message = anthropic_client.messages.create(model=model, max_tokens=200, system="Be brief.", messages=QUESTION)  # type: ignore[arg-type]
    [block] = message.content
    assert block.type == "text" and block.text
    assert (message.stop_reason, message.role) == ("end_turn", "assistant")
    assert message.usage.output_tokens > 0
    with system_scope():
        assert LedgerEntry.objects.get().nano > 0


def test_sdk_reports_the_request_id_of_answers_streams_and_errors(anthropic_client: anthropic.Anthropic) -> None:
    asked: Any = {"model": CLAUDE, "max_tokens": 20, "messages": QUESTION}
    answered = anthropic_client.messages.with_raw_response.create(**asked)
    assert answered.parse()._request_id == answered.headers["x-request-id"]
    with anthropic_client.messages.stream(**asked) as stream:
        assert stream.request_id == stream.response.headers["x-request-id"]
    with pytest.raises(anthropic.BadRequestError) as refused:
        anthropic_client.messages.create(**{**asked, "max_tokens": 0})
    assert refused.value.request_id == refused.value.response.headers["x-request-id"]


def test_models_are_listed_as_claude_code_expects(
    anthropic_client: anthropic.Anthropic, product: str, key: str
) -> None:
    page = anthropic_client.models.list(limit=1000)
    found = {model.id: model for model in page.data}
    assert (found[CLAUDE].type, found[CLAUDE].display_name) == ("model", CLAUDE)
    assert (page.has_more, page.first_id in found, page.last_id in found) == (False, True, True)
    assert anthropic_client.beta.models.retrieve(CLAUDE).display_name == CLAUDE
    with anthropic.Anthropic(base_url=product, auth_token=key, api_key=None) as by_token:
        assert [model.id for model in by_token.models.list()] == list(found)


def test_stream_has_the_same_answer(anthropic_client: anthropic.Anthropic) -> None:
    with anthropic_client.messages.stream(model=CLAUDE, max_tokens=200, messages=QUESTION) as stream:  # type: ignore[arg-type]
        streamed = stream.get_final_message()
    assert streamed.usage.output_tokens > 0
    whole = anthropic_client.messages.create(model=CLAUDE, max_tokens=200, messages=QUESTION)  # type: ignore[arg-type]
    assert [block.text for block in streamed.content] == [block.text for block in whole.content]  # type: ignore[union-attr]


def test_call_for_anthropic_is_stored_unchanged(anthropic_client: anthropic.Anthropic) -> None:
    system = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    thinking = {"type": "adaptive"}
    anthropic_client.messages.create(
        model=CLAUDE,
        max_tokens=200,
        messages=QUESTION,  # type: ignore[arg-type]
        system=system,  # type: ignore[arg-type]
        thinking=thinking,  # type: ignore[arg-type]
        tools=TOOLS,  # type: ignore[arg-type]
        extra_headers={"anthropic-beta": "something-new"},
    )
    with system_scope():
        call = unpack(RequestContent.objects.get().call)
    assert call["messages"] == QUESTION
    assert call["parameters"] == {"system": system, "thinking": thinking, "tools": TOOLS}
    assert call["headers"]["anthropic-beta"] == "something-new"


def test_tokens_are_counted_without_a_call(anthropic_client: anthropic.Anthropic) -> None:
    counted = anthropic_client.messages.count_tokens(model=CLAUDE, messages=QUESTION)  # type: ignore[arg-type]
    assert counted.input_tokens > 0
    with system_scope():
        assert not LedgerEntry.objects.exists()


def test_errors_raise_the_sdks_exceptions(product: str, anthropic_client: anthropic.Anthropic) -> None:
    with (
        anthropic.Anthropic(base_url=product, api_key="nope", max_retries=0) as stranger,
        pytest.raises(anthropic.AuthenticationError),
    ):
        stranger.messages.count_tokens(model=CLAUDE, messages=QUESTION)  # type: ignore[arg-type]
    with pytest.raises(anthropic.BadRequestError, match="mcp_servers"):
        anthropic_client.messages.create(
            model=CLAUDE,
            max_tokens=5,
            messages=QUESTION,  # type: ignore[arg-type]
            extra_body={"mcp_servers": [{"type": "url"}]},
        )


def test_search_results_are_stored_unchanged(anthropic_client: anthropic.Anthropic) -> None:
    found: Any = {
        "type": "search_result",
        "source": "https://example.com/guide",
        "title": "A guide",
        "content": [{"type": "text", "text": "Water the roses."}],
        "citations": {"enabled": True},
    }
    result: Any = {"type": "tool_result", "tool_use_id": "t1", "content": [found]}
    asked: Any = [
        {"role": "user", "content": [found, {"type": "text", "text": "What does it say?"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "search", "input": {}}]},
        {"role": "user", "content": [result]},
    ]
    answered = anthropic_client.messages.create(model=CLAUDE, max_tokens=50, messages=asked)
    assert answered.content
    with system_scope():
        assert unpack(RequestContent.objects.get().call)["messages"] == asked
