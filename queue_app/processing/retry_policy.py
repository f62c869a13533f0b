"""What to do after a failed attempt: the same model again, the next model of the fallback chain, or failure."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiinfra.providers.backoff import backoff_s
from aiinfra.providers.base import TRY_ELSEWHERE, ErrorCode, ProviderError

CIRCUIT_WAITS_MAX = 20
"""Probes that a request waits for before it fails: with pauses of 60 s, about twenty minutes."""


@dataclass(frozen=True)
class NextAttempt:
    """Call this model after `delay_s` seconds."""

    provider: str
    model: str
    delay_s: float


def next_attempt(
    error: ProviderError,
    *,
    current: tuple[str, str],
    tried: Sequence[tuple[str, str]],
    waited: int,
    chain: Sequence[tuple[str, str]],
    max_retries: int,
) -> NextAttempt | None:
    """The next step, or None to give up.

    `tried` lists (provider, model) of every call so far, including the failed one; `waited` counts how often an open
    circuit turned the request away; `chain` starts with the requested model. Each model of the chain gets `max_retries`
    retries. An open circuit uses up none of them: it moves straight to the next model, or waits if there is none.
    """
    following = _following(current, chain)
    if error.code is ErrorCode.CIRCUIT_OPEN:
        if following:
            return NextAttempt(*following, delay_s=0)
        may_wait = max_retries > 0 and waited <= CIRCUIT_WAITS_MAX
        return NextAttempt(*current, delay_s=backoff_s(waited, error.retry_after_s)) if may_wait else None
    retries = tried.count(current) - 1
    if error.retryable and retries < max_retries:
        return NextAttempt(*current, delay_s=backoff_s(retries, error.retry_after_s))
    if following and (error.retryable or error.code in TRY_ELSEWHERE):
        return NextAttempt(*following, delay_s=0)
    return None


def _following(current: tuple[str, str], chain: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    position = chain.index(current) + 1 if current in chain else 0
    return chain[position] if position < len(chain) else None
