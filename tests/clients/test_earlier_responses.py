"""Responses that continue earlier ones, as requested by OpenAI's SDKs and Vercel's AI SDK."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from aiinfra.tenants.authorization import Role
from aiinfra.tenants.models import Organization
from aiinfra.tenants.scope import system_scope
from queue_app.models import AIRequest, RequestContent
from queue_app.packing import unpack
from tests.api.support import new_key

pytestmark = pytest.mark.django_db(transaction=True)
MODEL = "deepseek-chat"
ADD: Any = {"type": "function", "name": "add", "parameters": {"type": "object", "properties": {}}}
UNKNOWN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def other_key(product: str, organization: Organization) -> Iterator[openai.OpenAI]:
    key = new_key(organization, Role.OWNER)
    with openai.OpenAI(base_url=f"{product}/v1", api_key=key, max_retries=0) as client:
        yield client


def last_messages() -> list[dict[str, Any]]:
    """The messages of the newest request, without empty fields."""
    with system_scope():
        newest = AIRequest.objects.latest("created_at")
        messages = unpack(RequestContent.objects.get(request=newest).call)["messages"]
    return [{name: value for name, value in message.items() if value} for message in messages]


def test_response_continues_the_previous_response(openai_client: openai.OpenAI) -> None:
    create = openai_client.responses.create
    first = create(model=MODEL, instructions="Be brief.", input="How do I plan a garden?")
    second = create(model=MODEL, input="And a park?", previous_response_id=first.id)
    third = create(model=MODEL, instructions="Be polite.", input="And a town?", previous_response_id=second.id)
    assert second.previous_response_id == first.id
    assert third.output_text
    assert last_messages() == [
        {"role": "system", "content": "Be polite."},
        {"role": "user", "content": "How do I plan a garden?"},
        {"role": "assistant", "content": first.output_text},
        {"role": "user", "content": "And a park?"},
        {"role": "assistant", "content": second.output_text},
        {"role": "user", "content": "And a town?"},
    ]


def test_system_messages_carry_over_but_instructions_do_not(
    openai_client: openai.OpenAI,
) -> None:
    asked: Any = [{"role": "system", "content": "Answer in verse."}, {"role": "user", "content": "How do I sail?"}]
    first = openai_client.responses.create(model=MODEL, instructions="Be brief.", input=asked)
    assert last_messages()[0] == {"role": "system", "content": "Be brief."}
    for _ in range(2):
        openai_client.responses.create(model=MODEL, input="And row?", previous_response_id=first.id)
        assert last_messages() == [
            *asked,
            {"role": "assistant", "content": first.output_text},
            {"role": "user", "content": "And row?"},
        ]


@pytest.mark.parametrize("stream", [False, True])
def test_unstored_response_cannot_be_continued_or_referenced(openai_client: openai.OpenAI, stream: bool) -> None:
    question: Any = {"model": MODEL, "input": "How do I plan a garden?", "store": False}
    if stream:
        with openai_client.responses.stream(**question) as events:
            first: Any = events.get_final_response()
    else:
        first = openai_client.responses.create(**question)
    assert first.store is False
    with pytest.raises(openai.BadRequestError, match="not found"):
        openai_client.responses.create(model=MODEL, input="And a park?", previous_response_id=first.id)
    items: Any = [{"type": "item_reference", "id": first.output[0].id}]
    with pytest.raises(openai.NotFoundError, match="not found"):
        openai_client.responses.create(model=MODEL, input=items)


@pytest.mark.parametrize("stream", [False, True])
def test_referenced_items_are_those_of_earlier_responses(openai_client: openai.OpenAI, stream: bool) -> None:
    asked: Any = {"role": "user", "content": 'Call add with {"a": 1}'}
    with openai_client.responses.stream(model=MODEL, input=[asked], tools=[ADD]) as events:
        streamed = events.get_final_response()
    called = streamed if stream else openai_client.responses.create(model=MODEL, input=[asked], tools=[ADD])
    [item] = called.output
    assert item.type == "function_call"
    result: Any = {"type": "function_call_output", "call_id": item.call_id, "output": "3"}
    reference: Any = {"type": "item_reference", "id": item.id}
    second = openai_client.responses.create(model=MODEL, input=[asked, reference, result], tools=[ADD])
    assert last_messages()[1]["tool_calls"][0]["id"] == item.call_id
    items: Any = [asked, reference, result, {"type": "item_reference", "id": second.output[0].id}, asked]
    openai_client.responses.create(model=MODEL, input=items, tools=[ADD])
    assert last_messages()[3] == {"role": "assistant", "content": second.output_text}


def test_referenced_reasoning_is_left_out_like_inline_reasoning(openai_client: openai.OpenAI) -> None:
    items: Any = [{"type": "item_reference", "id": f"rs_{UNKNOWN}_0"}, {"role": "user", "content": "Hello there"}]
    assert openai_client.responses.create(model=MODEL, input=items).output_text
    assert last_messages() == [{"role": "user", "content": "Hello there"}]


@pytest.mark.parametrize("response_id", ["", "resp_", "resp_x", f"resp_{UNKNOWN}", f"chatcmpl-{UNKNOWN}"])
def test_unknown_previous_response_is_refused_by_name(openai_client: openai.OpenAI, response_id: str) -> None:
    with pytest.raises(openai.BadRequestError) as unknown:
        openai_client.responses.create(model=MODEL, input="And a park?", previous_response_id=response_id)
    assert (unknown.value.code, unknown.value.param) == ("previous_response_not_found", "previous_response_id")
    with system_scope():
        assert not AIRequest.objects.exists()


def test_a_reference_without_an_id_is_refused(openai_client: openai.OpenAI) -> None:
    items: Any = [{"type": "item_reference"}]
    with pytest.raises(openai.BadRequestError, match="required") as missing:
        openai_client.responses.create(model=MODEL, input=items)
    assert missing.value.param == "input.0.id"


@pytest.mark.parametrize("name", ["", "x", f"msg_{UNKNOWN}_0", f"msg_{UNKNOWN}"])
def test_unknown_item_is_refused_by_name(openai_client: openai.OpenAI, name: str) -> None:
    items: Any = [{"role": "user", "content": "Hi"}, {"type": "item_reference", "id": name}]
    with pytest.raises(openai.NotFoundError) as unknown:
        openai_client.responses.create(model=MODEL, input=items)
    assert (unknown.value.param, name in unknown.value.message) == ("input.1.id", True)
    with system_scope():
        assert not AIRequest.objects.exists()


def test_another_key_can_use_neither_the_response_nor_its_items(
    openai_client: openai.OpenAI, other_key: openai.OpenAI
) -> None:
    first = openai_client.responses.create(model=MODEL, input="How do I plan a garden?")
    items: Any = [{"type": "item_reference", "id": first.output[0].id}]
    with pytest.raises(openai.BadRequestError, match="not found"):
        other_key.responses.create(model=MODEL, input="And a park?", previous_response_id=first.id)
    with pytest.raises(openai.NotFoundError, match="not found"):
        other_key.responses.create(model=MODEL, input=items)


def test_response_without_content_cannot_be_continued(openai_client: openai.OpenAI) -> None:
    first = openai_client.responses.create(model=MODEL, input="How do I plan a garden?")
    with system_scope():
        RequestContent.objects.all().delete()
    with pytest.raises(openai.BadRequestError, match="not found"):
        openai_client.responses.create(model=MODEL, input="And a park?", previous_response_id=first.id)
