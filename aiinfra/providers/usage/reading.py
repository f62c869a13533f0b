"""Converts token counts from any provider to the disjoint classes of `TokenUsage`.

Impossible counts give None, because a wrong count would be a wrong bill: a prompt or an answer of no tokens, parts that
are larger than the whole, a total that is smaller than its parts, two different values for one count. Harmless
contradictions are accepted: a zero, null or missing count next to a known one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiinfra.providers.base import TokenUsage
from aiinfra.providers.usage import spellings
from aiinfra.providers.usage.counts import TOKENS_MAX, UsageError, agreed, at, count, stated
from aiinfra.providers.usage.extras import reported_nano, tier_of, tool_uses
from aiinfra.providers.usage.iterations import with_all_steps
from aiinfra.providers.usage.spellings import ANTHROPIC, DIALECTS, Dialect

NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True)
class _Shares:
    """Parts of the prompt and of the output."""

    cache_read: int
    cache_write: int
    cache_write_1h: int
    reasoning: int

    @property
    def cached(self) -> int:
        return self.cache_read + self.cache_write + self.cache_write_1h


def openai_usage(raw: object, *, answered: bool = True) -> TokenUsage | None:
    """Counts of a chat in OpenAI's dialect, and in the dialects that servers and gateways mix with it.

    `answered` says that the answer has a text or a tool call, and so at least one token.
    """
    usage = _read(raw, DIALECTS)
    return of_answer(usage) if answered else usage


def anthropic_usage(raw: object, *, answered: bool = True) -> TokenUsage | None:
    """Counts of an Anthropic message; its `input_tokens` exclude prompt-cache reads and writes."""
    usage = _read(raw, (ANTHROPIC, *DIALECTS))
    return of_answer(usage) if answered else usage


def of_answer(usage: TokenUsage | None) -> TokenUsage | None:
    """The usage of an answer that has a text or a tool call: None if it counts no output."""
    return usage if usage and usage.output else None


def embedding_usage(raw: object) -> TokenUsage | None:
    """Counts of an embeddings call, which has no answer tokens."""
    if not isinstance(raw, Mapping):
        return None
    usage = _read({"completion_tokens": 0, **raw}, DIALECTS)
    return usage if usage and not usage.output else None


def usage_again(provider: str, raw: object) -> TokenUsage | None:
    """Parse again the raw counts stored with an answered chat's attempt."""
    read = anthropic_usage if provider == "anthropic" else openai_usage
    return read(raw)


def _read(raw: object, dialects: Sequence[Dialect]) -> TokenUsage | None:
    if not isinstance(raw, Mapping):
        return None
    try:
        raw = with_all_steps(raw)
        usage = _usage(raw, _spoken(raw, dialects))
    except UsageError:
        return None
    return usage if usage.prompt > 0 else None


def _spoken(raw: Mapping[str, Any], dialects: Sequence[Dialect]) -> Dialect:
    """The first dialect with counts in this usage. Raises UsageError if none has any."""
    for dialect in dialects:
        is_marked = not dialect.marks or any(at(raw, mark) is not None for mark in dialect.marks)
        is_foreign = bool(dialect.foreign and at(raw, dialect.foreign))
        if is_marked and not is_foreign and (count(raw, dialect.prompt) or count(raw, dialect.output)):
            return dialect
    spoken = next((each for each in dialects if each.total and count(raw, each.total)), None)
    if spoken is None:
        raise UsageError("no counts")
    return spoken


def _usage(raw: Mapping[str, Any], dialect: Dialect) -> TokenUsage:
    prompt, output, total = _sums(raw, dialect)
    shares = _shares(raw, prompt) if dialect.has_shares else _Shares(0, 0, 0, 0)
    whole = prompt if dialect.prompt_has_cache else prompt + shares.cached
    if total and not dialect.prompt_has_cache and total == prompt + output:
        total = None
    whole, answer = _balanced(whole, output, total, shares)
    _must_not_contradict(raw, dialect, {prompt, whole, whole - shares.cached}, {output, answer, shares.reasoning})
    return _checked(raw, whole, answer, shares)


