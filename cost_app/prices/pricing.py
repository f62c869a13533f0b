"""From tokens to money, in whole nano-dollars."""

from collections.abc import Sequence
from typing import Any

from aiinfra.providers.base import TokenUsage
from cost_app.models import BoundMode, ModelPrice

TOKENS_PER_PRICE = 1_000_000
DEFAULT_OUTPUT_TOKENS = 4_096
"""What a request may answer with when its client set no limit; always sent upstream."""
TOKENS_PER_MESSAGE = 16
"""Upper bound of what a chat format adds around one message: role, separators, reply priming."""
COUNTED_MARGIN_PERCENT = 10
COUNTED_MARGIN_TOKENS = 64


def cost_of(usage: TokenUsage, price: ModelPrice) -> int:
    """Nano-dollars for a usage: the classes are disjoint, and the sum is rounded up once.

    A prompt above the price's long-context threshold makes all tokens of the call cost the long-context prices.
    """
    for_input, for_cache_read, for_cache_write, for_output = amounts_of(price, usage.prompt)
    total = (
        usage.input * for_input
        + usage.cache_read * for_cache_read
        + usage.cache_write * for_cache_write
        + usage.output * for_output
    )
    return _per_million(total)


def bound_of(
    messages: Sequence[dict[str, Any]],
    max_tokens: int,
    prices: Sequence[ModelPrice],
    mode: str = BoundMode.STRICT,
) -> int:
    """The most that a call can cost at any of the prices, in nano-dollars.

    STRICT is a true upper bound: a byte-level tokenizer makes at most one token of a byte, so the UTF-8 length of all
    that the messages hold, and 16 for each message, bounds the prompt. NORMAL counts tokens as OpenAI's tokenizer does
    and adds 10 % and 64; it can fall short for other tokenizers, and never passes STRICT. Every prompt token is taken
    at the dearest of the input prices, and the answer at the limit that is sent with the call.
    """
    prompt = _prompt_bound(messages, mode)
    return max(_most(price, prompt, max_tokens) for price in prices)


def _prompt_bound(messages: Sequence[dict[str, Any]], mode: str) -> int:
    prompt = _most_bytes(messages)
    return min(prompt, _counted(messages)) if mode == BoundMode.NORMAL else prompt


def tokens_within(
    free_nano: int,
    messages: Sequence[dict[str, Any]],
    max_tokens: int,
    prices: Sequence[ModelPrice],
    mode: str = BoundMode.STRICT,
) -> int:
    """The most output tokens, up to `max_tokens`, with which the call's bound is at most `free_nano`; 0 for none.

    By bisection, because the bound is the largest of several prices; the prompt is measured once.
    """
    prompt = _prompt_bound(messages, mode)
    low, high = 0, max_tokens + 1
    while high - low > 1:
        middle = (low + high) // 2
        fits = max(_most(price, prompt, middle) for price in prices) <= free_nano
        low, high = (middle, high) if fits else (low, middle)
    return low


def amounts_of(price: ModelPrice, prompt: int) -> tuple[int, int, int, int]:
    """What input, cache reads, cache writes and output cost in a call with so many prompt tokens."""
    if price.long_context_from is None or prompt <= price.long_context_from:
        return price.input, price.cache_read, price.cache_write, price.output
    return (
        _known(price.long_input),
        _known(price.long_cache_read),
        _known(price.long_cache_write),
        _known(price.long_output),
    )


def _most(price: ModelPrice, prompt: int, max_tokens: int) -> int:
    """A prompt that may pass the long-context threshold may also stay below it, where that is dearer."""
    of_lengths = [amounts_of(price, length) for length in (0, prompt)]
    totals = [prompt * max(amounts[:3]) + max_tokens * amounts[3] for amounts in of_lengths]
    return _per_million(max(totals))


def _known(amount: int | None) -> int:
    """The database's check `long_prices_complete` lets no row in that has a threshold and lacks a price."""
    if amount is None:
        raise ValueError("a price with a long-context threshold lacks a long-context price")
    return amount


def _per_million(total: int) -> int:
    return -(-total // TOKENS_PER_PRICE)


def _texts(messages: Sequence[dict[str, Any]]) -> list[str]:
    return [str(value) for message in messages for value in message.values()]


def _most_bytes(messages: Sequence[dict[str, Any]]) -> int:
    return (
        sum(len(text.encode("utf-8", "surrogatepass")) for text in _texts(messages))
        + len(messages) * TOKENS_PER_MESSAGE
    )


def _counted(messages: Sequence[dict[str, Any]]) -> int:
    """Without a tokenizer the bytes. Imported late: the tokenizer takes 1.5 s and 140 MB when it is first used."""
    from aiinfra.providers.tokens import count_tokens, has_tokenizer

    if not has_tokenizer():
        return _most_bytes(messages)
    count = sum(count_tokens(text) for text in _texts(messages))
    return -(-count * (100 + COUNTED_MARGIN_PERCENT) // 100) + COUNTED_MARGIN_TOKENS
