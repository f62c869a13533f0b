"""Streams as the official SDKs read them: text, tool calls, usage, errors during the stream, and disconnects."""

import json
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest
from django.db.models import Sum

from aiinfra import database_time
from aiinfra.tenants.scope import system_scope
from cost_app.ledger.sweeper import sweep_unknown_outcomes
from cost_app.models import Attempt, LedgerEntry
from queue_app.models import AIRequest
from tests.gateway.stepwise import MODEL, Stepwise
from tests.providers.conftest import SandboxClient
from tests.support.processes import wait_until

pytestmark = pytest.mark.django_db(transaction=True)
QUESTION: Any = [{"role": "user", "content": "How do I plan a garden?"}]
CHAT_MODEL, CLAUDE = "deepseek-chat", "claude-haiku-4-5"
SCHEMA = {"type": "object", "properties": {}}
TOOLS: Any = [{"type": "function", "function": {"name": "add", "parameters": SCHEMA}}]


@pytest.fixture
def ask(openai_client: openai.OpenAI, anthropic_client: anthropic.Anthropic) -> Callable[[str, str], tuple[str, int]]:
    """Streams an answer from an endpoint. Returns its text and its output tokens."""

    def chat(model: str) -> tuple[str, int]:
        usage: Any = {"include_usage": True}
        stream = openai_client.chat.completions.create(
            model=model, messages=QUESTION, stream=True, stream_options=usage
        )
        *chunks, last = list(stream)
        assert last.usage is not None and last.choices == []
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks), last.usage.completion_tokens

    def responses(model: str) -> tuple[str, int]:
        with openai_client.responses.stream(model=model, input="How do I plan a garden?") as stream:
            response = stream.get_final_response()
        assert response.usage is not None
        return response.output_text, response.usage.output_tokens

    def messages(model: str) -> tuple[str, int]:
        with anthropic_client.messages.stream(model=model, max_tokens=200, messages=QUESTION) as stream:
            message = stream.get_final_message()
        return "".join(block.text for block in message.content if block.type == "text"), message.usage.output_tokens

    doors = {"chat": chat, "responses": responses, "messages": messages}
    return lambda door, model: doors[door](model)


@pytest.mark.parametrize("model", [CHAT_MODEL, CLAUDE])
@pytest.mark.parametrize("door", ["chat", "responses", "messages"])
def test_every_endpoint_streams_every_provider_and_replays_from_the_cache(
    ask: Callable[[str, str], tuple[str, int]], door: str, model: str
) -> None:
    text, tokens = ask(door, model)
    assert text
    with system_scope():
        assert tokens == Attempt.objects.get().output_tokens > 0
    assert ask(door, model) == (text, 0)


@pytest.mark.parametrize("kind", ["stream_error", "stream_reset", "stream_malformed", "stream_end"])
@pytest.mark.parametrize("model", [CHAT_MODEL, CLAUDE])
@pytest.mark.parametrize("door", ["chat", "responses", "messages"])
def test_fault_during_a_stream_raises_an_sdk_error_and_is_booked_as_billed(
    sandbox: SandboxClient, ask: Callable[[str, str], tuple[str, int]], door: str, model: str, kind: str
) -> None:
    provider = "anthropic" if model == CLAUDE else "deepseek"
    sandbox.behave(faults=[{"kind": kind, "provider": provider}]).raise_for_status()
    expected: dict[str, tuple[type[Exception], ...]] = {
        "chat": (openai.APIError,),
        "responses": (openai.APIError, RuntimeError),
        "messages": (anthropic.APIStatusError,),
    }
    with pytest.raises(expected[door]):
        ask(door, model)
    with system_scope():
        [request] = AIRequest.objects.all()
    assert (request.status, request.attempt_number) == ("failed", 1)
    assert_booked_as_billed(sandbox)


def assert_booked_as_billed(sandbox: SandboxClient) -> None:
    """The only call is booked once, with the usage that the provider billed."""
    with system_scope():
        Attempt.objects.filter(state="estimated").update(deadline_at=database_time.now())
        sweep_unknown_outcomes()
        attempt = Attempt.objects.get()
        assert LedgerEntry.objects.aggregate(Sum("nano"))["nano__sum"] == attempt.cost_nano > 0
    [row] = sandbox.bills(attempt.id)
    assert (attempt.input_tokens, attempt.output_tokens) == (row["usage"]["input"], row["usage"]["output"])


