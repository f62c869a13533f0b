"""Converts tokens to money, in integer nano-dollars."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from aiinfra.providers.base import TokenUsage
from cost_app.models import BoundMode, ModelPrice
from cost_app.models.prices import PriceColumns
from cost_app.prices.fees import fees_of
from cost_app.prices.prompt_size import NO_PARAMETERS, PromptSize, size_of

TOKENS_PER_PRICE = 1_000_000
DEFAULT_OUTPUT_TOKENS = 4_096
"""The answer limit of requests whose client set none; always sent upstream."""
HOUR_CACHE_FACTOR = 2
"""A 1-hour cache write costs twice the input price if the book has no price for it: Anthropic's rule."""


class UnitPrices(NamedTuple):
    """The price of each class of tokens in one call, in nano-dollars per million tokens."""

    input: int
    cache_read: int
    cache_write: int
    output: int
    cache_write_1h: int

    @property
    def max_prompt(self) -> int:
        """The maximum price of a prompt token if the call requests no 1-hour cache."""
        return max(self.input, self.cache_read, self.cache_write)


def cost_of(
    usage: TokenUsage, price: ModelPrice, *, at: datetime | None = None, fees: Mapping[str, int] | None = None
) -> int:
    """Nano-dollars for a usage: tokens and tool uses, rounded up once.

    The prompt's length decides which step of the price applies to all tokens of the call. Tool fees are nano-dollars
    per use by tool: `fees`, or those in the book at an instant (now by default), which are read only for a usage with
    tool uses. A tool without a fee adds nothing here; `fees.unpriced_tools` names it.
    """
    unit = unit_prices(price, usage.prompt)
    total = (
        usage.input * unit.input
        + usage.cache_read * unit.cache_read
        + usage.cache_write * unit.cache_write
        + usage.cache_write_1h * unit.cache_write_1h
        + usage.output * unit.output
    )
    if usage.tool_uses:
        by_tool = fees_of(price.provider, price.model, at) if fees is None else fees
        total += sum(uses * by_tool.get(tool, 0) for tool, uses in usage.tool_uses.items()) * TOKENS_PER_PRICE
    return _per_million(total)


def bound_of(
    messages: Sequence[dict[str, Any]],
    max_tokens: int,
    prices: Sequence[ModelPrice],
    mode: str = BoundMode.STRICT,
    parameters: Mapping[str, Any] = NO_PARAMETERS,
) -> int:
    """The maximum cost of a call at any of the prices, in nano-dollars.

    STRICT is a true upper bound: a byte-level tokenizer produces at most one token per byte, so the UTF-8 length of
    everything in the messages and parameters, plus 16 per message, bounds the text of the prompt. Images and the hidden
    instructions for tools count with their documented maximum. NORMAL counts the text's tokens as OpenAI's tokenizer
    does and adds 10% and 64; it can fall short for other tokenizers, and never exceeds STRICT. Every prompt token is
    priced at the highest of the input prices, and the answer at the limit sent with the call. Prices of 1-hour cache
    writes count only if a part requests such a cache. Tool fees are not included: calls carry no tools that a provider
    runs and bills itself.
    """
    size = size_of(messages, parameters)
    return max(_most(price, size, max_tokens, mode) for price in prices)


def unit_prices(price: PriceColumns, prompt: int) -> UnitPrices:
    """The price of each class in a call with this many prompt tokens, including cached ones."""
    source: Mapping[str, Any] = {name: getattr(price, name) for name in UnitPrices._fields}
    for step in price.long_prompts:
        if prompt > step["above"]:
            source = step
    hour = source.get("cache_write_1h")
    if hour is None:
        hour = max(HOUR_CACHE_FACTOR * source["input"], source["cache_write"])
    return UnitPrices(source["input"], source["cache_read"], source["cache_write"], source["output"], hour)


def tokens_within(
    free_nano: int,
    messages: Sequence[dict[str, Any]],
    max_tokens: int,
    prices: Sequence[ModelPrice],
    mode: str = BoundMode.STRICT,
    parameters: Mapping[str, Any] = NO_PARAMETERS,
) -> int:
    """The maximum number of output tokens, up to `max_tokens`, for which the call's maximum cost is at most
    `free_nano`; 0 if none.

    By bisection, because the bound is the largest of several prices; the prompt is measured once.
    """
    size = size_of(messages, parameters)
    low, high = 0, max_tokens + 1
    while high - low > 1:
        middle = (low + high) // 2
        fits = max(_most(price, size, middle, mode) for price in prices) <= free_nano
        low, high = (middle, high) if fits else (low, middle)
    return low


def _most(price: ModelPrice, size: PromptSize, max_tokens: int, mode: str) -> int:
    """A prompt that may be long may also be shorter, and a lower step can cost more: each step counts."""
    prompt, output = size.tokens(mode, price.model), max_tokens + size.further_output
    begins = [step["above"] + 1 for step in price.long_prompts if step["above"] < prompt]
    totals = []
    for unit in (unit_prices(price, length) for length in (0, *begins)):
        highest = max(unit.max_prompt, unit.cache_write_1h) if size.asks_for_hour_cache else unit.max_prompt
        totals.append(prompt * highest + output * unit.output)
    return _per_million(max(totals))


def _per_million(total: int) -> int:
    return -(-total // TOKENS_PER_PRICE)
