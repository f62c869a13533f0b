"""Tokens and dollars per minute of an API key, charged when a request is accepted.

As with OpenAI, a request counts with its maximum: its prompt, at four bytes per token, and the longest answer that it
allows, or the maximum cost of its call. Answers from the cache and repeated attempts count nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pydantic_core

from aiinfra.plurals import plural
from aiinfra.rate_limits import Rate, take
from aiinfra.tenants.key_limits import NANO, KeyLimits
from cost_app import create_cost_optimizer
from cost_app.facade import AttemptOrder

cost = create_cost_optimizer()

BYTES_PER_TOKEN = 4


class KeyRateError(Exception):
    """The key has used up its tokens or dollars of this minute. Retry after `retry_after_s` seconds."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(f"{message} Try again in {retry_after_s} s.")
        self.retry_after_s = retry_after_s


@contextmanager
def charged(limits: KeyLimits, order: AttemptOrder) -> Iterator[None]:
    """Take a call's tokens and dollars from the minute of its key, or raise KeyRateError and take nothing.

    They are given back if the block raises. The dollars are those of the model that was asked for, even if a budget
    selects a cheaper one. One Redis command for a key that has one of these limits, none for others, and none in the
    block, whose transaction others may wait for. Raises ModelNotPricedError.
    """
    rates = _rates(limits, order)
    if rates:
        taken = take(rates)
        if isinstance(taken.refused, Rate):
            raise KeyRateError(_message(taken.refused), max(1, taken.retry_after_s))
    try:
        yield
    except BaseException:
        if rates:
            take([replace(each, cost=-each.cost) for each in rates])
        raise


def _rates(limits: KeyLimits, order: AttemptOrder) -> list[Rate]:
    rates = []
    if limits.tokens_per_minute:
        prompt = pydantic_core.to_json([order.messages, order.parameters])
        tokens = len(prompt) // BYTES_PER_TOKEN + order.max_tokens
        rates.append(Rate(f"key:{order.api_key_id}:tokens", limits.tokens_per_minute, "tokens", tokens))
    if limits.nano_per_minute:
        rates.append(Rate(f"key:{order.api_key_id}:dollars", limits.nano_per_minute, "dollars", cost.bound(order)))
    return rates


def _message(rate: Rate) -> str:
    if rate.unit == "dollars":
        dollars = f"${rate.per_minute / NANO:.2f}"
        return f"This API key can spend {dollars} per minute, and too little of it is left for this call."
    return f"This API key can use {plural(rate.per_minute, 'token')} per minute, and this call needs {rate.cost:,}."
