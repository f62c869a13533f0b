"""Tier, cost, and usage of reported calls."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from aiinfra.providers.base import TokenUsage
from cost_app.spend.payloads import TrackRequest

USAGE = {"promptTokens": 20, "completionTokens": 10}


def call(usage: dict[str, Any] | None = None, **facts: Any) -> TrackRequest:
    raw = {"provider": "fake", "model": "m1", "usage": {**USAGE, **(usage or {})}, **facts}
    return TrackRequest.model_validate(raw)


@pytest.mark.parametrize(
    ("facts", "tier"),
    [
        ({}, "standard"),
        ({"tier": None}, "standard"),
        ({"tier": "auto"}, "standard"),
        ({"tier": "default", "batch": False}, "standard"),
        ({"tier": "flex"}, "flex"),
        ({"batch": True}, "batch"),
        ({"tier": "batch", "batch": True}, "batch"),
    ],
)
def test_tier_defaults_to_standard(facts: dict[str, Any], tier: str) -> None:
    assert call(**facts).served_tier == tier


@pytest.mark.parametrize(
    ("cost", "nano"),
    [("0.00062", 620_000), (0.00062, 620_000), ("0", 0), (None, None), ("99999.999999999", 10**14 - 1)],
)
def test_reported_cost_is_in_dollars(cost: Any, nano: int | None) -> None:
    assert call(cost=cost).cost == nano


def test_1h_writes_are_part_of_all_writes_and_tool_uses_are_counted() -> None:
    usage = call({"cacheWriteTokens": 8, "cacheWrite1hTokens": 5, "toolUses": {"web_search": 2, "web_fetch": 0}}).usage
    assert usage.token_usage() == TokenUsage(
        input=12, cache_write=3, output=10, cache_write_1h=5, tool_uses={"web_search": 2}
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: call(tier="turbo"),
        lambda: call(tier="flex", batch=True),
        lambda: call(cost="-1"),
        lambda: call(cost="much"),
        lambda: call(cost=True),
        lambda: call(cost="100000"),
        lambda: call({"cacheWriteTokens": 4, "cacheWrite1hTokens": 5}),
        lambda: call({"toolUses": {"web search": 1}}),
        lambda: call({"toolUses": {"web_search": -1}}),
        lambda: call({"toolUses": {"web_search": 10_001}}),
    ],
)
def test_invalid_input_is_refused(make: Callable[[], TrackRequest]) -> None:
    with pytest.raises(ValidationError):
        make()
