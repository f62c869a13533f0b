"""Sums the parts of a usage that is given in steps: Anthropic's `iterations`, Bedrock's `cacheDetails`.

Anthropic compacts a long conversation in steps of one call. It bills each of them, and its top-level counts leave out
the compactions. Steps of another model, such as an advisor's, are left out here: this call's price isn't theirs.
"""

from collections.abc import Mapping
from typing import Any

from aiinfra.providers.usage import spellings
from aiinfra.providers.usage.counts import UsageError, as_whole

STEPS_MAX = 1_000
"""Steps of one call; a longer list is an error."""


def with_all_steps(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """The usage with the sums of its steps, if they count more than its top level, and Bedrock's cache writes by
    lifetime. Raises UsageError for steps that can't be counted.
    """
    steps = _steps(raw, spellings.STEPS)
    own = [step for step in steps if step.get(spellings.STEP_MODEL) in (None, "", raw.get(spellings.STEP_MODEL))]
    summed = {name: sum(_count(step, name) for step in own) for name in spellings.STEP_COUNTS}
    if sum(summed.values()) > sum(_count(raw, name) for name in spellings.STEP_COUNTS):
        raw = {**raw, **summed, **_lifetimes(own)}
    return {**raw, **_by_lifetime(raw)}


def _steps(raw: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = raw.get(name) or []
    if not isinstance(found, list):
        return []
    if len(found) > STEPS_MAX:
        raise UsageError(name)
    return [step for step in found if isinstance(step, Mapping)]


def _count(step: Mapping[str, Any], name: str) -> int:
    value = step.get(name)
    whole = 0 if value is None else as_whole(value)
    if whole is None:
        raise UsageError(name)
    return whole


def _lifetimes(steps: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Anthropic's cache writes by lifetime, of all steps."""
    parts = [part for step in steps if isinstance(part := step.get(spellings.STEP_WRITES), Mapping)]
    names = {name for part in parts for name in part}
    return {spellings.STEP_WRITES: {name: sum(_count(part, name) for part in parts) for name in sorted(names)}}


def _by_lifetime(raw: Mapping[str, Any]) -> dict[str, int]:
    """Bedrock lists its cache writes, each with a `ttl`."""
    written: dict[str, int] = {}
    for part in _steps(raw, spellings.WRITES_BY_TTL):
        spelling = spellings.WRITES_OF_TTL.get(str(part.get("ttl")).lower())
        if spelling:
            written[spelling] = written.get(spelling, 0) + _count(part, "inputTokens")
    return written
