"""Tokens and dollars per minute of an API key, charged when a request is accepted.

As with OpenAI, a request counts with its maximum: its prompt, at four bytes per token, and the longest answer that it
allows, or the maximum cost of its call. Answers from the cache and repeated attempts count nothing.
"""

import pydantic_core

from aiinfra.rate_limits import Rate, take
from aiinfra.tenants.key_limits import NANO, KeyLimits

BYTES_PER_TOKEN = 4


class KeyRateError(Exception):
    """The key has used up its tokens or dollars of this minute. Retry after `retry_after_s` seconds."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(f"{message} Try again in {retry_after_s} s.")
        self.retry_after_s = retry_after_s


def charge(api_key_id: int, limits: KeyLimits, prompt: object, max_tokens: int, bound_nano: int) -> None:
    """Take a request's tokens and dollars from the key's minute, or raise KeyRateError and take nothing.

    One Redis command for a key that has one of these limits, none for others.
    """
    rates = []
    if limits.tokens_per_minute:
        tokens = len(pydantic_core.to_json(prompt)) // BYTES_PER_TOKEN + max_tokens
        rates.append(Rate(f"key:{api_key_id}:tokens", limits.tokens_per_minute, "tokens", tokens))
    if limits.nano_per_minute:
        rates.append(Rate(f"key:{api_key_id}:dollars", limits.nano_per_minute, "dollars", bound_nano))
    if not rates:
        return
    taken = take(rates)
    if isinstance(taken.refused, Rate):
        raise KeyRateError(_message(taken.refused), max(1, taken.retry_after_s))


def _message(rate: Rate) -> str:
    if rate.unit == "dollars":
        dollars = f"${rate.per_minute / NANO:.2f}"
        return f"This API key can spend {dollars} per minute, and too little of it is left for this call."
    return f"This API key can use {rate.per_minute} tokens per minute, and this call needs {rate.cost}."
