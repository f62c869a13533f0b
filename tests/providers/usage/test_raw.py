"""The provider's own counts, as both databases can store them."""

import json

import pytest

from aiinfra.providers.usage import storable, with_tier

GOOD = {"prompt_tokens": 10, "cost": 0.00062, "details": {"cached_tokens": None, "is_byok": False}}


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (GOOD, GOOD),
        (None, {}),
        ({}, {}),
        ([1], {"usage": [1]}),
        ("unknown", {"usage": "unknown"}),
        (7, {"usage": 7}),
        ({"a": float("nan"), "b": float("-inf")}, {"a": "nan", "b": "-inf"}),
        ({"a": "\x00b", "\x00": 1}, {"a": "b", "": 1}),
        ({"a": "\ud800"}, {"a": "?"}),
        ({"a": "x" * 5_000}, {"a": "x" * 64}),
        ({"a": 10**5_000}, {"a": "a huge number"}),
        ({"a": {"b": {"c": {"d": {"e": 1}}}}}, {"a": {"b": {"c": {"d": "..."}}}}),
    ],
    ids=range(12),
)
def test_raw_usage_is_stored_as_far_as_possible(raw: object, kept: object) -> None:
    assert storable(raw) == kept
    json.dumps(storable(raw), allow_nan=False)


def test_stored_raw_usage_is_limited() -> None:
    wide = {f"count_{number}": {"x" * 5_000: ["y" * 5_000] * 5_000} for number in range(5_000)}
    assert len(json.dumps(storable({"prompt_tokens": 10, **wide}))) < 10_000
    assert storable({"prompt_tokens": 10, **wide})["prompt_tokens"] == 10


def test_tier_beside_the_usage_is_stored_with_it() -> None:
    assert with_tier({"prompt_tokens": 1}, "flex") == {"prompt_tokens": 1, "service_tier": "flex"}
    assert with_tier({"service_tier": "batch"}, "flex") == {"service_tier": "batch"}
    assert with_tier({"service_tier": None}, "flex") == {"service_tier": "flex"}
    assert with_tier({"prompt_tokens": 1}, None) == {"prompt_tokens": 1}
    assert with_tier(None, "flex") is None