def test_failed_response_reports_its_error(openai_client: openai.OpenAI, sandbox: SandboxClient) -> None:
    sandbox.behave(faults=[{"kind": "stream_error"}])
    *events, last = openai_client.responses.create(model=CHAT_MODEL, input="How do I plan a garden?", stream=True)
    assert last.type == "response.failed" and last.response.error is not None and last.response.error.message
    assert [event.sequence_number for event in (*events, last)] == list(range(len(events) + 1))


def test_tool_calls_arrive_in_pieces(openai_client: openai.OpenAI, stepwise: Stepwise) -> None:
    _call_two_tools(stepwise)
    with openai_client.chat.completions.stream(model=MODEL, messages=QUESTION, tools=TOOLS) as stream:
        [choice] = stream.get_final_completion().choices
    calls = [call.function for call in choice.message.tool_calls or ()]
    assert [(call.name, json.loads(call.arguments or "")) for call in calls] == [("add", {"a": 1}), ("add", {"b": 2})]


def test_translated_tool_calls_become_blocks(anthropic_client: anthropic.Anthropic, stepwise: Stepwise) -> None:
    _call_two_tools(stepwise)
    tools: Any = [{"name": "add", "input_schema": SCHEMA}]
    with anthropic_client.messages.stream(model=MODEL, max_tokens=9, messages=QUESTION, tools=tools) as stream:
        message = stream.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert [block.input for block in message.content if block.type == "tool_use"] == [{"a": 1}, {"b": 2}]
    assert (message.stop_reason, message.usage.output_tokens) == ("tool_use", 2)


def test_tool_calls_become_items_of_a_response(openai_client: openai.OpenAI, stepwise: Stepwise) -> None:
    _call_two_tools(stepwise)
    with openai_client.responses.stream(model=MODEL, input="Add.") as stream:
        output = stream.get_final_response().output
    assert [item.type for item in output] == ["reasoning", "message", "function_call", "function_call"]
    assert [json.loads(item.arguments) for item in output if item.type == "function_call"] == [{"a": 1}, {"b": 2}]


def _call_two_tools(stepwise: Stepwise) -> None:
    """Reasoning, text, and two tool calls in two pieces each."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "reasoning_content": "Hm. "}, {"content": "I'll add."}]
    for index, (first, second) in enumerate([('{"a"', ": 1}"), ('{"b"', ": 2}")]):
        begun = {"index": index, "id": f"c{index}", "type": "function", "function": {"name": "add", "arguments": first}}
        deltas += [{"tool_calls": [begun]}, {"tool_calls": [{"index": index, "function": {"arguments": second}}]}]
    for delta in deltas:
        stepwise.send(choices=[{"index": 0, "delta": delta, "finish_reason": None}])
    stepwise.finish("tool_calls")


@pytest.mark.usefixtures("queued")
def test_queued_stream_is_live_for_openai(openai_client: openai.OpenAI, stepwise: Stepwise) -> None:
    """The provider sends its second piece only after the client has received the first."""
    stepwise.send_text("Plan ")
    stream = openai_client.chat.completions.create(model=MODEL, messages=QUESTION, stream=True)
    assert next(stream).choices[0].delta.content == "Plan "
    stepwise.send_text("it.")
    stepwise.finish()
    assert next(stream).choices[0].delta.content == "it."
    assert list(stream)


@pytest.mark.usefixtures("queued")
def test_queued_stream_is_live_for_anthropic(anthropic_client: anthropic.Anthropic, stepwise: Stepwise) -> None:
    stepwise.send_text("Plan ")
    with anthropic_client.messages.stream(model=MODEL, max_tokens=9, messages=QUESTION) as stream:
        texts = stream.text_stream
        assert next(texts) == "Plan "
        stepwise.send_text("it.")
        stepwise.finish()
        assert list(texts) == ["it."]


def test_disconnecting_is_billed_for_the_usage(openai_client: openai.OpenAI, sandbox: SandboxClient) -> None:
    sandbox.behave(faults=[{"kind": "stream_hold"}])
    stream = openai_client.chat.completions.create(model=CHAT_MODEL, messages=QUESTION, stream=True)
    assert next(stream).choices
    stream.close()
    with system_scope():
        attempt = Attempt.objects.get()
    wait_until(lambda: sandbox.post(f"/sandbox/calls/{attempt.id}/release", {}).status_code == 200, "the held answer")
    wait_until(lambda: state_of(attempt) == "settled", "the call to be booked")
    [row] = sandbox.bills(attempt.id)
    attempt.refresh_from_db()
    assert attempt.output_tokens == row["usage"]["output"]


def state_of(attempt: Attempt) -> str:
    """The attempt's current state."""
    with system_scope():
        return str(Attempt.objects.get(id=attempt.id).state)