def _sums(raw: Mapping[str, Any], dialect: Dialect) -> tuple[int, int, int | None]:
    """The prompt, the output and the total, with the parts that are counted apart."""
    prompt, output = _both(raw, dialect.prompt, dialect.also_prompt), _both(raw, dialect.output, dialect.also_output)
    total, apart = count(raw, dialect.total), count(raw, dialect.also_output) or 0
    if total and not dialect.total_has_parts:
        total += apart + (count(raw, dialect.also_prompt) or 0)
    prompt, output = _completed(prompt, output, total)
    if total == prompt + output - apart:
        output -= apart
    return prompt, output, total


def _both(raw: Mapping[str, Any], path: str, also: str) -> int | None:
    """A count and the part of it that is counted apart; None where neither is there."""
    counts = [number for number in (count(raw, path), count(raw, also)) if number is not None]
    return sum(counts) if counts else None


def _completed(prompt: int | None, output: int | None, total: int | None) -> tuple[int, int]:
    """Fill in a missing count with the total minus the other one."""
    if prompt is None and output is not None and total:
        prompt = total - output
    elif output is None and prompt is not None and total:
        output = total - prompt
    if prompt is None or output is None:
        raise UsageError("a count is missing")
    return prompt, output


def _shares(raw: Mapping[str, Any], prompt: int) -> _Shares:
    written = agreed(stated(raw, spellings.CACHE_WRITE))
    for_5_minutes = agreed(stated(raw, spellings.CACHE_WRITE_5M))
    for_1_hour = agreed(stated(raw, spellings.CACHE_WRITE_1H))
    if written and for_5_minutes + for_1_hour > written:
        raise UsageError("the cache write parts exceed the cache writes")
    return _Shares(
        cache_read=_cache_read(raw, prompt),
        cache_write=max(written - for_1_hour, for_5_minutes),
        cache_write_1h=for_1_hour,
        reasoning=agreed(stated(raw, spellings.REASONING)),
    )


def _cache_read(raw: Mapping[str, Any], prompt: int) -> int:
    """DeepSeek counts cache hits and misses: they must add up to the prompt."""
    reads, missed = stated(raw, spellings.CACHE_READ), count(raw, spellings.CACHE_MISS)
    if missed and not reads:
        return prompt - missed
    if missed and missed not in {prompt - read for read in reads}:
        raise UsageError(spellings.CACHE_MISS)
    return agreed(reads)


def _balanced(prompt: int, output: int, total: int | None, shares: _Shares) -> tuple[int, int]:
    """The whole prompt and the whole output.

    xAI, Gemini and others count thinking in the total but not in the output; some gateways count the cached part of the
    prompt in the total but not in the prompt. An unexplained rest counts as output.
    """
    if not total:
        return prompt, output + (shares.reasoning if shares.reasoning > output else 0)
    rest = total - prompt - output
    if rest < 0:
        raise UsageError("the total is smaller than its parts")
    if rest in {shares.cached, shares.cached + shares.reasoning} - {shares.reasoning}:
        return prompt + shares.cached, output + rest - shares.cached
    return prompt, output + rest


def _must_not_contradict(raw: Mapping[str, Any], spoken: Dialect, prompts: set[int], outputs: set[int]) -> None:
    """Gateways fill in counts of a second dialect: a non-zero one must match a sum that we know."""
    for other in DIALECTS:
        if other.prompt != spoken.prompt and (count(raw, other.prompt) or 0) not in {0, *prompts}:
            raise UsageError(other.prompt)
        if other.output != spoken.output and (count(raw, other.output) or 0) not in {0, *outputs}:
            raise UsageError(other.output)


def _checked(raw: Mapping[str, Any], prompt: int, output: int, shares: _Shares) -> TokenUsage:
    plain = prompt - shares.cached
    if min(plain, shares.cache_read) < 0 or not shares.reasoning <= output or prompt + output > TOKENS_MAX:
        raise UsageError("a part is larger than the whole")
    return TokenUsage(
        input=plain,
        cache_read=shares.cache_read,
        cache_write=shares.cache_write,
        output=output,
        reasoning=shares.reasoning,
        cache_write_1h=shares.cache_write_1h,
        tool_uses=tool_uses(raw),
        tier=tier_of(raw),
        reported_nano=reported_nano(raw),
    )
