"""The share of tools, schemas, images, and predictions in the maximum cost of a call."""

from typing import Any

import pytest

from cost_app.models import BoundMode, ModelPrice
from cost_app.prices.pricing import bound_of
from cost_app.prices.prompt_size import IMAGE_TOKENS, IMAGE_TOKENS_BY_FAMILY, TOKENS_FOR_TOOLS

PER_TOKEN = ModelPrice(
    model="m", input=1_000_000, cache_read=0, cache_write=0, output=2_000_000, cache_write_1h=7_000_000
)
HELLO = [{"role": "user", "content": "Hello"}]
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 400_000}}
BLOCK = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 400_000}}


def tokens(
    messages: list[dict[str, Any]], price: ModelPrice = PER_TOKEN, mode: str = BoundMode.STRICT, **parameters: Any
) -> int:
    return bound_of(messages, 0, [price], mode, parameters)


@pytest.mark.parametrize("mode", [BoundMode.STRICT, BoundMode.NORMAL])
def test_schemas_and_tools_are_part_of_the_prompt(mode: str) -> None:
    schema = {"type": "json_schema", "json_schema": {"schema": {"description": "word " * 1_000}}}
    assert tokens(HELLO, mode=mode, response_format=schema) > tokens(HELLO, mode=mode) + 1_000
    tools = [{"type": "function", "function": {"name": "f", "description": "word " * 1_000}}]
    assert tokens(HELLO, mode=mode, tools=tools) > tokens(HELLO, mode=mode) + 1_000 + TOKENS_FOR_TOOLS


def test_each_tool_reference_counts_as_its_definition() -> None:
    tool = {"name": "f", "description": "word " * 1_000, "input_schema": {}, "defer_loading": True}
    found = {"type": "tool_result", "content": [{"type": "tool_reference", "tool_name": "f"}]}
    defined = {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": tool}}
    added = {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "f"}}

    def bound(*blocks: dict[str, Any], **parameters: Any) -> int:
        return tokens([*HELLO, {"role": "user", "content": list(blocks)}], **parameters)

    assert bound(found, found, tools=[tool]) > bound(tools=[tool]) + 2 * 5_000
    assert bound(defined, added) > bound(defined) + 5_000


@pytest.mark.parametrize("part", [IMAGE, BLOCK, {"type": "tool_result", "content": [BLOCK]}], ids=range(3))
def test_image_counts_with_its_maximum_tokens_instead_of_its_bytes(part: dict[str, Any]) -> None:
    bound = tokens([{"role": "user", "content": [part, part]}])
    assert 2 * IMAGE_TOKENS < bound < 2 * IMAGE_TOKENS + 500


def test_models_with_more_tokens_per_image_hold_more() -> None:
    small = ModelPrice(model="gpt-4o-mini-2024-07-18", input=1_000_000, cache_read=0, cache_write=0, output=0)
    assert tokens([{"role": "user", "content": [IMAGE]}], small) > IMAGE_TOKENS_BY_FAMILY["gpt-4o-mini"]


def test_a_rejected_prediction_is_billed_as_output() -> None:
    predicted = tokens(HELLO, prediction={"type": "content", "content": "x" * 1_000})
    assert predicted >= tokens(HELLO) + 1_000 + 2 * 1_000


def test_1h_cache_counts_wherever_it_is_requested() -> None:
    marked = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    assert tokens(HELLO, system=marked) > 7 * tokens(HELLO)
