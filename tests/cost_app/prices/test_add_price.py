"""The command `add_price`."""

import json
from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command

from cost_app.models import ModelPrice
from cost_app.prices.shipped import PEAK


def add(*arguments: str) -> ModelPrice:
    call_command("add_price", "local", "m", "--source", "a list", *arguments)
    return ModelPrice.objects.get(provider="local")


def test_amounts_are_converted_to_nano_dollars_and_cached_tokens_default_to_the_input_price() -> None:
    row = add("--input", "0.14", "--output", "0.28")
    assert (row.input, row.cache_read, row.cache_write, row.output) == (
        140_000_000,
        140_000_000,
        140_000_000,
        280_000_000,
    )
    assert (row.tier, row.window, row.long_prompts, row.added_by) == ("standard", [], [], "command:add_price")


def test_all_terms_are_accepted() -> None:
    row = add(
        *("--input", "1", "--cache-read", "0.1", "--cache-write", "1.25", "--output", "5"),
        *("--long", '{"above": 200000, "input": "2", "output": "7.5"}', "--cache-write-1h", "2"),
        *("--long", '{"above": 32000, "input": 1.5, "output": 6}'),
        *("--tier", "batch", "--window-name", "peak", "--window", json.dumps(PEAK), "--from", "2026-10-01T00:00Z"),
    )
    assert (row.cache_read, row.cache_write_1h) == (100_000_000, 2_000_000_000)
    assert [(step["above"], step["cache_read"], step["output"]) for step in row.long_prompts] == [
        (32_000, 1_500_000_000, 6_000_000_000),
        (200_000, 2_000_000_000, 7_500_000_000),
    ]
    assert (row.tier, row.window) == ("batch", PEAK)
    assert row.effective_from == datetime(2026, 10, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--input", "1", "--output", "-1"), r"\$0 to \$1,000,000"),
        (("--input", "much", "--output", "1"), "argument --input: 'much' is not an amount of dollars"),
        (("--input", "nan", "--output", "1"), "argument --input: 'nan' is not an amount"),
        (("--input", "\uff11", "--output", "1"), "is not an amount"),
        (("--input", "1_000", "--output", "1"), "is not an amount"),
        (("--input", "0.0000000001", "--output", "1"), "at most nine decimals"),
        (("--input", "1", "--output", "1", "--window-name", "peak"), "a name needs hours"),
        (("--input", "1", "--output", "1", "--from", "2026-10-01"), "not a time with a time zone"),
        (("--input", "1", "--output", "1", "--from", "2026-02-30T00:00Z"), "not a time with a time zone"),
        (("--input", "1", "--output", "1", "--from", "9999-12-31T23:59-12:00"), "not a time with a time zone"),
        (("--input", "1", "--output", "1", "--long", "{}"), "length is JSON"),
        (("--input", "1", "--output", "1", "--long", '{"above": 1.5, "input": 1, "output": 1}'), "length is JSON"),
        (("--input", "1", "--output", "1", "--long", '{"above": 1e400, "input": 1, "output": 1}'), "length is JSON"),
        (("--input", "1", "--output", "1", "--long", '{"above": 1, "in": 2}'), "has no in"),
    ],
)
def test_invalid_input_is_rejected(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        add(*arguments)
    assert not ModelPrice.objects.filter(provider="local").exists()


@pytest.mark.parametrize("name", ["", "a b", "a\0", "gpt\u202e4"])
def test_model_name_must_be_visible(name: str) -> None:
    with pytest.raises(CommandError, match="can't contain spaces, invisible characters"):
        call_command("add_price", "local", name, "--source", "a list", "--input", "1", "--output", "1")
